"""Deletion in the guides' dialect: a retention in minutes for any medium, and DELETE for attachments.

The guides know no deletion of recordings: those are given a retention of a minute, and looked for afterwards.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from media_pipeline.genesys.errors import NotFound
from media_pipeline.genesys.messaging_source import Doomed, LastLook, Lifetimes
from media_pipeline.genesys.pacing import Patience
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import decoded_or_nothing, path_segment

ONCE = Patience(retries=0)
"""The ledger tries again, later and after looking at the holds anew."""
AT_ONCE = "1m"
KEPT = dt.timedelta(days=365)
PERMISSION = "media:delete"
RETENTION_PERMISSION = "archivings:export"


class GuideDeletion:
    """RetentionTarget and Lifetimes over the guides' endpoints."""

    dialect = "guide"

    def __init__(self, api: Transport) -> None:
        self._api = api

    @property
    def lifetimes(self) -> Lifetimes:
        """By a call of its own."""
        return self

    def retention_of(self, media: Doomed, ttl_seconds: int) -> str | None:
        """Whole minutes, rounded up; recordings only when they are due, as nothing else deletes them."""
        return f"{max(1, -(-ttl_seconds // 60))}m" if media.kind == "attachment" else None

    def set_retention(self, media: Doomed, retention: str, last_look: LastLook) -> None:
        """One POST."""
        self._retain(media, retention, last_look)

    def deletion_of(self, media: Doomed, earliest: dt.datetime) -> tuple[str, dt.datetime] | None:
        """A minute for recordings."""
        return (AT_ONCE, earliest + dt.timedelta(minutes=1)) if media.kind == "recording" else None

    def can_delete(self, media: Doomed) -> bool:
        """Both kinds."""
        return True

    def delete(self, media: Doomed, deletion: tuple[str, dt.datetime] | None, last_look: LastLook) -> None:
        """DELETE of an attachment, or a recording's retention of a minute."""
        if deletion is not None:
            self._retain(media, deletion[0], last_look)
        else:
            self._delete(media, last_look)

    def is_gone(self, media: Doomed, last_look: LastLook) -> bool:
        """By the recording's facts; attachments have none, so that their deletion is asked for again."""
        try:
            if media.kind == "attachment":
                self._delete(media, last_look)
            else:
                self._api.call(
                    "media", "GET", f"/api/v2/media/{path_segment(media.id)}", permission="media:view", patience=ONCE
                )
        except NotFound:
            return True
        return False

    def keep_until(self, media: Doomed, due: dt.datetime, now: dt.datetime) -> dt.datetime:
        """A retention of a year from now."""
        self._retain(media, f"{round(KEPT.total_seconds() / 60)}m", None)
        return min(due, now) + KEPT

    def protect(self, conversation_ids: Sequence[str], *, protect: bool) -> bool:
        """The guides know no such thing."""
        return False

    def _retain(self, media: Doomed, duration: str, last_look: LastLook | None) -> None:
        self._api.call(
            "media_retention",
            "POST",
            f"/api/v2/media/recordings/{path_segment(media.id)}/retention",
            body={"retention": {"duration": duration}},
            permission=RETENTION_PERMISSION,
            accepted=(200, 204),
            decode=decoded_or_nothing,
            patience=ONCE,
            last_look=last_look,
        )

    def _delete(self, media: Doomed, last_look: LastLook) -> None:
        self._api.call(
            "attachment_delete",
            "DELETE",
            f"/api/v2/media/attachments/{path_segment(media.id)}",
            permission=PERMISSION,
            accepted=(200, 202, 204),
            decode=decoded_or_nothing,
            patience=ONCE,
            last_look=last_look,
        )
