"""A day's recordings: conversations in, one row per recorded file out, in as few calls as there are (R5, R6, R3).

A batch request names conversations only and so finds out which recordings there are. Metadata is asked for (one call a
conversation) only where a recording came without a link, or a batch brought less than it announced. A recording that is
left out unannounced while others of its conversation are delivered cannot be noticed here; a sweep over the retention
query (R7) finds those.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from urllib.parse import quote

from media_pipeline.genesys.errors import (
    GenesysError,
    MalformedReply,
    PermissionMissing,
    RateLimited,
    ServerError,
    StillPreparing,
    Unreached,
)
from media_pipeline.genesys.file_places import places
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.platform_batches import BATCH_ITEMS, Batches, DeliveredFile, Delivery, Job, Wanted
from media_pipeline.genesys.platform_facts import Conversation, file_state_of, format_of, media_type_of
from media_pipeline.genesys.platform_links import Links
from media_pipeline.genesys.seen import Seen
from media_pipeline.genesys.source import FileState, Known, ListedRecording, ListingTally
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import items, text

BATCHES_AHEAD = 20
"""Batches under way while a day is listed: with half a minute each, 100,000 conversations take 25 minutes."""
SETTLED_STATES = ("available", "archived")
"""A conversation whose files are all in one of these is not asked about again by a later listing.

