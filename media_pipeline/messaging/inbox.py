"""The inbox of voice messages, MEDIA_INBOX: a folder of pairs, written by the service or by any other program.

A pair is an audio file and, beside it, `<same name>.json` with what `VoiceMessage` describes. The JSON file comes last
and under its final name at once (write elsewhere on the same file system, then rename): a pair without it does not
exist yet. A pair is complete when the audio has the stated size, or, where none is stated, when neither file has
changed for ten seconds. Names carry no meaning; those that begin with a dot, folders and links are left alone.

`.incoming/` holds what is being received, locked by the process that receives it; `.receipts/` belongs to `receipts`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import hashlib
import os
import re
import stat
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from media_pipeline.storage.files import make_folder, sync_folder

DEFAULT_TRANSCRIPT = "Voice message from guest"
INCOMING, RECEIPTS = ".incoming", ".receipts"
METADATA_SUFFIX = ".json"
SETTLE_SECONDS = 10.0
MAX_METADATA_BYTES = 64 * 1024
MAX_TRANSCRIPT = 2_000
"""Characters: what the published API takes as the text of one message."""
IDENTIFIER = r"^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}$"
"""Of conversations and senders: they become parts of URLs."""
MESSAGE_KEY = r"^[0-9a-f]{32}$"
UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202d\u202e\ud800-\udfff]")
"""Never shown to a guest: control characters but tab and line ends, overrides of the direction of writing."""
_MODE = 0o660
"""Less the umask; the inbox's own folder decides who reads it."""


