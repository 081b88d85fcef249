"""Decides, for one listed recording, whether anything is to be fetched, and turns what happened into its row.

Rows are those of the table recording_audio; how bytes travel is `download.py`'s subject.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

from media_pipeline.genesys.errors import GenesysError, PermissionMissing
from media_pipeline.genesys.source import FileState, ListedRecording, MediaFile, RecordingSource
from media_pipeline.storage.base import ObjectStore
from media_pipeline.transfer.adopt import adopted
from media_pipeline.transfer.download import Downloader
from media_pipeline.transfer.outcome import EMPTY, PENDING, STORED, UNAVAILABLE, Effort, Ending, Stored

Refetch = Literal["nothing", "absent", "everything"]
"""What is asked for again although an earlier run settled it: nothing, what had no file, or all of it."""

REASON_OF_STATE: dict[FileState, str | None] = {
    "available": None,
    "pending": "not_ready",
    "archived": "archived",
    "deleted": "deleted",
    "error": "source_error",
    "undelivered": "not_delivered",
}
"""Why nothing is fetched for a recording that the listing calls so."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One file of the inventory, with where its object belongs and the row an earlier run gave it."""

    listed: ListedRecording
    codec_supported: bool
    object_key: str
    earlier: Row | None


@dataclass(frozen=True, slots=True)
class Result:
    """The row, what it cost, and whether it was settled without asking the source.

    `kept`: why a fetch anew brought nothing, where the row is that of what was stored before.
    """

    task: Task
    row: Row
    effort: Effort
    reused: bool
    kept: Ending | None = None


@dataclass(frozen=True, slots=True)
class Exporter:
    """Takes recordings one by one, from any thread."""

    source: RecordingSource
    store: ObjectStore
    downloader: Downloader
    present: Callable[[str], int | None]
    refetch: Refetch = "nothing"
    only: Collection[str] = ()

    def will_resolve(self, task: Task) -> bool:
        """Whether `export` is going to ask the source for a link."""
        listed = task.listed
        fetched = task.codec_supported and REASON_OF_STATE[listed.file_state] is None
        return fetched and self._wanted(task) and not self._settled(task)

    def in_doubt(self, task: Task) -> Row | None:
        """The row that holds while a stored object is fetched anew: a kill may leave a new one with the old row.

        It has what the stored row says of the object, for the next run to prove the object by.
        """
        if task.earlier is None or task.earlier["status"] != STORED or not self.will_resolve(task):
            return None
        return task.earlier | {
            "status": PENDING,
            "reason": "not_ready",
            "detail": "A run was stopped while it fetched it anew.",
        }

    def _wanted(self, task: Task) -> bool:
        return not self.only or task.listed.recording_id in self.only

    def export(self, task: Task) -> Result:
        """Settle one recording; only errors that stop the whole run are raised (credentials, storage)."""
        wanted, task = self._wanted(task), self._without_doubt(task)
        if task.earlier is not None and (not wanted or self._settled(task)):
            return Result(task, task.earlier, Effort(), reused=True)
        effort = Effort()
        started = time.monotonic()
        media: MediaFile | None = None
        kept: Ending | None = None
        try:
            _refuse_what_cannot_be_fetched(task)
            if not wanted:
                raise Ending("not_requested")
            media = self._resolved(task.listed)
            _refuse_without_bytes(media)
            stored = self._adopted(task, media, effort) or self.downloader.download(
                media, task.object_key, lambda: self._resolved(task.listed), effort, task.listed.format
            )
            row = _stored_row(task, stored)
        except Ending as ending:
            if task.earlier is not None and self._holds(task.earlier):  # nothing was published in its place
                kept, row = ending, task.earlier
            else:
                row = _row(task, media, status=ending.status, reason=ending.reason, detail=ending.sentence)
        effort.seconds = time.monotonic() - started
        return Result(task, row, effort, reused=False, kept=kept)

    def _without_doubt(self, task: Task) -> Task:
        """The task with its stored row again, if that was put in doubt and the object's own bytes prove it."""
        doubted = task.earlier
        if doubted is None or doubted["status"] != PENDING or doubted.get("object_key") is None:
            return task
        named = MediaFile(
            file_name=None,
            content_type=None,
            size_bytes=doubted["source_size_bytes"],
            md5=doubted["md5"],
            link=None,
        )
        found = adopted(self.store, doubted["object_key"], named)
        if found is not None and found.sha256 == doubted["sha256"]:
            proved = {"status": STORED, "reason": None, "detail": None, "stored_size_bytes": found.stored_size_bytes}
            return replace(task, earlier=doubted | proved)
        state = {name: doubted[name] for name in ("status", "reason", "detail")}
        return replace(task, earlier=_row(task, None, **state))

    def _holds(self, earlier: Row) -> bool:
        """Whether a row says stored and its object is there in its size."""
        if earlier["status"] != STORED:
            return False
        size = self.present(earlier["object_key"])
        return size is not None and size == earlier["stored_size_bytes"]

    def _settled(self, task: Task) -> bool:
        """Whether an earlier row still holds, so that a finished day costs no request."""
        earlier = task.earlier
        if earlier is None or self.refetch == "everything":
            return False
        if earlier["status"] == STORED:
            return self._holds(earlier)
        state = task.listed.file_state
        unchanged = earlier["listed_state"] == state
        if state == "available" and earlier["reason"] in ("archived", "deleted"):
            return False  # it was gone when its link was asked for, and is listed as there again
        return earlier["status"] in (EMPTY, UNAVAILABLE) and unchanged and self.refetch == "nothing"

    def _adopted(self, task: Task, media: MediaFile, effort: Effort) -> Stored | None:
        """The object that a killed run had published already, if its bytes prove to be the source's."""
        if self.refetch == "everything" or self.present(task.object_key) is None:
            return None
        settled = task.earlier is not None and task.earlier["status"] != PENDING
        if settled and media.size_bytes is None and media.md5 is None:
            return None  # the object may be of another file that was here before, and nothing tells
        found = adopted(self.store, task.object_key, media)
        effort.adopted = found is not None
        return found

    def _resolved(self, listed: ListedRecording) -> MediaFile:
        try:
            return self.source.resolve(listed)
        except GenesysError as error:
            if error.permanent and not isinstance(error, PermissionMissing):
                raise
            raise Ending(error.reason, str(error)) from None


