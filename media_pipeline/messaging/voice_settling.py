"""A person settles a voice message: it was sent after all, or it is to be sent again."""

from __future__ import annotations

import dataclasses
import datetime as dt

from media_pipeline.messaging.inbox import Inbox
from media_pipeline.messaging.retention import Ledger, Subject
from media_pipeline.messaging.voice_aside import bring_back, forget
from media_pipeline.messaging.voice_run import Emit
from media_pipeline.messaging.voice_state import FAILED, IN_DOUBT, REJECTED, SENT, WAITING, Progress, States
from media_pipeline.messaging.voice_table import VoiceTable, find
from media_pipeline.messaging.voice_way import POLICY
from media_pipeline.tables.partition import Row, Tables


class Unsettleable(ValueError):
    """The message is none that a person can settle, or its files are gone: the sentence says which."""


def settle_as_sent(
    tables: Tables, inbox: Inbox | None, message_key: str, *, who: str, emit: Emit, now: dt.datetime
) -> Row:
    """The guest has it: its row says sent, its upload is deleted in time, its files go. Raises Unsettleable."""
    day, row = _open(tables, message_key, (IN_DOUBT,))
    emit("voice_message_resolved", message_key=message_key, resolution="sent", who=who, before=row["status"])
    if row["media_id"] is not None:
        subject = Subject(
            kind="attachment", id=row["media_id"], conversation_id=row["conversation_id"], day=day, sha256=row["sha256"]
        )
        Ledger(tables.store).schedule(subject, POLICY, now=now, routed_at=now)
    if inbox is not None:
        forget(inbox, message_key, row["status"])  # before its row: after a kill, who says it again finds it in doubt
    return _changed(tables, day, row, status=SENT, reason="settled_by_person", detail=None)


def send_again(tables: Tables, inbox: Inbox | None, message_key: str, *, who: str, emit: Emit, now: dt.datetime) -> Row:
    """The guest does not have it: its files go back into the inbox. Raises Unsettleable."""
    day, row = _open(tables, message_key, (IN_DOUBT, FAILED, REJECTED, WAITING))
    if inbox is None:
        raise Unsettleable("MEDIA_INBOX is no folder: set it to the folder that the message came from.")
    emit("voice_message_resolved", message_key=message_key, resolution="resend", who=who, before=row["status"])
    before = str(row["reason"]).removeprefix("resend_") if row["status"] == WAITING else row["status"]
    progress = Progress(
        message_key, day, message_key, row["conversation_id"], row["sender_id"], row["received_at"],
        **{name: row[name] for name in ("content_type", "size_bytes", "sha256", "duration_ms", "uploads_lost")},
    )  # fmt: skip
    States(tables.store).put(dataclasses.replace(progress, reason=f"resend_{before}"))
    after = _changed(tables, day, row, status=WAITING, reason=f"resend_{before}", detail=None)
    if not bring_back(inbox, message_key, before):
        States(tables.store).remove(message_key)
        _changed(tables, day, after, status=before, reason=row["reason"], detail=row["detail"])
        raise Unsettleable(
            f"The files of {message_key} are not below {inbox.folder} any more (what failed is kept for a week): put "
            "the message into the inbox anew, as a new one."
        )
    return after


def _open(tables: Tables, message_key: str, statuses: tuple[str, ...]) -> tuple[dt.date, Row]:
    found = find(tables, message_key)
    if found is None:
        raise Unsettleable(
            f"There is no voice message {message_key!r}; media-pipeline voice list names those there are."
        )
    day, row = found
    if row["status"] not in statuses or (row["status"] == WAITING and not str(row["reason"]).startswith("resend_")):
        raise Unsettleable(f"The voice message {message_key} is {row['status']}: there is nothing to settle like this.")
    return day, row


def _changed(tables: Tables, day: dt.date, row: Row, **changes: object) -> Row:
    table = VoiceTable(tables, day, day)
    after = row | changes
    table.put(day, after)
    table.save()
    return after