One with a deleted file is, as long as it is listed: `deleted` is also what a listing that missed it once left behind.
"""

FAILURES_IN_A_ROW = 5
"""So many conversations one after the other that the source kept failing to answer for, half a minute each, and the
source is taken to be down."""
VAIN_GAPS = 3
"""A batch that brought less than it announced is looked into, a call a conversation, until that found nothing in so
many batches in a row: then the source counts otherwise than it delivers."""
TROUBLES = 20
"""Sentences kept of conversations that could not be read; their number is exact."""

Metadata = list[dict[str, object]]


def recording_metadata(api: Transport, conversation_id: str) -> Metadata:
    """The recordings of one conversation and their states (R3)."""
    reply = api.call(
        "metadata",
        "GET",
        f"/api/v2/conversations/{quote(conversation_id, safe='')}/recordingmetadata",
        permission=needed_for("metadata"),
    )
    if not isinstance(reply, list):
        raise MalformedReply(f"The recordings of conversation {conversation_id!r} are not a list.")
    return items(reply)


def state_of(found: dict[str, object], *, finished: bool) -> FileState:
    """The state of a recording without a link; while its batch is not finished, it may still come."""
    state = file_state_of(text(found.get("fileState")))
    return "pending" if state == "undelivered" and not finished else state


class Recordings:
    """Finds the recordings of conversations; links it learns on the way are kept by `links`."""

    def __init__(self, api: Transport, batches: Batches, links: Links) -> None:
        self._api = api
        self._batches = batches
        self._links = links
        self._failures = 0
        """Conversations in a row that waiting brought no answer for."""
        self._vain_gaps = 0

    def of(self, conversations: Iterable[Conversation], tally: ListingTally) -> Iterator[ListedRecording]:
        """Every recording of the conversations, each once; the first conversation that has it keeps it."""
        seen = Seen()
        for chunk, delivery in self._delivered(conversations, tally):
            self._links.learn(delivery)
            for _, found in self._whole(chunk, delivery, tally):
                ids = {listed.recording_id for listed in found}
                others = {recording_id for recording_id in ids if recording_id in seen}
                tally.duplicates += len(others)
                for recording_id in ids - others:
                    seen.add(recording_id)
                yield from (listed for listed in found if listed.recording_id not in others)

    def again(
        self, conversations: Iterable[Conversation], known: Mapping[str, Sequence[Known]], tally: ListingTally
    ) -> Iterator[Known]:
        """Ids and states, asking only about conversations that are new or have something unsettled.

        Costs a batch item for each of those, and metadata for those known to have a recording that did not come.
        """
        settled: list[Known] = []

        def to_ask() -> Iterator[Conversation]:
            for conversation in conversations:
                earlier = known.get(conversation.id, ())
                if earlier and all(one.file_state in SETTLED_STATES for one in earlier):
                    settled.extend(earlier)
                else:
                    yield conversation

        for chunk, delivery in self._delivered(to_ask(), tally):
            for conversation in chunk:
                unreadable = tally.unreadable
                if conversation.id in known:
                    expected = {one.recording_id for one in known[conversation.id]}
                    found = list(self._listed(conversation, delivery, tally, expected))
                else:
                    found = list(_delivered_files(conversation, delivery))
                if tally.unreadable > unreadable:  # what is known of it stands
                    yield from known[conversation.id]
                    continue
                yield from _placed(found, known.get(conversation.id, ()))
            yield from settled
            settled.clear()
        yield from settled

    def _delivered(
        self, conversations: Iterable[Conversation], tally: ListingTally
    ) -> Iterator[tuple[list[Conversation], Delivery]]:
        under_way: list[tuple[list[Conversation], Job]] = []
        unread = iter(conversations)
        while True:
            while len(under_way) < BATCHES_AHEAD and (chunk := list(islice(unread, BATCH_ITEMS))):
                job = self._batches.submit([Wanted(conversation.id) for conversation in chunk])
                under_way.append((chunk, job))
            if not under_way:
                return
            ready, delivery = self._batches.first_of([job for _, job in under_way])
            (chunk,) = (chunk for chunk, job in under_way if job is ready)
            under_way = [(chunk, job) for chunk, job in under_way if job is not ready]
            tally.ignored_results += delivery.ignored
            tally.unfinished_batches += not delivery.finished
            yield chunk, delivery

    def _whole(
        self, chunk: Sequence[Conversation], delivery: Delivery, tally: ListingTally
    ) -> list[tuple[Conversation, list[ListedRecording]]]:
        """What a batch and metadata tell of its conversations; of all of them where it brought less than announced."""
        listed = [(each, list(self._listed(each, delivery, tally))) for each in chunk]
        gap = delivery.missing - sum(_never_came(found, delivery) for _, found in listed)
        if gap <= 0:
            return listed
        if self._vain_gaps < VAIN_GAPS:
            self._vain_gaps += 1
            for conversation, found in listed:
                delivered = {each.recording_id for each in found if each.file_state == "available"}
                if _asked_about(conversation, delivered, delivery):
                    continue
                metadata = self._metadata(conversation, tally)
                further = list(_without_link(conversation, delivered, delivery, metadata or [], tally))
                if further:
                    self._vain_gaps = 0
                    gap -= _never_came(further, delivery)
                    found += further
        tally.missing_results += max(0, gap)
        return listed

    def _listed(
        self, conversation: Conversation, delivery: Delivery, tally: ListingTally, expected: Collection[str] = ()
    ) -> Iterator[ListedRecording]:
        """Recordings of a conversation; metadata is asked for where some of those `expected` did not come, too."""
        found = list(_delivered_files(conversation, delivery))
        yield from found
        delivered = {listed.recording_id for listed in found}
        refused = _refused(conversation, delivery)
        for partial in sorted(refused & delivered):  # one of its files is missing
            files = sum(listed.recording_id == partial for listed in found)
            yield _listed_file(conversation, partial, index=files, state="undelivered")
        if not _asked_about(conversation, delivered, delivery) and delivered.issuperset(expected):
            return
        metadata = self._metadata(conversation, tally)
        if metadata is None:
            return
        named = {text(entry.get("id")) for entry in metadata}
        for unknown in sorted(refused - delivered - named - {""}):  # the batch has it, the metadata does not
            yield _listed_file(conversation, unknown, state="undelivered" if delivery.finished else "pending")
        if not metadata and not found and not refused - {""}:
            tally.without_recording += 1
        yield from _without_link(conversation, delivered, delivery, metadata, tally)

    def _metadata(self, conversation: Conversation, tally: ListingTally) -> Metadata | None:
        """What there is of one conversation; None, and counted, where that is not to be known: its neighbours are.

        Raises GenesysError where no conversation will be answered for.
        """
        try:
            found = recording_metadata(self._api, conversation.id)
        except (RateLimited, Unreached):
            raise
        except GenesysError as error:
            if error.permanent and not isinstance(error, PermissionMissing):
                raise
            self._failures = self._failures + 1 if isinstance(error, ServerError | StillPreparing) else 0
            if self._failures >= FAILURES_IN_A_ROW:
                raise ServerError(
                    f"Genesys Cloud did not say which recordings {self._failures} conversations in a row have: {error} "
                    "Run the day again later."
                ) from None
            tally.unreadable += 1
            if len(tally.troubles) < TROUBLES:
                tally.troubles.append(f"The recordings of conversation {conversation.id!r} are not known: {error}")
            return None
        self._failures = 0
        return found


def _refused(conversation: Conversation, delivery: Delivery) -> set[str]:
    return {recording for owner, recording in delivery.refused if owner == conversation.id}


def _asked_about(conversation: Conversation, delivered: Collection[str], delivery: Delivery) -> bool:
    """Whether the batch itself shows that something of the conversation did not come."""
    return not (delivered and _refused(conversation, delivery).issubset(delivered) and delivery.finished)


def _never_came(listed: Iterable[ListedRecording], delivery: Delivery) -> int:
    """Recordings without a link or a word of the batch, which may be what it announced; of deleted ones it knows."""
    return sum(
        each.file_state not in ("available", "deleted")
        and (each.conversation_id or "", each.recording_id) not in delivery.refused
        for each in listed
    )


def _without_link(
    conversation: Conversation, delivered: Collection[str], delivery: Delivery, metadata: Metadata, tally: ListingTally
) -> Iterator[ListedRecording]:
    """Recordings that metadata names and the batch did not bring."""
    for entry in metadata:
        recording_id = text(entry.get("id"))
        if recording_id is None:
            tally.malformed += 1
        elif recording_id not in delivered:
            yield _listed_file(
                conversation,
                recording_id,
                media_type=media_type_of(text(entry.get("media"))),
                state=state_of(entry, finished=delivery.finished),
            )


def _placed(listed: Iterable[ListedRecording], earlier: Sequence[Known]) -> Iterator[Known]:
    """What was listed of one conversation, its files with the indexes that an earlier listing gave them."""
    by_recording: dict[str, list[ListedRecording]] = {}
    for file in listed:
        by_recording.setdefault(file.recording_id, []).append(file)
    for recording_id, files in by_recording.items():
        before = [one for one in earlier if one.recording_id == recording_id]
        for file, index in zip(files, places([file.source_file for file in files], before), strict=True):
            yield Known(
                recording_id=recording_id,
                file_index=index,
                file_state=file.file_state,
                source_file=file.source_file,
            )


def _delivered_files(conversation: Conversation, delivery: Delivery) -> Iterator[ListedRecording]:
    for recording_id, files in delivery.of_conversation(conversation.id):
        for index, file in enumerate(files):
            yield _listed_file(conversation, recording_id, index=index, file=file, files=len(files))


def _listed_file(
    conversation: Conversation,
    recording_id: str,
    *,
    index: int = 0,
    file: DeliveredFile | None = None,
    files: int | None = None,
    media_type: str | None = None,
    state: FileState = "available",
) -> ListedRecording:
    """One row; the duration stays open: the API states it for transcodes only, and a session's is not the file's."""
    content_type = file.content_type if file else None
    return ListedRecording(
        recording_id=recording_id,
        conversation_id=conversation.id,
        file_index=index,
        media_type=media_type or media_type_of(conversation.media_type, content_type),
        format=format_of(content_type),
        started_at=conversation.started_at,
        duration_seconds=None,
        file_state=state,
        communication_ids=conversation.communication_ids,
        agent_ids=conversation.agent_ids,
        queue_ids=conversation.queue_ids,
        source_file=file.identity if file else None,
        source_files=files,
    )
