"""What was accepted under which key, so that a request sent twice is one message: digests only, kept for a week.

A receipt says `accepted` before the message is put into the inbox and `published` afterwards: a repetition that finds
the first one publishes again under the same message key, which the inbox and whoever sends it take as the same message.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from media_pipeline.messaging.inbox import RECEIPTS, Inbox
from media_pipeline.storage.files import sync_folder
from media_pipeline.storage.lock import locked

KEEP_SECONDS = 7 * 24 * 3600.0
LOCK = ".lock"
_ACCEPTED, _PUBLISHED = "accepted", "published"


class OtherContent(Exception):
    """This key was used for another message."""


@dataclass
class Receipt:
    """What is known of a key while its lock is held."""

    path: Path
    content: str
    is_published: bool

    def note(self, *, published: bool) -> None:
        """Write it down, durably."""
        temporary = self.path.with_suffix(".new")
        facts = {"content": self.content, "status": _PUBLISHED if published else _ACCEPTED}
        with temporary.open("w") as file:
            json.dump(facts, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        sync_folder(self.path.parent)


def message_key_of(caller: str, idempotency_key: str) -> str:
    """The message key that a caller's key always stands for."""
    return hashlib.sha256(f"{caller}\0{idempotency_key}".encode()).hexdigest()[:32]


@contextlib.contextmanager
def receipt(inbox: Inbox, message_key: str, content: str) -> Iterator[Receipt]:
    """The receipt of a key, held until the context is left; raises OtherContent, or TimeoutError after 30 s."""
    folder = inbox.own_folder(RECEIPTS)
    with locked(folder / LOCK):
        path = folder / f"{message_key}.json"
        try:
            known = json.loads(path.read_text())
        except (FileNotFoundError, ValueError):  # torn by a power cut: as if it had not been
            known = {"content": content, "status": None}
        if known["content"] != content:
            raise OtherContent
        yield Receipt(path, content, known["status"] == _PUBLISHED)
