"""One voice message on its way: upload, send, transcript; each announced on disk before it goes out, none sent twice.

What a request came to is one of three: it had its effect (the reply says so), it had none (refused, limited, never
connected: may be repeated), or nobody knows (the reply was lost, the server failed, this process was killed). What
nobody knows is looked up where the source can tell (published API), and is for a person where it cannot (guides).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import time
from collections.abc import Callable

from media_pipeline.genesys.errors import (
    GenesysError,
    NotFound,
    PermissionMissing,
    RateLimited,
    Refused,
    Unreached,
)
from media_pipeline.genesys.messaging_source import OutgoingVoice, UploadedVoice, VoiceTarget
from media_pipeline.messaging.retention import Ledger, Policy, Subject
from media_pipeline.messaging.voice_state import (
    DONE,
    FAILED,
    IN_DOUBT,
    READY,
    SENDING,
    SENT,
    SENT_STEP,
    TEXTING,
    UPLOADED,
    UPLOADING,
    WAITING,
    Progress,
    States,
)

POLICY = Policy(
    name="voice_message",
    why="A voice message's file lives 15 minutes at Genesys Cloud; no copy of it is kept here.",
    keeps_copy=False,
)
UPLOADS_A_RUN = 3
TRIES = 60
"""Runs that take a message up, an hour at one a minute; then it is given up, or is for a person."""
SETTLED = dt.timedelta(seconds=60)
"""After its request, longer than one may take, a message that is not in the conversation was not sent."""


class _Later(Exception):
    """Not now: the next run goes on."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class _LinkTooOld(Exception):
    """The upload's link may be dead before the request arrives; the request was kept back."""


