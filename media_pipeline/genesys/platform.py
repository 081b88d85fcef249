"""The dialect of Genesys Cloud's published Platform API v2: one OrgSource out of the platform_* modules.

Operation codes (L1, R5, ...) are those of GENESYS_API.md. A recording is known by its conversation's and its own id; it
belongs to the UTC day of its conversation's start, the one clock every route has.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.errors import GenesysError, MalformedReply, NotFound, PermissionMissing, Undeliverable
from media_pipeline.genesys.messaging_source import EventBatch, EventTally, GuestFile, VoiceTarget
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.permissions import SENSITIVE, VIEW, needed_for
from media_pipeline.genesys.platform_annotations import ParticipantAttributes, not_carried
from media_pipeline.genesys.platform_batches import Batches, DeliveredFile, Delivery, Key
from media_pipeline.genesys.platform_conversations import DayConversations
from media_pipeline.genesys.platform_counting import Counting
from media_pipeline.genesys.platform_deletion import PlatformDeletion
from media_pipeline.genesys.platform_documents import Documents
from media_pipeline.genesys.platform_guest_files import attachment, attributes_of
from media_pipeline.genesys.platform_links import FileWanted, Links
from media_pipeline.genesys.platform_listing import Recordings, recording_metadata, state_of
from media_pipeline.genesys.platform_messages import PlatformMessages
from media_pipeline.genesys.platform_polling import Waiter
from media_pipeline.genesys.platform_retention import retained
from media_pipeline.genesys.platform_transcripts import segments_of
from media_pipeline.genesys.platform_voice import PlatformVoices
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
from media_pipeline.genesys.values import items, number, text

BYTES_PER_MB = 1_000_000
DEFAULT_LINK_SECONDS = 3_600.0
"""The published default of recordingBatchDownloadUrlTtl; it may be set to 2 to 60 minutes."""
REASONS: dict[FileState, tuple[str, str]] = {
    "archived": ("archived", "The source has archived the recording since it was listed."),
    "deleted": ("deleted", "The source has deleted the recording since it was listed."),
    "pending": ("not_ready", "The source has not finished preparing the link."),
    "error": ("source_error", "The source says fileState ERROR."),
    "undelivered": (
        "not_delivered",
        f"The source lists the recording as available and gives no link; likely {SENSITIVE} is missing, or {VIEW} for "
        "its division.",
    ),
}
"""What a state without a link means for a recording that is to be downloaded: reason and sentence."""


class PlatformSource(PlatformDeletion):
    """OrgSource over the published API; safe to use from threads."""

    def __init__(
        self, api: Transport, hosts: MediaHosts, stats: CallStats, patience: Patience, *, connections: int
    ) -> None:
        super().__init__(api)
        self._waiter = Waiter(patience)
        batches = Batches(api, self._waiter)
        self._links = Links(batches, self._waiter, self._link_seconds)
        self._conversations = DayConversations(api, self._waiter)
        self._counting = Counting(api)
        self._recordings = Recordings(api, batches, self._links)
        self._attributes = ParticipantAttributes(api)
        self._documents = Documents(api, hosts, stats, patience, connections=connections)
        self._messages = PlatformMessages(api)
        self._voices = PlatformVoices(api, hosts, stats, connections=connections)
        self.voices: VoiceTarget = self._voices

    def close(self) -> None:
        """Release connections and wake whoever waits."""
        self._waiter.close()
        self._documents.close()
        self._voices.close()
        self._api.close()

    def storage_use(self) -> StorageUse:
        """Bytes of type RECORDING by the content management's usage (Q1); the API names no limit."""
        body = self._api.get_json("usage", "/api/v2/contentmanagement/usage", permission=needed_for("usage"))
        for entry in items(body.get("types")):
            used = number(entry.get("totalDocumentByteCount"))
            if text(entry.get("type")) == "RECORDING" and used is not None:
                return StorageUse(used_mb=used / BYTES_PER_MB, limit_mb=None, basis="contentmanagement_usage")
        raise MalformedReply("The content management's usage does not name the bytes of the type RECORDING.")

    def storage_left_mb(self) -> float | None:
        """Unknown: there is no limit in the published API."""
        return None

    def list_day(self, day: dt.date, tally: ListingTally) -> Iterator[ListedRecording]:
        """Every recording of the conversations that started on the day; links on the way are kept in memory."""
        return self._recordings.of(self._conversations.of(day, tally), tally)

    def count_day(self, day: dt.date) -> DayCount:
        """Conversations with a recording, by the total of a query (L5); their recordings are not counted anywhere."""
        found = self._counting.conversations(day)
        return DayCount(day=day, recordings=None, conversations=found, basis="analytics_query_total")

    def sample(self, days: Sequence[DayCount], most: int) -> Sample:
        """Pages of conversations from several times of several days, and their recordings by one batch per hundred."""
        conversations = self._counting.some(days, most)
        return Sample(entries=len(conversations), files=list(self._recordings.of(conversations, ListingTally())))

    def list_again(self, day: dt.date, tally: ListingTally, known: Mapping[str, Sequence[Known]]) -> Iterator[Known]:
        """Conversations anew, recordings only of those that are new or had something unsettled."""
        return self._recordings.again(self._conversations.of(day, tally), known, tally)

    def expect(self, recordings: Iterable[ListedRecording]) -> None:
        """Ask for links of these in batches, unless they are held already."""
        self._links.expect(key for recording in recordings if (key := _key(recording)) is not None)

    def resolve(self, recording: ListedRecording) -> MediaFile:
        """A link that was not handed out before; waits for the batch that brings it."""
        key = _key(recording)
        if key is None:
            sentence = f"Recording {recording.recording_id!r} was listed without its conversation; list its day anew."
            raise Undeliverable("not_delivered", sentence)
        wanted = FileWanted(recording.file_index, recording.source_file, recording.source_files)
        found = self._links.take(key, wanted)
        if isinstance(found, Delivery):
            raise self._without_link(key, found)
        return MediaFile(file_name=None, content_type=found.content_type, size_bytes=None, md5=None, link=found.link)

    def transcript(self, recording: ListedRecording, *, alone: bool = True) -> list[Segment]:
        """The recording's transcript, or its communication's where there is no other recording."""
        return segments_of(self._documents.of(recording, alone=alone))

    def retained(self, older_than_days: int, max_pages: int, tally: RetentionTally) -> Iterator[Retained] | None:
        """The retention query (R7), page by page."""
        return retained(self._api, older_than_days, max_pages, tally)

    def media_of(self, interaction_id: str, recordings: Sequence[ListedRecording]) -> list[InteractionMedia]:
        """The recordings that the listing knows, with links by batch: no call an interaction.

        The published API has no list of an interaction's media; its recordings are what a day's listing finds. Whoever
        says first which are needed (`expect`) gets a hundred links with a request.
        """
        return [self._media_object(recording) for recording in recordings]

    def conversation_events(self, position: str, until: float, tally: EventTally) -> Iterator[EventBatch]:
        """Files in messages of guests, by a catch-up poll of the conversations with activity since."""
        return self._messages.since(position, until, tally)

    def guest_file(self, conversation_id: str, message_id: str | None, file_id: str) -> GuestFile:
        """Its message (M5): the hash, and a link that is new."""
        return attachment(self._api, conversation_id, message_id, file_id)

    def tell_context(self, conversation_id: str, facts: Mapping[str, str | int | bool]) -> bool:
        """Attributes of the guest's participant (W1): one call that reads, and one that writes where they differ."""
        return self._attributes.tell(conversation_id, attributes_of(facts))

    def not_carried(self, annotations: Sequence[Annotation]) -> dict[str, tuple[str, str]]:
        """What participant attributes cannot take."""
        return not_carried(annotations)

    def annotate(self, interaction_id: str, annotations: Sequence[Annotation]) -> bool:
        """Participant attributes (W1): one call that reads, and one that writes where something differs."""
        return self._attributes.annotate(interaction_id, annotations)

    def _media_object(self, recording: ListedRecording) -> InteractionMedia:
        link, reason = None, None
        if recording.file_state == "available":
            try:
                link = self.resolve(recording).link
            except GenesysError as error:
                if error.permanent and not isinstance(error, PermissionMissing):
                    raise
                reason = error.reason
        return InteractionMedia(
            media_type=recording.media_type,
            recording_id=recording.recording_id,
            file_index=recording.file_index,
            link=link,
            reason=reason,
        )

    def day_of(self, recording_id: str) -> dt.date:
        """Not to be found out: the published API knows recordings by their conversation only; raises NotFound."""
        raise NotFound(
            f"Genesys Cloud's published API cannot look up recording {recording_id!r} by its id alone, and no exported "
            "day under MEDIA_ROOT lists it. Export its day: media-pipeline export --date YYYY-MM-DD (the UTC day on "
            "which its conversation started)."
        )

    def _without_link(self, key: Key, delivery: Delivery) -> GenesysError:
        """Why a batch did not bring a recording, by its metadata."""
        files: list[DeliveredFile] = delivery.files.get(key, [])
        if files:
            sentence = f"The source delivered {len(files)} file(s) of the recording; this one is not among them."
            return Undeliverable("not_delivered", sentence)
        state: FileState = "deleted"
        try:
            metadata = recording_metadata(self._api, key[0])
        except (PermissionMissing, NotFound) as error:
            return error
        for entry in metadata:
            if text(entry.get("id")) == key[1]:
                state = state_of(entry, finished=delivery.finished)
        reason, sentence = REASONS[state]
        said = delivery.refused.get(key) or delivery.refused.get((key[0], ""))
        return Undeliverable(reason, f"{sentence} It said: {said}." if said else sentence)

    def _link_seconds(self) -> float:
        """How long links live by the org's settings (R8); the published default where they are not to be had."""
        try:
            body = self._api.get_json("settings", "/api/v2/recording/settings", permission="none")
        except (PermissionMissing, NotFound, MalformedReply):
            return DEFAULT_LINK_SECONDS
        minutes = number(body.get("recordingBatchDownloadUrlTtl"))
        return minutes * 60 if minutes and minutes > 0 else DEFAULT_LINK_SECONDS


def _key(recording: ListedRecording) -> Key | None:
    return (recording.conversation_id, recording.recording_id) if recording.conversation_id else None
