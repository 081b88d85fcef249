"""Writes an interaction's annotations back to the org, once: what it is known to hold already is not sent again.

Before a payload is sent it is written down that nothing is known any more, after the org's yes that it holds this one.
A run killed in between sends the same payload again, which changes nothing where it had arrived.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from media_pipeline.genesys.errors import Conflict, GenesysError, NotFound, PermissionMissing, Refused
from media_pipeline.genesys.source import Annotation, AnnotationTarget

SECONDS_BETWEEN = 0.1
"""Between two submissions (guide 004)."""

Name = Literal["sent", "unchanged", "would_send", "rejected", "conflict", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a payload; reason and sentence unless the org holds it."""

    name: Name
    reason: str | None = None
    detail: str | None = None


SENT, UNCHANGED = Outcome("sent"), Outcome("unchanged")
WOULD_SEND = Outcome("would_send", "write_back_off", "Set MEDIA_ALLOW_WRITE_BACK=1 to have it sent.")


class Ledger(Protocol):
    """What the org is known to hold; as `tables.written_back` has it."""

    def is_confirmed(self, identifier: str, sha256: str) -> bool:
        """Whether it holds this payload."""

    def intend(self, identifier: str, sha256: str) -> None:
        """Nothing is known any more; durable when it returns."""

    def confirm(self, identifier: str, sha256: str) -> None:
        """It holds this payload."""


class WriteBack:
    """Sends payloads, spaced; safe to use from threads."""

    def __init__(
        self,
        target: AnnotationTarget,
        ledger: Ledger,
        *,
        allowed: bool,
        still_ours: Callable[[], None],
        told: Callable[[str, str, Outcome, float], None],
        seconds_between: float = SECONDS_BETWEEN,
    ) -> None:
        """`still_ours` raises when another run has the day; `told` hears of each submission: interaction, hash of the
        payload, outcome, seconds."""
        self._target, self._ledger, self._allowed = target, ledger, allowed
        self._still_ours, self._told = still_ours, told
        self._between = seconds_between
        self._lock = threading.Lock()
        self._next = 0.0

    def write(self, interaction_id: str, annotations: Sequence[Annotation], sha256: str) -> Outcome:
        """Make these the interaction's annotations; raises permanent GenesysErrors that are not about one of them."""
        if self._ledger.is_confirmed(interaction_id, sha256):
            return UNCHANGED
        if not self._allowed:
            return WOULD_SEND
        self._wait()
        self._still_ours()
        self._ledger.intend(interaction_id, sha256)
        began = time.monotonic()
        outcome = self._sent(interaction_id, annotations)
        if outcome in (SENT, UNCHANGED):
            self._ledger.confirm(interaction_id, sha256)
        self._told(interaction_id, sha256, outcome, time.monotonic() - began)
        return outcome

    def _sent(self, interaction_id: str, annotations: Sequence[Annotation]) -> Outcome:
        try:
            return SENT if self._target.annotate(interaction_id, annotations) else UNCHANGED
        except Conflict as error:
            return Outcome("conflict", "conflict", f"{error} Run the day again: it is sent once more.")
        except Refused as error:
            return Outcome("rejected", "refused", f"{error} Correct what was handed in, or report it.")
        except NotFound as error:
            return Outcome("failed", "no_interaction", str(error))
        except GenesysError as error:
            if error.permanent and not isinstance(error, PermissionMissing):
                raise
            return Outcome("failed", error.reason, str(error))

    def _wait(self) -> None:
        with self._lock:
            at = max(self._next, time.monotonic())
            self._next = at + self._between
        time.sleep(max(0.0, at - time.monotonic()))