class Delivery:
    """One message, until it is settled or must wait; `audio` and `voice` None: its pair is gone from the inbox."""

    def __init__(
        self,
        progress: Progress,
        voice: OutgoingVoice | None,
        audio: bytes | None,
        *,
        target: VoiceTarget,
        states: States,
        ledger: Ledger,
        texts: set[str],
        still_ours: Callable[[], None],
        now: Callable[[], dt.datetime],
    ) -> None:
        """`texts`: ids of the conversation's messages that are known to be other transcripts."""
        self.progress = dataclasses.replace(progress, attempts=progress.attempts + 1)
        self._voice, self._audio, self._target = voice, audio, target
        self._states, self._ledger, self._texts = states, ledger, texts
        self._still_ours, self._now = still_ours, now
        self._uploaded: UploadedVoice | None = None
        self._link_made = 0.0

    def run(self) -> Progress:
        """As far as it goes now. Raises permanent GenesysErrors, StorageError."""
        try:
            self._resume()
            while not self.progress.settled:
                match self.progress.step:
                    case "ready":
                        self._upload()
                    case "uploaded":
                        self._send()
                    case "sending":
                        self._look_up()
                    case "sent":
                        self._routed()
                    case "texting":
                        self._look_up_text()
        except _Later as later:
            self._wait(later)
        return self.progress

    def _resume(self) -> None:
        """What an earlier run left: an upload without an answer is lost, a link without its process as well."""
        step = self.progress.step
        if step == UPLOADING:
            self._set(step=READY, uploads_lost=self.progress.uploads_lost + 1)
        elif step == UPLOADED and self._target.link_seconds is not None:
            self._set(step=READY)
        elif step == UPLOADED and self.progress.media_id is not None:
            self._uploaded = UploadedVoice(media_id=self.progress.media_id)

    def _upload(self) -> None:
        if self._voice is None or self._audio is None:
            self._finish(FAILED, "pair_gone", "Its files were taken out of the inbox before it was sent.")
            return

        def announced() -> None:
            self._still_ours()
            if self.progress.step != UPLOADING:
                self._save(step=UPLOADING)
            self._link_made = time.monotonic()

        for _ in range(UPLOADS_A_RUN):
            begun = self._now()
            try:
                self._uploaded = self._target.upload_voice(self._voice, self._audio, announced)
            except (Refused, PermissionMissing, NotFound) as error:
                self._finish(FAILED, _reason(error), str(error))
                return
            except GenesysError as error:
                self._not_uploaded(error)
                failure = error
                continue
            media_id = self._uploaded.media_id
            self._schedule(media_id, begun)
            self._save(step=UPLOADED, media_id=media_id, uploaded_at=begun)
            return
        raise _Later(failure.reason, str(failure))

    def _not_uploaded(self, error: GenesysError) -> None:
        """Back to where it was; an upload may be repeated, but one that may have had its effect is told."""
        if self.progress.step == UPLOADING:
            lost = not isinstance(error, RateLimited | Unreached) and not error.permanent
            self._save(step=READY, uploads_lost=self.progress.uploads_lost + lost)
        if error.permanent:
            raise error
        if isinstance(error, RateLimited | Unreached):
            raise _Later(error.reason, str(error))

    def _send(self) -> None:
        if self._voice is None or self._uploaded is None:
            self._finish(FAILED, "pair_gone", "Its files were taken out of the inbox before it was sent.")
            return
        uploaded = self._uploaded

        def announced() -> None:
            self._still_ours()
            life = self._target.link_seconds
            if life is not None and time.monotonic() - self._link_made >= life:
                raise _LinkTooOld
            media_ids = tuple(dict.fromkeys((*self.progress.media_ids, uploaded.media_id)))
            if self.progress.step != SENDING:
                self._save(step=SENDING, sending_at=self._now(), media_ids=media_ids)

        try:
            message_id = self._target.send_voice(self._voice, uploaded, announced)
        except _LinkTooOld:
            self._save(step=READY)
        except (Refused, PermissionMissing, NotFound) as error:
            self._finish(FAILED, _reason(error), str(error))
        except GenesysError as error:
            self._unsure(error, UPLOADED, SENDING)
        else:
            self._save(step=SENT_STEP, message_id=message_id, sent_at=self._now())

    def _unsure(self, error: GenesysError, before: str, intent: str) -> None:
        """A request failed: known to have had no effect, or left as an intent that is looked up next."""
        known = isinstance(error, RateLimited | Unreached) or error.permanent  # the latter: no valid token
        if known and self.progress.step == intent:
            self._save(step=before)
        if error.permanent:
            raise error
        if self.progress.step != intent:
            raise _Later(error.reason, str(error))
        self._set(reason=error.reason, detail=str(error))

    def _look_up(self) -> None:
        """Whether a send that was not confirmed arrived."""
        progress = self.progress
        if not self._target.can_look_up or progress.conversation_id is None:
            self._finish(IN_DOUBT, "unconfirmed", _ask_a_person("it was sent, and no answer came"))
            return
        try:
            found = self._target.find_voice(progress.conversation_id, progress.media_ids)
        except NotFound as error:
            self._finish(IN_DOUBT, "not_found", _ask_a_person(str(error)))
            return
        except GenesysError as error:
            raise _unknown(error) from error
        if found is not None:
            self._save(step=SENT_STEP, message_id=found or None, sent_at=self._now(), reason=None, detail=None)
        elif progress.sending_at is not None and self._now() - progress.sending_at < SETTLED:
            raise _Later("unconfirmed", "It was sent without an answer, and is looked for once more in a minute.")
        else:
            if self._uploaded is None and progress.media_id is not None:
                self._uploaded = UploadedVoice(media_id=progress.media_id)
            self._save(step=UPLOADED, reason=None, detail=None)

    def _routed(self) -> None:
        """The audio is with the guest: schedule its deletion, then send the transcript where it goes apart."""
        progress = self.progress
        if progress.media_id is not None:
            self._schedule(progress.media_id, progress.uploaded_at or self._now(), progress.sent_at)
        if not self._target.texts_apart or progress.transcript_message_id is not None:
            self._finish(SENT, None, None)
        elif self._voice is None:
            self._finish(SENT, "transcript_lost", "Its files were taken out of the inbox before its text was sent.")
        else:
            self._send_text(self._voice)

    def _send_text(self, voice: OutgoingVoice) -> None:
        def announced() -> None:
            self._still_ours()
            if self.progress.step != TEXTING:
                self._save(step=TEXTING, texting_at=self._now())

        try:
            message_id = self._target.send_text(voice, announced)
        except (Refused, PermissionMissing, NotFound) as error:
            self._finish(SENT, "transcript_refused", f"The audio was sent, its transcript was not: {error}")
        except GenesysError as error:
            self._unsure(error, SENT_STEP, TEXTING)
        else:
            self._finish(SENT, None, None, transcript_message_id=message_id)

    def _look_up_text(self) -> None:
        progress = self.progress
        if self._voice is None or progress.conversation_id is None or progress.texting_at is None:
            self._finish(SENT, "transcript_unconfirmed", "The audio was sent; whether its transcript was is not known.")
            return
        since, text = progress.texting_at, self._voice.transcript
        try:
            found = self._target.find_text(progress.conversation_id, text, since, self._texts)
        except NotFound as error:
            self._finish(SENT, "transcript_unconfirmed", f"The audio was sent; of its transcript: {error}")
            return
        except GenesysError as error:
            raise _unknown(error) from error
        if found is not None:
            self._finish(SENT, None, None, transcript_message_id=found)
        elif self._now() - since < SETTLED:
            raise _Later("transcript_unconfirmed", "The audio was sent; its transcript is looked for in a minute.")
        else:
            self._save(step=SENT_STEP, reason=None, detail=None)

    def _schedule(self, media_id: str, now: dt.datetime, routed_at: dt.datetime | None = None) -> None:
        progress = self.progress
        subject = Subject(
            kind="attachment", id=media_id, conversation_id=progress.conversation_id, day=progress.day,
            sha256=progress.sha256,
        )  # fmt: skip
        self._ledger.schedule(subject, POLICY, now=now, routed_at=routed_at)

    def _wait(self, later: _Later) -> None:
        if self.progress.attempts < TRIES:
            self._save(status=WAITING, reason=later.reason, detail=str(later))
        elif self.progress.step == SENDING:
            self._finish(IN_DOUBT, "unconfirmed", _ask_a_person(str(later)))
        elif self.progress.step in (SENT_STEP, TEXTING):
            self._finish(SENT, "transcript_unconfirmed", f"The audio was sent; of its transcript: {later}")
        else:
            self._finish(FAILED, later.reason, f"Given up after {TRIES} runs: {later}")

    def _finish(self, status: str, reason: str | None, detail: str | None, **changes: object) -> None:
        self._save(step=DONE, status=status, reason=reason, detail=detail, **changes)

    def _save(self, **changes: object) -> None:
        self._set(**changes)
        self._states.put(self.progress)

    def _set(self, **changes: object) -> None:
        self.progress = dataclasses.replace(self.progress, **changes)  # type: ignore[arg-type]


def _reason(error: GenesysError) -> str:
    """Why a message failed, for the table."""
    if isinstance(error, Refused):
        return {413: "too_large", 415: "not_accepted"}.get(error.status or 0, "refused")
    return "not_found" if isinstance(error, NotFound) else error.reason


def _unknown(error: GenesysError) -> _Later:
    """A question about what arrived that could not be asked."""
    if error.permanent and not isinstance(error, PermissionMissing):
        raise error
    return _Later("unconfirmed", f"It was sent without an answer, and could not be looked up: {error}")


def _ask_a_person(what: str) -> str:
    return (
        f"Nobody can tell whether the guest has it: {what} It is not sent again by itself. Look into the conversation, "
        "then `media-pipeline voice resolve <message_key> --sent` or `--resend`."
    )
