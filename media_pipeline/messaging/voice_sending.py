"""One voice message on its way: upload, send, transcript; each announced on disk before it goes out, none sent twice.

What nobody knows the end of is looked up where the source can tell (published API), and is for a person where it
cannot (guides): there every failure of the server behind a send is one of these, as a 500 or 504 may have come after
the effect.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable

from media_pipeline.genesys.errors import GenesysError, NotFound
from media_pipeline.genesys.messaging_source import OutgoingVoice, VoiceTarget
from media_pipeline.messaging.retention import Ledger
from media_pipeline.messaging.voice_state import (
    FAILED,
    IN_DOUBT,
    READY,
    SENDING,
    SENT,
    SENT_STEP,
    TEXTING,
    UPLOADED,
    Progress,
    States,
)
from media_pipeline.messaging.voice_transcript import look_up_transcript, send_transcript
from media_pipeline.messaging.voice_uploading import Uploading
from media_pipeline.messaging.voice_way import NOT_TAKEN, Later, Way, reason_of, unknown

TRIES = 60
"""Runs that take a message up, an hour at one a minute; then it is given up, or is for a person."""


class _LinkTooOld(Exception):
    """The request was kept back."""


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
        begun = dataclasses.replace(progress, attempts=progress.attempts + 1)
        self._way = Way(begun, states=states, ledger=ledger, still_ours=still_ours, now=now)
        self._uploading = Uploading(self._way, target)
        self._voice, self._audio, self._target, self._texts = voice, audio, target, texts
        self.is_source_sick = False
        """Whether it waits because the source failed, not because of itself."""

    def run(self) -> Progress:
        """As far as it goes now. Raises permanent GenesysErrors, StorageError."""
        way = self._way
        try:
            self._uploading.resume()
            while not way.progress.settled:
                match way.progress.step:
                    case "ready":
                        self._upload()
                    case "uploaded":
                        self._send()
                    case "sending":
                        self._look_up()
                    case "sent":
                        self._routed()
                    case "texting":
                        look_up_transcript(way, self._target.lookup, self._voice, self._texts)
        except Later as later:
            self.is_source_sick = later.sick
            self._wait(later)
        return way.progress

    def _upload(self) -> None:
        if self._voice is None or self._audio is None:
            self._pair_gone()
        else:
            self._uploading.upload(self._voice, self._audio)

    def _send(self) -> None:
        way, uploaded = self._way, self._uploading.uploaded
        if self._voice is None or uploaded is None:
            self._pair_gone()
            return

        def announced() -> None:
            if self._uploading.is_too_old():
                raise _LinkTooOld
            media_ids = tuple(dict.fromkeys((*way.progress.media_ids, uploaded.media_id)))
            way.announce(SENDING, "sending_at", media_ids=media_ids)

        try:
            message_id = self._target.send_voice(self._voice, uploaded, announced)
        except _LinkTooOld:
            way.save(step=READY)
        except NOT_TAKEN as error:
            way.finish(FAILED, reason_of(error), str(error))
        except GenesysError as error:
            way.unsure(error, UPLOADED, SENDING)
        else:
            way.save(step=SENT_STEP, message_id=message_id, sent_at=way.now())

    def _look_up(self) -> None:
        """Whether a send that was not confirmed arrived."""
        way, progress, lookup = self._way, self._way.progress, self._target.lookup
        if lookup is None or progress.conversation_id is None:
            way.finish(IN_DOUBT, "unconfirmed", _ask_a_person("it was sent, and no answer came."))
            return
        try:
            found = lookup.find_voice(progress.conversation_id, progress.media_ids)
        except NotFound as error:
            way.finish(IN_DOUBT, "not_found", _ask_a_person(str(error)))
            return
        except GenesysError as error:
            raise unknown(error) from error
        if found is not None:
            way.save(step=SENT_STEP, message_id=found or None, sent_at=way.now(), reason=None, detail=None)
        elif way.is_fresh(progress.sending_at):
            raise Later("unconfirmed", "It was sent without an answer, and is looked for once more in a minute.")
        else:
            self._uploading.take_up()
            way.save(step=UPLOADED, reason=None, detail=None)

    def _routed(self) -> None:
        """The audio is with the guest: schedule its deletion, then send the transcript where it goes apart."""
        way, progress = self._way, self._way.progress
        if progress.media_id is not None:
            way.schedule(progress.media_id, progress.uploaded_at or way.now(), progress.sent_at)
        send_transcript(way, self._target.texts, self._voice)

    def _pair_gone(self) -> None:
        self._way.finish(FAILED, "pair_gone", "Its files were taken out of the inbox before it was sent.")

    def _wait(self, later: Later) -> None:
        way = self._way
        if way.progress.attempts < TRIES:
            way.wait(later)
        elif way.progress.step == SENDING:
            way.finish(IN_DOUBT, "unconfirmed", _ask_a_person(str(later)))
        elif way.progress.step in (SENT_STEP, TEXTING):
            way.finish(SENT, "transcript_unconfirmed", f"The audio was sent; of its transcript: {later}")
        else:
            way.finish(FAILED, later.reason, f"Given up after {TRIES} runs: {later}")


def _ask_a_person(what: str) -> str:
    return (
        f"Nobody can tell whether the guest has it: {what} It is not sent again by itself. Look into the conversation, "
        "then `media-pipeline voice resolve <message_key> --sent` or `--resend`."
    )
