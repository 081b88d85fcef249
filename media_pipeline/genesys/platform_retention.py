"""The retention list: every recording the org keeps, with the date it will be deleted on (R7).

It has no filter but "retained for more days than", and no documented order: a recording that dies tomorrow may be on
any page, so that there is no page at which one may stop early. A page of 500 costs a call: 200 calls per 100,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs, quote, urlsplit

from media_pipeline.genesys.errors import MalformedReply
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.source import Retained, RetentionTally
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import items, text, time

PAGE_SIZE = 500
"""The published maximum."""


def retained(api: Transport, older_than_days: int, max_pages: int, tally: RetentionTally) -> Iterator[Retained]:
    """All recordings kept for more days than this; raises MalformedReply when the list goes round in circles."""
    cursor: str | None = None
    landmark, next_landmark = "", 1
    while tally.pages < max_pages:
        after = "" if cursor is None else f"&cursor={quote(cursor, safe='')}"
        body = api.get_json(
            "retention",
            f"/api/v2/recordings/retention/query?retentionThresholdDays={older_than_days}&pageSize={PAGE_SIZE}{after}",
            permission=needed_for("retention"),
        )
        if not isinstance(body.get("entities"), list):
            raise MalformedReply("A page of the retention query has no list of entities.")
        tally.pages += 1
        tally.entries += len(body["entities"])
        tally.malformed += len(body["entities"])
        for entry in items(body["entities"]):
            recording = _retained(entry)
            if recording is not None:
                tally.malformed -= 1
                yield recording
        cursor = _cursor(body.get("nextUri"))
        if cursor is None:
            tally.complete = True
            return
        if cursor == landmark:
            raise MalformedReply("The retention query repeats itself: the same cursor came twice.")
        if tally.pages == next_landmark:  # any circle is noticed within three rounds, with one cursor in memory
            landmark, next_landmark = cursor, next_landmark * 2


def _cursor(next_uri: object) -> str | None:
    """The cursor in the next page's address, of which nothing else is followed; None on the last page."""
    if next_uri is None or next_uri == "":
        return None
    try:
        found = parse_qs(urlsplit(text(next_uri) or "").query).get("cursor")
    except ValueError:
        found = None
    if not found:
        raise MalformedReply("The retention query names a next page without a cursor.")
    return found[0]


def _retained(entry: dict[str, object]) -> Retained | None:
    conversation_id, recording_id = text(entry.get("conversationId")), text(entry.get("recordingId"))
    created_at = time(entry.get("creationTime"))
    if conversation_id is None or recording_id is None or created_at is None:
        return None
    return Retained(
        conversation_id=conversation_id,
        recording_id=recording_id,
        created_at=created_at,
        delete_date=time(entry.get("deleteDate")),
        archive_date=time(entry.get("archiveDate")),
    )