def compared(listed: ListedRecording, row: Row) -> dict[str, bool]:
    """What was compared about a file whose bytes came, and whether it held: what is not stated is not compared.

    `md5`: ours with the source's. `listed_size`: bytes received with the size in the listing. `announced_size`: bytes
    received with what the replies announced.
    """
    stored, reason = row["status"] == STORED, row.get("reason")
    found: dict[str, bool] = {}
    if stored or reason == "md5_mismatch":
        if row["source_md5"] is not None:
            found["md5"] = stored and str(row["source_md5"]).lower() == row["md5"]
        if listed.size_bytes is not None and stored:
            found["listed_size"] = row["source_size_bytes"] == listed.size_bytes
    if stored or reason in ("md5_mismatch", "short_body", "bad_range"):
        found["announced_size"] = reason not in ("short_body", "bad_range")
    return found


def _refuse_without_bytes(media: MediaFile) -> None:
    if media.link is None:  # before the size: a source without a file may well call its size 0
        raise Ending("no_file")
    if media.size_bytes == 0:
        raise Ending("zero_bytes")


def _refuse_what_cannot_be_fetched(task: Task) -> None:
    listed = task.listed
    reason = REASON_OF_STATE[listed.file_state]
    # A recording without a file has no format yet: that must not pass as a format nobody wants.
    if not task.codec_supported and not (reason and listed.format is None):
        raise Ending("codec")
    if reason:
        raise Ending(reason)


def _stored_row(task: Task, stored: Stored) -> Row:
    return _row(
        task,
        stored.media,
        status=STORED,
        object_key=task.object_key,
        content_type=stored.content_type,
        source_size_bytes=stored.source_size_bytes,
        stored_size_bytes=stored.stored_size_bytes,
        md5=stored.md5,
        sha256=stored.sha256,
        integrity_basis=stored.integrity_basis,
    )


def _row(task: Task, media: MediaFile | None, **columns: object) -> Row:
    listed = task.listed
    row: Row = {
        "recording_id": listed.recording_id,
        "conversation_id": listed.conversation_id,
        "file_index": listed.file_index,
        "file_name": media.file_name if media else listed.file_name,
        "content_type": media.content_type if media else None,
        "source_size_bytes": media.size_bytes if media else listed.size_bytes,
        "source_md5": media.md5 if media else listed.md5,
        "listed_state": listed.file_state,
    }
    return row | columns
