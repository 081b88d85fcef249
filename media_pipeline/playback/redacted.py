"""A recording in which is silent what was redacted in its transcript: any range of it, made while it is read.

Nothing is stored, and every other byte is as it was. It takes an archived WAV file whose samples stand alone
(`privacy.silence`), and a transcript of the redactor's present version: what cannot be made silent, and what nobody
knows the words of, is refused; so are recordings of several files, as their transcripts do not say which is meant.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import threading
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from media_pipeline.playback.archived import ArchivedMedia
from media_pipeline.playback.catalogue import Entry
from media_pipeline.playback.refusals import refused
from media_pipeline.privacy.findings import TYPES
from media_pipeline.privacy.segments import TOTAL_COLUMN
from media_pipeline.privacy.silence import MAX_HEADER_BYTES, CannotSilence, Layout, Span, read_layout, with_silence
from media_pipeline.storage.base import Stat
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import table_key
from media_pipeline.tables.redaction import TABLE, is_redacted, tells_of_one_file

PLACEHOLDER = re.compile(rf"\[({'|'.join(sorted(TYPES))})\]")
"""What stands in a transcript for something of this kind."""
JOINED_MS = 250
"""Redacted utterances with no longer pause between them are silent in one go."""
LOOK_SECONDS = 15.0
"""How old a look at a day's transcripts may be; a player seeks often."""
KNOWN, KNOWN_DAYS = 1_000, 400
_COLUMNS = ["start_ms", "end_ms", TOTAL_COLUMN]
_Name = tuple[str, int, dt.date, str | None, Stat | None]


def joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that overlap or nearly touch made one; [start_ms, end_ms)."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + JOINED_MS:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


class RedactedMedia:
    """An archived recording with silence; pieces may be asked for from one thread at a time."""

    modified: int | None = None
    """A transcript may change when its recording does not: only the tag tells versions apart."""

    def __init__(self, media: ArchivedMedia, entry: Entry, layout: Layout, spans: tuple[tuple[int, int], ...]) -> None:
        self._media, self._layout = media, layout
        self._spans = [Span(*span) for span in spans]
        frames = [layout.frames(span) for span in self._spans]
        self._starts = [layout.offset + each.start * layout.frame_bytes for each in frames]
        self._stops = [layout.offset + each.stop * layout.frame_bytes for each in frames]
        self.size, self.ranged = media.size, media.ranged
        self.tag = hashlib.sha256(f"{entry.sha256} {spans}".encode()).hexdigest()

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes of a span as they are read; raises what the recording's raises."""
        at = start
        for piece in self._media.pieces(start, stop):
            near = self._spans[bisect_right(self._stops, at) : bisect_left(self._starts, at + len(piece))]
            yield with_silence(piece, at, self._layout, near) if near else piece
            at += len(piece)

    def abort(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Let go of the object."""
        self._media.close()


@dataclass(frozen=True, slots=True)
class _Known:
    """What is to be silent, None where nobody knows, and where the samples are (None: not looked for yet)."""

    spans: tuple[tuple[int, int], ...] | None
    layout: Layout | None = None


class Redactions:
    """Knows what is to be silent; safe to use from threads."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._known: OrderedDict[_Name, _Known] = OrderedDict()
        self._versions: dict[dt.date, tuple[float, Stat | None]] = {}
        self._lock = threading.Lock()

    def applied(self, media: ArchivedMedia, entry: Entry) -> ArchivedMedia | RedactedMedia:
        """It with silence, itself where nothing is redacted; raises Refusal, UnreadableError, StorageError."""
        name = (entry.recording_id, entry.file_index, entry.day, entry.sha256, self._version(entry.day))
        with self._lock:
            known = self._known.get(name)
        if known is None:
            known = self._keep(name, _Known(self._spans(entry)))
        if known.spans is None:
            raise refused("not_redactable")
        if not known.spans:
            return media
        if known.layout is None:
            known = self._keep(name, _Known(known.spans, _layout(media)))
        assert known.layout is not None
        assert known.spans is not None
        return RedactedMedia(media, entry, known.layout, known.spans)

    def _keep(self, name: _Name, known: _Known) -> _Known:
        with self._lock:
            self._known[name] = known
            self._known.move_to_end(name)
            while len(self._known) > KNOWN:
                self._known.popitem(last=False)
        return known

    def _version(self, day: dt.date) -> Stat | None:
        """Which transcripts the day has now, None where it has none; a transcript is read once for each."""
        looked, version = self._versions.get(day, (float("-inf"), None))
        if time.monotonic() - looked > LOOK_SECONDS:
            key = table_key(TABLE, day)
            found = self._tables.store.stats(key.rpartition("/")[0] + "/")
            version = next((stat for name, stat in found if name == key), None)
            with self._lock:
                if len(self._versions) >= KNOWN_DAYS:
                    self._versions.clear()
                self._versions[day] = (time.monotonic(), version)
        return version

    def _spans(self, entry: Entry) -> tuple[tuple[int, int], ...] | None:
        if not is_redacted(self._tables, entry.day):
            return None
        if not tells_of_one_file(self._tables, entry.day, entry.recording_id):
            return None
        rows = self._tables.rows_about(TABLE, entry.day, entry.recording_id, _COLUMNS)
        return tuple(joined((row["start_ms"], row["end_ms"]) for row in rows if row[TOTAL_COLUMN])) if rows else None


def _layout(media: ArchivedMedia) -> Layout:
    head = b""
    try:
        for piece in media.pieces(0, min(media.size, MAX_HEADER_BYTES)):
            head += piece
            if (layout := read_layout(head)) is not None:
                return layout
    except CannotSilence:
        pass
    raise refused("not_redactable")
