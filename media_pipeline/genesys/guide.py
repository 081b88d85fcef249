"""The dialect of the five guides (`/api/v2/recordings`, `/api/v2/media/{id}`, ...): wire format in, domain models out.

These endpoints are not in Genesys Cloud's published API; the published dialect lives in `platform.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import quote

from media_pipeline.genesys.errors import MalformedReply, NotFound
from media_pipeline.genesys.guide_annotations import put_metadata
from media_pipeline.genesys.guide_deletion import GuideDeletion
from media_pipeline.genesys.guide_events import GuideEvents
from media_pipeline.genesys.guide_guest_files import guest_file_bytes, put_context
from media_pipeline.genesys.guide_voice import GuideVoices
from media_pipeline.genesys.messaging_source import EventBatch, EventTally, GuestFile, VoiceTarget
from media_pipeline.genesys.redaction import redact
from media_pipeline.genesys.source import (
    Annotation,
    DayCount,
    FileState,
    InteractionMedia,
    Known,
    ListedRecording,
    ListingTally,
    MediaFile,
    Retained,
    RetentionTally,
    Sample,
    Segment,
    StorageUse,
)
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import items, milliseconds, number, path_segment, seconds, size, text, time

PAGE_SIZE = 200
SAMPLE_PAGES = 3
MAX_PAGES = 1 << 20
"""A listing that still goes on there is taken to be endless."""
MAX_STALE_PAGES = 25
"""Pages in a row without one new recording after which a listing is taken to be endless."""

_FILE_STATES: dict[str | None, FileState] = {
    None: "available",
    "complete": "available",
    "completed": "available",
    "available": "available",
    "archived": "archived",
    "deleted": "deleted",
}


class GuideSource(GuideDeletion):
    """OrgSource over the guides' endpoints; a recording id is a media id, one file a recording."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self._events = GuideEvents(transport)
        self.voices: VoiceTarget = GuideVoices(transport)

    def close(self) -> None:
        """Release connections."""
        self._api.close()

    def storage_use(self) -> StorageUse:
        """Used and allowed MB as the quota call states them."""
        body = self._api.get_json("quota", "/api/v2/recordings/quota", permission="recording:read")
        used, limit = number(body.get("storage_used_mb")), number(body.get("storage_limit_mb"))
        if used is None:
            raise MalformedReply("The quota reply has no storage_used_mb.")
        if limit is None and body.get("storage_limit_mb") is not None:  # not the same as having none
            raise MalformedReply("The quota reply has a storage_limit_mb that is no number.")
        return StorageUse(used_mb=used, limit_mb=limit, basis="recordings_quota")

    def storage_left_mb(self) -> float | None:
        """The allowed less the used MB."""
        return self.storage_use().available_mb

    def list_day(self, day: dt.date, tally: ListingTally) -> Iterator[ListedRecording]:
        """Page through the day until an empty page; repeated entities count as duplicates, other days' are left."""
        query = _query(day)
        seen: set[str] = set()
        page, stale_pages = 1, 0
        while entities := self._page(query, page):
            tally.pages += 1
            before = len(seen)
            for entity in entities:
                recording = _listed(entity)
                if recording is None:
                    tally.malformed += 1
                elif recording.recording_id in seen:
                    tally.duplicates += 1
                else:
                    seen.add(recording.recording_id)
                    if recording.started_at is None or recording.started_at.date() == day:
                        yield recording
                    else:
                        tally.other_days += 1
            stale_pages = stale_pages + 1 if len(seen) == before else 0
            if stale_pages >= MAX_STALE_PAGES:
                raise MalformedReply(
                    f"The listing of {day} repeats itself: {stale_pages} pages up to page {page} had nothing new."
                )
            page += 1

    def count_day(self, day: dt.date) -> DayCount:
        """Recordings by the number of the last page, found in about 2 log2(pages) calls; one call up to 200 of them."""
        query, sizes = _query(day), {}

        def size(page: int) -> int:
            if page not in sizes:
                sizes[page] = len(self._page(query, page))
            return sizes[page]

        full, beyond = 0, 1  # the last page known to be full, and one known not to be
        while size(beyond) == PAGE_SIZE:
            full, beyond = beyond, beyond * 2
            if beyond > MAX_PAGES:
                raise MalformedReply(f"The listing of {day} has no end: page {full} is still full.")
        while beyond - full > 1:
            middle = (full + beyond) // 2
            full, beyond = (middle, beyond) if size(middle) == PAGE_SIZE else (full, middle)
        return DayCount(day=day, recordings=full * PAGE_SIZE + size(beyond), conversations=None, basis="list_pages")

    def sample(self, days: Sequence[DayCount], most: int) -> Sample:
        """Every n-th recording of up to three pages, from days that hold some."""
        holding = [count for count in days if count.entries]
        chosen = holding[:: max(1, -(-len(holding) // SAMPLE_PAGES))]
        found = []
        for turn, counted in enumerate(chosen, 1):
            page = -(-counted.entries // PAGE_SIZE) * turn // (len(chosen) + 1)
            entities = map(_listed, self._page(_query(counted.day), max(1, page)))
            found += [recording for recording in entities if recording is not None]
        files = found[:: max(1, -(-len(found) // most))]
        return Sample(entries=len(files), files=files)

    def list_again(self, day: dt.date, tally: ListingTally, known: Mapping[str, Sequence[Known]]) -> Iterator[Known]:
        """The listing itself: it gives ids and states at five calls per 1,000 recordings."""
        for listed in self.list_day(day, tally):
            yield Known(recording_id=listed.recording_id, file_index=listed.file_index, file_state=listed.file_state)

    def expect(self, recordings: Iterable[ListedRecording]) -> None:
        """Nothing to prepare: links are asked for one by one."""

    def resolve(self, recording: ListedRecording) -> MediaFile:
        """Name, type, size, MD5 and a fresh link in one call; the guides know one file of a recording."""
        if recording.file_index:
            raise NotFound(
                f"Recording {recording.recording_id!r} has no file {recording.file_index}: the guides know one each."
            )
        body = self._api.get_json("media", _path("media", recording.recording_id), permission="media:view")
        return MediaFile(
            file_name=_told(body.get("file_name")),
            content_type=_told(body.get("content_type")),
            size_bytes=size(body.get("file_size")),
            md5=(text(body.get("md5")) or "").strip().lower() or None,
            link=text(body.get("download_url")),
        )

    def transcript(self, recording: ListedRecording, *, alone: bool = True) -> list[Segment]:
        """Segments in order of time; fields that are missing become `unknown` or None, never a made-up figure."""
        body = self._api.get_json(
            "transcript", _path("recordings", recording.recording_id) + "/transcript", permission="transcript:read"
        )
        segments = body.get("segments")
        if not isinstance(segments, list):
            raise MalformedReply(f"The transcript of recording {recording.recording_id!r} has no list of segments.")
        parsed = [_segment(entry, recording.recording_id) for entry in segments]
        return sorted(parsed, key=lambda s: (s.start_ms, s.end_ms))

    def retained(self, older_than_days: int, max_pages: int, tally: RetentionTally) -> Iterator[Retained] | None:
        """The guides know no such list."""
        return None

    def day_of(self, recording_id: str) -> dt.date:
        """The UTC day of the media's created_date."""
        body = self._api.get_json("media", _path("media", recording_id), permission="media:view")
        created = time(body.get("created_date"))
        if created is None:
            raise MalformedReply(
                f"Genesys Cloud does not say when recording {recording_id!r} was created; name its day."
            )
        return created.date()

    def media_of(self, interaction_id: str, recordings: Sequence[ListedRecording]) -> list[InteractionMedia]:
        """The interaction's entities, one call; their storage locations are the links."""
        body = self._api.get_json(
            "interaction_media", _path("interactions", interaction_id) + "/media", permission="interaction:view"
        )
        if not isinstance(body.get("entities"), list):
            raise MalformedReply(f"The media of interaction {interaction_id!r} are not a list of entities.")
        found = []
        for entity in items(body["entities"]):
            location = entity.get("storageLocation")
            found.append(
                InteractionMedia(
                    media_type=text(entity.get("mediaType")),
                    recording_id=text(entity.get("recordingMediaId")),
                    link=text(location.get("url")) if isinstance(location, dict) else None,
                )
            )
        return found

    def conversation_events(self, position: str, until: float, tally: EventTally) -> Iterator[EventBatch]:
        """The event stream, gone on from the last event id."""
        return self._events.since(position, until, tally)

    def guest_file(self, conversation_id: str, message_id: str | None, file_id: str) -> GuestFile:
        """Nothing is said of it before its bytes, which come by its id and with the token."""
        return GuestFile(sha256=None, content=partial(guest_file_bytes, self._api, file_id))

    def tell_context(self, conversation_id: str, facts: Mapping[str, str | int | bool]) -> bool:
        """Replace the conversation's context, one call; what was there is not read."""
        put_context(self._api, _path("conversations", conversation_id), facts)
        return True

    def not_carried(self, annotations: Sequence[Annotation]) -> dict[str, tuple[str, str]]:
        """None: the guides' limits are those that every annotation keeps."""
        return {}

    def annotate(self, interaction_id: str, annotations: Sequence[Annotation]) -> bool:
        """Replace the interaction's metadata, one call; what was there is not read."""
        put_metadata(self._api, _path("interactions", interaction_id), annotations)
        return True

    def _page(self, query: str, number: int) -> list[Any]:
        body = self._api.get_json(
            "list",
            # percent-encoded: not every server reads a + in a query as a space, which httpx would send
            f"/api/v2/recordings?query={quote(query, safe='')}&pageSize={PAGE_SIZE}&pageNumber={number}",
            permission="recording:read",
        )
        entities = body.get("entities")
        if not isinstance(entities, list):
            raise MalformedReply(f"Page {number} of the recordings list has no list of entities.")
        return entities


def _query(day: dt.date) -> str:
    start = dt.datetime.combine(day, dt.time(), dt.UTC)
    return f"start_time:{_iso(start)} end_time:{_iso(start + dt.timedelta(days=1))}"


def _path(kind: str, recording_id: str) -> str:
    return f"/api/v2/{kind}/{path_segment(recording_id)}"


def _iso(moment: dt.datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _listed(entity: object) -> ListedRecording | None:
    if not isinstance(entity, dict) or not (recording_id := text(entity.get("id"))):
        return None
    status = text(entity.get("status"))
    return ListedRecording(
        recording_id=recording_id,
        conversation_id=text(entity.get("conversation_id")),
        media_type=text(entity.get("media_type")),
        format=(text(entity.get("format")) or "").strip().lower().lstrip(".") or None,
        started_at=time(entity.get("created_time")),
        duration_seconds=seconds(entity.get("duration_seconds")),
        file_state=_FILE_STATES.get(status.lower() if status else None, "pending"),
    )


def _told(value: object) -> str | None:
    """Text that is shown as it came, unless there is a URL in it, whose query may open doors."""
    told = text(value)
    return redact(told) if told is not None and "://" in told else told


def _segment(entry: object, recording_id: str) -> Segment:
    entry = entry if isinstance(entry, dict) else {}
    start, end = (milliseconds(entry.get(f"{edge}OffsetInMilliseconds")) for edge in ("start", "end"))
    if start is None or end is None:
        raise MalformedReply(f"The transcript of recording {recording_id!r} has a segment without offsets.")
    return Segment(
        start_ms=start,
        end_ms=end,
        text=text(entry.get("text")) or "",
        speaker=text(entry.get("speaker")) or "unknown",
        confidence=number(entry.get("confidence")),
    )
