"""What becomes of a pair that is settled: removed when it was sent, else set aside below the inbox for a person.

`.in_doubt/` keeps what nobody knows the end of until it is resolved; `.failed/` and `.rejected/` keep audio for a week.
All of it may be killed anywhere and done again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from media_pipeline.messaging.inbox import INCOMING, METADATA_SUFFIX, Inbox, Incoming, VoiceMessage
from media_pipeline.messaging.voice_state import FAILED, IN_DOUBT, REJECTED, SENT, Progress
from media_pipeline.storage.files import sync_folder

KEPT_SECONDS = 7 * 24 * 3600.0
_FOLDERS = {IN_DOUBT: ".in_doubt", FAILED: ".failed", REJECTED: ".rejected"}


def settle_pair(inbox: Inbox, progress: Progress, message: VoiceMessage | None) -> None:
    """Take a settled message's files out of the inbox; its row must be durable. `message`: None where it is gone.

    The JSON file goes first, so that half of it done is no pair.
    """
    metadata = inbox.folder / f"{progress.name}{METADATA_SUFFIX}"
    if progress.status == SENT:
        metadata.unlink(missing_ok=True)
        for audio in _files(inbox.folder, progress.name):
            audio.unlink(missing_ok=True)
        return
    aside = inbox.own_folder(_FOLDERS[progress.status])
    if message is not None:
        complete = message.model_copy(
            update={
                "message_key": progress.message_key,
                "size_bytes": progress.size_bytes,
                "received_at": progress.received_at,
            }
        )
        with Incoming(inbox.own_folder(INCOMING)) as file:
            file.write(complete.model_dump_json(exclude_none=True, indent=1).encode())
            file.move(aside / f"{progress.message_key}{METADATA_SUFFIX}")
        metadata.unlink(missing_ok=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            metadata.rename(aside / f"{progress.message_key}{METADATA_SUFFIX}")
    for number, audio in enumerate(_files(inbox.folder, progress.name)):
        with contextlib.suppress(FileNotFoundError):
            audio.rename(aside / f"{progress.message_key}{f'.{number}' if number else ''}{audio.suffix}")
    sync_folder(aside)


def bring_back(inbox: Inbox, message_key: str, status: str) -> bool:
    """Put a pair that was set aside into the inbox again; False when it is not there."""
    aside = inbox.folder / _FOLDERS[status]
    metadata = aside / f"{message_key}{METADATA_SUFFIX}"
    audio = list(_files(aside, message_key))
    there = list(_files(inbox.folder, message_key))
    if not metadata.is_file() or len(audio) + len(there) != 1:
        return (inbox.folder / metadata.name).is_file() and len(there) == 1  # by a call that was killed at its end
    for path in (*audio, metadata):
        os.utime(path)
        path.rename(inbox.folder / path.name)
    sync_folder(inbox.folder)
    return True


def forget(inbox: Inbox, message_key: str, status: str) -> None:
    """Remove what was set aside of a message."""
    aside = inbox.folder / _FOLDERS[status]
    for path in (aside / f"{message_key}{METADATA_SUFFIX}", *_files(aside, message_key)):
        path.unlink(missing_ok=True)


def expire(inbox: Inbox, now: float | None = None) -> int:
    """Remove audio that failed or was rejected a week ago; the number of files."""
    limit, removed = (time.time() if now is None else now) - KEPT_SECONDS, 0
    for status in (FAILED, REJECTED):
        folder = inbox.folder / _FOLDERS[status]
        with contextlib.suppress(FileNotFoundError):
            for path in list(folder.iterdir()):
                if path.lstat().st_ctime < limit:  # when it was put there
                    path.unlink(missing_ok=True)
                    removed += 1
    return removed


def _files(folder: Path, stem: str) -> Iterator[Path]:
    """All but the JSON file of a name."""
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            if path.stem == stem and path.suffix != METADATA_SUFFIX and path.name[0] != "." and not path.is_dir():
                yield path
