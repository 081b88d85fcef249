"""What is remembered of one voice message's way while it is worked on: each step durable before the next request.

What a request came to is one of three: it had its effect (the reply says so), it had none (refused, limited, never
connected: may be repeated), or nobody knows (the reply was lost, the server failed, this process was killed).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable

from media_pipeline.genesys.errors import GenesysError, NotFound, PermissionMissing, RateLimited, Refused, Unreached
from media_pipeline.messaging.retention import Ledger, Policy, Subject
from media_pipeline.messaging.voice_state import DONE, WAITING, Progress, States

POLICY = Policy(
    name="voice_message",
    why="A voice message's file lives 15 minutes at Genesys Cloud; no copy of it is kept here.",
    keeps_copy=False,
)
SETTLED = dt.timedelta(seconds=60)
"""After its request, longer than one may take, a message that is not in the conversation was not sent."""
NOT_TAKEN = (Refused, PermissionMissing, NotFound)
"""The source does not take this message, now or later."""


class Later(Exception):
    """Not now: the next run goes on. `sick`: the source itself failed, and will fail others."""

    def __init__(self, reason: str, sentence: str, *, sick: bool = False) -> None:
        super().__init__(sentence)
        self.reason, self.sick = reason, sick


class Way:
    """One message's progress, its journal on disk, and the ledger of what is to be deleted of it."""

    def __init__(
        self,
        progress: Progress,
        *,
        states: States,
        ledger: Ledger,
        still_ours: Callable[[], None],
        now: Callable[[], dt.datetime],
    ) -> None:
        self.progress = progress
        self._states, self._ledger = states, ledger
        self.still_ours, self.now = still_ours, now

    def set(self, **changes: object) -> None:
        """Change what is remembered, until the next `save` in memory only."""
        self.progress = dataclasses.replace(self.progress, **changes)  # type: ignore[arg-type]

    def save(self, **changes: object) -> None:
        """The same, durably when this returns."""
        self.set(**changes)
        self._states.put(self.progress)

    def finish(self, status: str, reason: str | None, detail: str | None, **changes: object) -> None:
        """Settle it."""
        self.save(step=DONE, status=status, reason=reason, detail=detail, **changes)

    def wait(self, later: Later) -> None:
        """Leave it to the next run."""
        self.save(status=WAITING, reason=later.reason, detail=str(later))

    def announce(self, intent: str, moment: str, **changes: object) -> None:
        """What must be on disk before a request that may have its effect: that it goes out, and when.

        Before each try: one that was limited for minutes goes out long after the first.
        """
        self.still_ours()
        self.save(step=intent, **{moment: self.now()}, **changes)

    def schedule(self, media_id: str, at: dt.datetime, routed_at: dt.datetime | None = None) -> None:
        """Have an upload deleted in time."""
        subject = Subject(
            kind="attachment", id=media_id, conversation_id=self.progress.conversation_id, day=self.progress.day,
            sha256=self.progress.sha256,
        )  # fmt: skip
        self._ledger.schedule(subject, POLICY, now=at, routed_at=routed_at)

    def unsure(self, error: GenesysError, before: str, intent: str) -> None:
        """A request failed: known to have had no effect, or left as an intent that is looked up next."""
        known = isinstance(error, RateLimited | Unreached) or error.permanent  # the latter: no valid token
        if known and self.progress.step == intent:
            self.save(step=before)
        if error.permanent:
            raise error
        if self.progress.step != intent:
            raise Later(error.reason, str(error), sick=True)
        self.set(reason=error.reason, detail=str(error))

    def is_fresh(self, moment: dt.datetime | None) -> bool:
        """Whether a request of that moment may still have its effect."""
        return moment is not None and self.now() - moment < SETTLED


def reason_of(error: GenesysError) -> str:
    """Why a message failed, for the table."""
    if isinstance(error, Refused):
        return {413: "too_large", 415: "not_accepted"}.get(error.status or 0, "refused")
    return "not_found" if isinstance(error, NotFound) else error.reason


def unknown(error: GenesysError) -> Later:
    """A question about what arrived that could not be asked."""
    if error.permanent and not isinstance(error, PermissionMissing):
        raise error
    return Later("unconfirmed", f"It was sent without an answer, and could not be looked up: {error}")
