"""Redaction: what can be done about personal data in MEDIA_ROOT, without Genesys Cloud, credentials or Dagster."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from media_pipeline.archive import Span as Days
from media_pipeline.archive import days_of
from media_pipeline.audit.log import AuditLog
from media_pipeline.privacy.segments import TOTAL_COLUMN
from media_pipeline.privacy.silence import Span
from media_pipeline.settings import Settings
from media_pipeline.storage.lease import Lease, LeaseHeld
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.partition import Row, Tables
from media_pipeline.tables.paths import lease_key, silenced_key
from media_pipeline.tables.redaction import (
    TABLE,
    Redacted,
    is_redacted,
    redact_day,
    remove_unredacted,
    tells_of_one_file,
    transcript_days,
    unredacted_days,
)
from media_pipeline.transfer.outcome import STORED
from media_pipeline.transfer.silenced import Copy, write_silenced


@dataclass(slots=True)
class Outcome:
    """What became of the days: redacted now, redacted before, left because a run holds them; raw copies removed."""

    redacted: list[Redacted] = field(default_factory=list)
    already: int = 0
    held: list[dt.date] = field(default_factory=list)
    copies_removed: int = 0


@dataclass(frozen=True, slots=True)
class Silenced:
    """A recording's copies, and how many stretches are silent in each; none when nothing was redacted in it."""

    day: dt.date
    copies: list[Copy]
    spans: int


class Redaction:
    """Redacts days that were written before redaction, and makes silenced copies of recordings."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or Settings.load()
        self._store = open_store(self._settings.root, self._settings.spool, self._settings.concurrency)
        self._tables = Tables(self._store)
        self._run_id = f"redact-{uuid.uuid4()}"

    def days(
        self,
        span: Days | None,
        *,
        drop_unredacted: bool = False,
        progress: Callable[[dt.date], None] = lambda _: None,
    ) -> Outcome:
        """Bring raw days of a span, both included, or all up to date; each is done or untouched.

        `drop_unredacted` removes their copies under unredacted/ for good. Raises ValueError when the span has no
        transcripts or MEDIA_KEEP_UNREDACTED asks for what is to be dropped, StorageError.
        """
        if drop_unredacted and self._settings.keep_unredacted:
            raise ValueError("MEDIA_KEEP_UNREDACTED=1 keeps what --drop-unredacted removes: choose one of them.")
        known = transcript_days(self._store)
        asked = known if span is None else days_of(*span)
        days = sorted(set(known) & set(asked))
        if not days:
            raise ValueError(f"No transcripts of these days are under MEDIA_ROOT={self._store.url}: nothing to redact.")
        self._store.check_writable()
        outcome, copies = Outcome(), set(unredacted_days(self._store))
        for day in days:
            progress(day)
            self._one_day(day, outcome)
            if drop_unredacted and day in copies and day not in outcome.held:
                remove_unredacted(self._tables, day)
                self._tell(day, "unredacted_removed")
                outcome.copies_removed += 1
        return outcome

    def audio(self, recording_id: str, day: dt.date | None = None, *, by_channel: bool = False) -> Silenced:
        """Write copies of a recording's files in which its redacted segments are silent, in all channels.

        `by_channel` leaves the others as they are: a segment's channel is a side of the line, and nothing promises
        that the audio's channels are numbered alike.
        Raises ValueError when nothing is stored of it or its day is raw, CannotSilence, UnreadableError, StorageError.
        """
        for found in [day] if day else reversed(transcript_days(self._store)):
            rows = self._tables.rows_about("recording_audio", found, recording_id)
            stored = [row for row in rows if row["status"] == STORED]
            if stored:
                return self._silence(recording_id, found, stored, by_channel)
        raise ValueError(f"No stored recording {recording_id} with a day of transcripts: see `media-pipeline explain`.")

    def _one_day(self, day: dt.date, outcome: Outcome) -> None:
        if is_redacted(self._tables, day):
            outcome.already += 1
            return
        try:
            with self._held(day) as lease:
                done = redact_day(
                    self._tables, day, keep=self._settings.keep_unredacted, still_ours=lambda: lease.check()
                )
        except LeaseHeld:
            outcome.held.append(day)
            return
        outcome.redacted.append(done)
        self._tell(day, "transcripts_redacted", segments=done.segments, touched=done.touched, sidecars=done.sidecars)

    def _silence(self, recording_id: str, day: dt.date, stored: list[Row], by_channel: bool) -> Silenced:
        if not is_redacted(self._tables, day):
            raise ValueError(f"The transcripts of {day} are raw: run `media-pipeline redact --date {day}` first.")
        if not tells_of_one_file(self._tables, day, recording_id):
            raise ValueError(
                f"Recording {recording_id} has several files, and its transcript does not say whose times it has: "
                "nothing was silenced. Keep its files from whom must not hear all of them."
            )
        segments = self._tables.rows_about(TABLE, day, recording_id)
        spans = [
            Span(row["start_ms"], row["end_ms"], row["channel"] if by_channel else None)
            for row in segments
            if row[TOTAL_COLUMN]
        ]
        copies = []
        for row in stored if spans else ():
            copies.append(write_silenced(self._store, row, silenced_key(row["object_key"]), spans))
            self._tell(
                day,
                "audio_silenced",
                recording_id,
                file_index=row["file_index"],
                spans=len(spans),
                sha256=copies[-1].sha256,
            )
        return Silenced(day, copies, len(spans))

    @contextmanager
    def _held(self, day: dt.date) -> Iterator[Lease]:
        lease = Lease(self._store, lease_key(day), str(day), self._run_id)
        lease.acquire(wait_seconds=0)
        try:
            yield lease
        finally:
            lease.release()

    def _tell(self, day: dt.date, event: str, recording_id: str | None = None, **facts: object) -> None:
        log = AuditLog(self._store, self._settings.spool, day, self._run_id)
        try:
            log.emit(event, recording_id, **facts)
        finally:
            log.close()
