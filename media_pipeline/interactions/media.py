"""The media objects of one interaction: what the source names and what the day's listing knows, as one list; its rows.

Rows are those of the table interaction_media; which interactions a day has is the asset's subject.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from media_pipeline.genesys.source import InteractionMedia, ListedRecording, RecordingSource
from media_pipeline.interactions.beginning import Beginning, Beginnings
from media_pipeline.interactions.content import content_of
from media_pipeline.interactions.matrix import expected_of, judged, media_type_named
from media_pipeline.transfer.outcome import Ending
from media_pipeline.transfer.recording import REASON_OF_STATE

Row = dict[str, Any]

NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Known:
    """What the archive knows of one file of the interaction: its listing, and its object where it is stored."""

    listed: ListedRecording
    object_key: str | None = None
    source_size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class MediaObject:
    """One media object; `found` is None for a recording that the source does not count to the interaction (any more),
    `known` for what the day's listing does not have."""

    media_id: str
    media_type: str | None
    found: InteractionMedia | None
    known: Known | None

    @property
    def reason(self) -> str | None:
        """Why there are no bytes to look at, as far as source or listing say."""
        if self.found is not None and (self.found.link or self.found.reason):
            return self.found.reason
        return REASON_OF_STATE[self.known.listed.file_state] if self.known else None


def merged(found: Sequence[InteractionMedia], known: Sequence[Known]) -> list[MediaObject]:
    """Each media object once, sorted by id: the source's, and recordings of the listing that it does not name.

    An object without an id is taken to be the recording that alone is left of its media type: one that is still being
    prepared has no id yet. Any other gets an id out of its place, or of its number in the list.
    """
    left = {(one.listed.recording_id, one.listed.file_index): one for one in known}
    files = Counter(one.listed.recording_id for one in known)
    objects: dict[str, MediaObject] = {}
    unnamed: list[InteractionMedia] = []
    for one in found:
        if one.recording_id is None:
            unnamed.append(one)
            continue
        media_id = _media_id(one.recording_id, one.file_index, files)
        mine = left.pop((one.recording_id, one.file_index), None)
        if media_id not in objects:
            objects[media_id] = MediaObject(media_id, media_type_named(one.media_type), one, mine)
    for number, one in enumerate(unnamed):
        media_type = media_type_named(one.media_type)
        alike = [key for key, each in left.items() if media_type_named(each.listed.media_type) == media_type]
        alone = len(alike) == 1 and sum(media_type_named(each.media_type) == media_type for each in unnamed) == 1
        mine = left.pop(alike[0]) if alone else None
        media_id = _media_id(*alike[0], files) if alone else _made_up_id(one, number)
        objects.setdefault(media_id, MediaObject(media_id, media_type, one, mine))
    for (recording_id, file_index), mine in left.items():
        media_id = _media_id(recording_id, file_index, files)
        objects.setdefault(media_id, MediaObject(media_id, media_type_named(mine.listed.media_type), None, mine))
    return [objects[media_id] for media_id in sorted(objects)]


def payload_hash(rows: Sequence[Row]) -> str:
    """SHA-256 in lower hex of all that is known of an interaction: another hash, other metadata."""
    text = json.dumps(rows, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def location(link: str | None) -> tuple[str | None, str | None]:
    """Host and path of a link: nothing that opens it, so neither query nor credentials."""
    try:
        parts = urlsplit(link or "")
        return parts.hostname, parts.path.partition(";")[0].lstrip("/") or None
    except ValueError:
        return None, None


@dataclass(frozen=True, slots=True)
class Examiner:
    """Makes rows of media objects, looking into their bytes; safe to use from threads."""

    source: RecordingSource
    beginnings: Beginnings

    def row(self, interaction_id: str, media: MediaObject, earlier: Row | None) -> Row:
        """One row; `earlier`: that of an earlier run, whose verdict holds while the object lies where it lay.

        Raises permanent GenesysErrors and StorageError only.
        """
        listed = media.known.listed if media.known else None
        expected = expected_of(media.media_type)
        host, key = location(media.found.link if media.found else None)
        row: Row = {
            "interaction_id": interaction_id,
            "media_id": media.media_id,
            "recording_id": listed.recording_id if listed else media.found.recording_id if media.found else None,
            "file_index": listed.file_index if listed else 0,
            "media_type": media.media_type,
            "expected_formats": expected.text,
            "storage_host": host,
            "storage_key": key,
            "needs_transcription": expected.needs_transcription,
            "needs_thumbnail": expected.needs_thumbnail,
            "declared_format": listed.format if listed else None,
        }
        if earlier is not None and _still_holds(earlier, row):
            return earlier
        return row | self._verdict(media, row["declared_format"])

    def _verdict(self, media: MediaObject, declared: str | None) -> Row:
        try:
            beginning = self._beginning(media)
        except Ending as ending:
            if ending.reason != "zero_bytes":
                return _columns(NOT_CHECKED, ending.reason)
            beginning = Beginning(b"", whole=True)
        if not beginning.data:
            return _columns("unreadable", "empty")
        content = content_of(beginning.data, whole=beginning.whole)
        return _columns(*judged(media.media_type, declared, content)) | {
            "detected_format": content.format,
            "detected_codec": content.codec,
        }

    def _beginning(self, media: MediaObject) -> Beginning:
        known = media.known
        if known is not None and known.object_key is not None:
            stored = self.beginnings.of_object(known.object_key, known.source_size_bytes or 0)
            if stored is not None:
                return stored
        if media.reason is not None:
            raise Ending(media.reason)
        link = media.found.link if media.found else None
        if link is None and media.found is not None:  # the source names the object, and no place
            raise Ending("no_file")
        return self.beginnings.of_link(link, lambda: self.source.resolve(known.listed).link if known else None)


def _still_holds(earlier: Row, row: Row) -> bool:
    told = ("storage_host", "storage_key", "media_type", "declared_format", "recording_id", "file_index")
    return earlier["format_verdict"] != NOT_CHECKED and all(earlier[name] == row[name] for name in told)


def _columns(verdict: str, reason: str | None) -> Row:
    return {"format_verdict": verdict, "reason": reason, "detected_format": None, "detected_codec": None}


def _media_id(recording_id: str, file_index: int, files: Counter[str]) -> str:
    return f"{recording_id}.{file_index}" if files[recording_id] > 1 else recording_id


def _made_up_id(media: InteractionMedia, number: int) -> str:
    place = "/".join(part for part in location(media.link) if part)
    return f"place-{hashlib.sha256(place.encode()).hexdigest()[:16]}" if place else f"unnamed-{number}"


def by_interaction(rows: Iterator[Row]) -> Iterator[tuple[str, list[Row]]]:
    """Rows sorted by interaction_id, an interaction at a time."""
    group: list[Row] = []
    for row in rows:
        if group and group[0]["interaction_id"] != row["interaction_id"]:
            yield group[0]["interaction_id"], group
            group = []
        group.append(row)
    if group:
        yield group[0]["interaction_id"], group
