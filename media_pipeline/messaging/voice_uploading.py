"""The audio of a voice message to the source: may be repeated, and what may be left there of a lost try is told."""

from __future__ import annotations

import time

from media_pipeline.genesys.errors import GenesysError, RateLimited, StillPreparing, Unreached
from media_pipeline.genesys.messaging_source import OutgoingVoice, UploadedVoice, VoiceTarget
from media_pipeline.messaging.voice_state import FAILED, READY, UPLOADED, UPLOADING
from media_pipeline.messaging.voice_way import NOT_TAKEN, Later, Way, reason_of

UPLOADS_A_RUN = 3


class Uploading:
    """Uploads one message's audio, and knows how long what was uploaded can be sent."""

    def __init__(self, way: Way, target: VoiceTarget) -> None:
        self._way, self._target = way, target
        self._link_made = 0.0
        self.uploaded: UploadedVoice | None = None

    def resume(self) -> None:
        """What an earlier run left: an upload without an answer is lost, a link without its process as well."""
        way, progress = self._way, self._way.progress
        if progress.step == UPLOADING:
            way.set(step=READY, uploads_lost=progress.uploads_lost + 1)
        elif progress.step == UPLOADED and self._target.link_seconds is not None:
            way.set(step=READY)
        elif progress.step == UPLOADED:
            self.take_up()

    def take_up(self) -> None:
        """An upload that is known by its id alone."""
        media_id = self._way.progress.media_id
        if self.uploaded is None and media_id is not None:
            self.uploaded = UploadedVoice(media_id=media_id)

    def is_too_old(self) -> bool:
        """Whether the upload's link may be dead before a request with it arrives."""
        life = self._target.link_seconds
        return life is not None and time.monotonic() - self._link_made >= life

    def upload(self, voice: OutgoingVoice, audio: bytes) -> None:
        """Until it is there; raises Later."""
        way = self._way

        begun = way.now()

        def announced() -> None:
            nonlocal begun
            begun = way.now()  # after all waiting: its time to live counts from here
            way.still_ours()
            if way.progress.step != UPLOADING:
                way.save(step=UPLOADING)
            self._link_made = time.monotonic()

        for _ in range(UPLOADS_A_RUN):
            try:
                self.uploaded = self._target.upload_voice(voice, audio, announced)
            except NOT_TAKEN as error:
                way.finish(FAILED, reason_of(error), str(error))
                return
            except GenesysError as error:
                self._failed(error)
                failure = error
                continue
            way.schedule(self.uploaded.media_id, begun)
            way.save(step=UPLOADED, media_id=self.uploaded.media_id, uploaded_at=begun)
            return
        raise Later(failure.reason, str(failure), sick=True)

    def _failed(self, error: GenesysError) -> None:
        """Back to where it was; one that may have had its effect is told."""
        way = self._way
        if way.progress.step == UPLOADING:
            lost = not isinstance(error, RateLimited | Unreached) and not error.permanent
            way.save(step=READY, uploads_lost=way.progress.uploads_lost + lost)
        if error.permanent:
            raise error
        if isinstance(error, RateLimited | Unreached | StillPreparing):
            raise Later(error.reason, str(error), sick=not isinstance(error, StillPreparing))