class VoiceMessage(BaseModel):
    """The JSON file of a pair: for whom the audio is, and, where the writer knows, what proves it whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    conversation_id: str = Field(pattern=IDENTIFIER)
    sender_id: str = Field(pattern=IDENTIFIER)
    transcript: str = Field(DEFAULT_TRANSCRIPT, max_length=MAX_TRANSCRIPT)
    message_key: str | None = Field(None, pattern=MESSAGE_KEY)
    content_type: str | None = Field(None, max_length=128)
    size_bytes: int | None = Field(None, ge=1)
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    received_at: dt.datetime | None = None

    @field_validator("transcript")
    @classmethod
    def _showable(cls, value: str) -> str:
        if UNSHOWABLE.search(value):
            raise ValueError("holds control characters, or overrides the direction of writing")
        return value if value.strip() else DEFAULT_TRANSCRIPT

    @field_validator("received_at")
    @classmethod
    def _in_utc(cls, value: dt.datetime | None) -> dt.datetime | None:
        if value is None or value.tzinfo is None:
            return value and value.replace(tzinfo=dt.UTC)
        try:
            return value.astimezone(dt.UTC)
        except OverflowError:
            raise ValueError("is no moment that UTC has") from None


@dataclass(frozen=True, slots=True)
class Pair:
    """A complete pair, as it was when it was seen."""

    name: str
    audio: Path
    metadata: Path
    message: VoiceMessage
    size_bytes: int
    received_at: dt.datetime
    """As stated, else when the JSON file was written."""

    def open(self) -> BinaryIO:
        """The audio, to be read; raises OSError when it is gone or has become a link."""
        return os.fdopen(os.open(self.audio, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")

    def message_key(self, sha256: str) -> str:
        """The key of this message: the stated one, else one that the same pair always has and a changed one has not."""
        if self.message.message_key:
            return self.message.message_key
        parts = (self.name, self.message.conversation_id, self.message.sender_id, sha256)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class NotReady:
    """Files that make no complete pair: `reason` for tables, `sentence` for people; `waiting`: time alone may help."""

    name: str
    reason: str
    sentence: str
    waiting: bool = False


class Incoming:
    """Audio that is being received into the inbox's own file system; closing removes it unless it was published."""

    def __init__(self, folder: Path) -> None:
        self._path: Path | None = folder / f"{uuid.uuid4().hex}.part"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._handle = os.open(self._path, flags, _MODE)
        fcntl.flock(self._handle, fcntl.LOCK_EX)
        self._digest = hashlib.sha256()
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)
        os.close(self._handle)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append bytes."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._handle, rest) :]
        self._digest.update(data)
        self.size += len(data)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes received so far, fewer at the end."""
        return os.pread(self._handle, length, offset)

    def move(self, target: Path) -> None:
        """Flush the bytes and give them their final name."""
        assert self._path is not None
        os.fsync(self._handle)
        self._path.rename(target)
        self._path = None


class Inbox:
    """The write and the read side of one MEDIA_INBOX."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()

    def incoming(self) -> Incoming:
        """A place for the audio of a new pair; raises OSError when the inbox cannot be written."""
        return Incoming(self.own_folder(INCOMING))

    def publish(self, incoming: Incoming, message: VoiceMessage, suffix: str) -> str:
        """Make a pair of received audio and what belongs to it, durably; returns its name.

        The name is the message's key, so that publishing again after a kill replaces the same pair.
        """
        assert message.message_key is not None
        name = message.message_key
        incoming.move(self.folder / f"{name}.{suffix}")
        with Incoming(self.own_folder(INCOMING)) as metadata:
            metadata.write(message.model_dump_json(exclude_none=True, indent=1).encode())
            sync_folder(self.folder)  # the audio's name before that which vouches for it
            metadata.move(self.folder / f"{name}{METADATA_SUFFIX}")
        sync_folder(self.folder)
        return name

    def depth(self) -> int:
        """Pairs that wait, complete or not, by their JSON files; 0 where there is no inbox yet."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            return sum(entry.name.endswith(METADATA_SUFFIX) and entry.name[0] != "." for entry in entries)
        return 0

    def scan(self, now: float | None = None) -> Iterator[Pair | NotReady]:
        """Everything that waits, in order of names: complete pairs, and why others are none."""
        now = time.time() if now is None else now
        files: defaultdict[str, list[Path]] = defaultdict(list)
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name[0] != "." and entry.is_file(follow_symlinks=False):
                    path = self.folder / entry.name
                    files[path.stem].append(path)
        for name in sorted(files):
            try:
                found = _judged(name, files[name], now)
            except FileNotFoundError:  # dealt with meanwhile
                continue
            except OSError as error:  # one file that may not be read must not hold up all others
                sentence = f"{name} cannot be read ({error.strerror}): correct its permissions, or remove it."
                found = NotReady(name, "unreadable", sentence, waiting=True)
            yield found

    def own_folder(self, name: str) -> Path:
        """A folder of the inbox that is not part of it, made where missing."""
        folder = self.folder / name
        if not folder.is_dir():
            if not self.folder.is_dir():
                self.folder.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileExistsError):
                    self.folder.mkdir(mode=0o770)
            make_folder(folder)
        return folder


def _judged(name: str, files: list[Path], now: float) -> Pair | NotReady:
    metadata = [path for path in files if path.suffix == METADATA_SUFFIX]
    audio = [path for path in files if path.suffix != METADATA_SUFFIX]
    if not metadata:
        return NotReady(name, "no_metadata", f"{name}{METADATA_SUFFIX} is missing beside the audio.", waiting=True)
    if not audio:
        return NotReady(name, "no_audio", f"The audio of {name}{METADATA_SUFFIX} is missing.", waiting=True)
    if len(audio) > 1:
        return NotReady(name, "several_files", f"{name}{METADATA_SUFFIX} has {len(audio)} files of its name beside it.")
    facts, written = audio[0].lstat(), metadata[0].lstat()
    message = _message_of(metadata[0], written)
    fresh = now - max(facts.st_mtime, written.st_mtime) < SETTLE_SECONDS
    if isinstance(message, str):
        return NotReady(name, "bad_metadata", f"{name}{METADATA_SUFFIX}: {message}", waiting=fresh)
    if message.size_bytes is None and fresh:
        return NotReady(name, "settling", f"{name} was written within {SETTLE_SECONDS:.0f} s.", waiting=True)
    if message.size_bytes not in (None, facts.st_size):
        sentence = f"{audio[0].name} has {facts.st_size} bytes of the {message.size_bytes} stated."
        return NotReady(name, "size_differs", sentence, waiting=fresh)
    received = message.received_at or dt.datetime.fromtimestamp(written.st_mtime, dt.UTC)
    return Pair(name, audio[0], metadata[0], message, facts.st_size, received)


def _message_of(path: Path, facts: os.stat_result) -> VoiceMessage | str:
    """What the JSON file says, or why it says nothing; no value of it is repeated."""
    if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_METADATA_BYTES:
        return f"it is no file of at most {MAX_METADATA_BYTES} bytes."
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        text = file.read(MAX_METADATA_BYTES)
    try:
        return VoiceMessage.model_validate_json(text)
    except ValidationError as error:
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors()) + "."
