"""Deletion in the published API: a recording's deleteDate (D1) and the protection of conversations (D4).

There is no DELETE of a recording: the org deletes it on its deleteDate, in days (GENESYS_API.md, section h).
Attachments of messages have neither a retention of their own nor a deletion.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from media_pipeline.genesys.errors import NotFound, Refused
from media_pipeline.genesys.guide_deletion import ONCE
from media_pipeline.genesys.messaging_source import Doomed, LastLook
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import decoded_or_nothing, path_segment, text

KEPT = dt.timedelta(days=3650)
MOST_PROTECTED = 100
"""Conversations in one call."""


class PlatformDeletion:
    """RetentionTarget over the published API."""

    dialect = "platform"
    lifetimes = None
    """A deleteDate is the deletion itself, and is set when it is due."""

    def __init__(self, api: Transport) -> None:
        self._api = api

    def deletion_of(self, media: Doomed, earliest: dt.datetime) -> tuple[str, dt.datetime] | None:
        """The first midnight that is not before the moment: days are the published granularity."""
        midnight = dt.datetime.combine(earliest.date(), dt.time(), dt.UTC)
        moment = midnight if midnight >= earliest else midnight + dt.timedelta(days=1)
        return (str(moment.date()), moment)

    def can_delete(self, media: Doomed) -> bool:
        """Recordings of known conversations."""
        return media.kind == "recording" and media.conversation_id is not None

    def delete(self, media: Doomed, deletion: tuple[str, dt.datetime] | None, last_look: LastLook) -> None:
        """One PUT of the deleteDate."""
        assert deletion is not None
        self._put(media, deletion[1], last_look)

    def is_gone(self, media: Doomed, last_look: LastLook) -> bool:
        """By the recording's metadata."""
        path = f"/api/v2/conversations/{path_segment(_conversation(media))}/recordingmetadata/{path_segment(media.id)}"
        try:
            found = self._api.call("metadata", "GET", path, permission=needed_for("metadata"), patience=ONCE)
        except NotFound:
            return True
        return isinstance(found, dict) and (text(found.get("fileState")) or "").upper() == "DELETED"

    def keep_until(self, media: Doomed, due: dt.datetime, now: dt.datetime) -> dt.datetime:
        """A deleteDate ten years after the deadline: the policy's own date is not brought back."""
        until = dt.datetime.combine((due + KEPT).date(), dt.time(), dt.UTC)
        self._put(media, until, None)
        return until

    def protect(self, conversation_ids: Sequence[str], *, protect: bool) -> bool:
        """D4, a hundred a call."""
        for first in range(0, len(conversation_ids), MOST_PROTECTED):
            self._api.call(
                "protection",
                "PUT",
                f"/api/v2/recordings/deletionprotection?protect={str(protect).lower()}",
                body={"conversationIds": list(conversation_ids[first : first + MOST_PROTECTED])},
                permission=needed_for("protection"),
                accepted=(200, 204),
                decode=decoded_or_nothing,
            )
        return True

    def _put(self, media: Doomed, delete_date: dt.datetime, last_look: LastLook | None) -> None:
        self._api.call(
            "recording_change",
            "PUT",
            f"/api/v2/conversations/{path_segment(_conversation(media))}/recordings/{path_segment(media.id)}",
            body={"deleteDate": delete_date.strftime("%Y-%m-%dT%H:%M:%S.000Z")},
            permission=needed_for("recording_change"),
            accepted=(200, 202, 204),
            decode=decoded_or_nothing,
            patience=ONCE,
            last_look=last_look,
        )


def _conversation(media: Doomed) -> str:
    """The published API knows recordings by their conversation only."""
    if media.conversation_id is None:
        raise Refused(f"Recording {media.id!r} was scheduled without its conversation.")
    return media.conversation_id
