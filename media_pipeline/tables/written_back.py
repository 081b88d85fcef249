"""What an org is known to hold of what we wrote back: by id, the SHA-256 of the payload that it confirmed last.

`write_back/date=.../<what>.jsonl` under the root has a generation and one line per confirmed id. A run takes the next
generation before it sends anything, writes down in the spool what it is about to send and what was confirmed, and
leaves the sum of both under the root when it ends, however it ends. Of a run that was killed the spool has the rest:
it counts while nobody took a generation since, for after that another machine may have sent something else. Whatever
is not known to be confirmed is sent again, which changes nothing where it had arrived.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from media_pipeline.storage.base import ObjectStore, StorageError, root_name
from media_pipeline.storage.files import make_folder, sync_folder, write_all
from media_pipeline.tables.paths import written_back_key


class WrittenBack:
    """A context, for one run at a time (its lease sees to that); its methods may be called from any thread.

    About 250 bytes of memory per id.
    """

    def __init__(self, store: ObjectStore, spool: Path, what: str, day: dt.date) -> None:
        self._store, self._key = store, written_back_key(what, day)
        folder = spool / "write_back" / root_name(store.url) / f"date={day}"
        generation, self._confirmed = _read(store, self._key)
        self._spooled(folder / f"{what}.{generation}.jsonl")
        self._generation = generation + 1
        try:
            spool.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_folder(folder)
            self._publish()
            for path in folder.glob(f"{what}.*.jsonl"):
                path.unlink(missing_ok=True)  # what they had is under the root, or counts no more
            self._path = folder / f"{what}.{self._generation}.jsonl"
            self._file = self._path.open("xb", buffering=0)
            sync_folder(folder)
        except OSError as error:
            raise _unusable(folder, error) from error
        self._lock = threading.Lock()

    def is_confirmed(self, identifier: str, sha256: str) -> bool:
        """Whether the org holds this payload, and nothing was sent since that was not confirmed."""
        return self._confirmed.get(identifier) == bytes.fromhex(sha256)

    def intend(self, identifier: str, sha256: str) -> None:
        """Before a payload is sent: nothing is known any more. Returns when that outlives a power cut."""
        self._confirmed.pop(identifier, None)
        self._append({"id": identifier, "intended": sha256})
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unusable(self._path.parent, error) from error

    def confirm(self, identifier: str, sha256: str) -> None:
        """The org said yes; this outlives the process when it returns."""
        self._append({"id": identifier, "confirmed": sha256})
        self._confirmed[identifier] = bytes.fromhex(sha256)

    def __enter__(self) -> WrittenBack:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Leave all that is known under the root; a store that fails a run that fails anyhow leaves it in the spool."""
        self._file.close()
        with suppress(*(() if error is None else (StorageError,))):
            self._publish()
            self._path.unlink(missing_ok=True)

    def _append(self, line: dict[str, str]) -> None:
        data = f"{json.dumps(line)}\n".encode()
        with self._lock:
            whole = self._file.tell()
            try:
                write_all(self._file, data)
            except OSError as error:
                self._file.truncate(self._file.seek(whole))  # a torn line would take the next one with it
                raise _unusable(self._path.parent, error) from error

    def _publish(self) -> None:
        with self._store.writer(self._key) as sink:
            sink.write(f'{{"generation": {self._generation}}}\n'.encode())
            for identifier, digest in sorted(self._confirmed.items()):
                sink.write((json.dumps({"id": identifier, "confirmed": digest.hex()}) + "\n").encode())
            sink.commit()

    def _spooled(self, path: Path) -> None:
        """Take in what a killed run of the current generation knew."""
        with suppress(FileNotFoundError), path.open("rb") as file:
            for identifier, digest in _lines(file):
                if digest is None:
                    self._confirmed.pop(identifier, None)
                else:
                    self._confirmed[identifier] = digest


def _read(store: ObjectStore, key: str) -> tuple[int, dict[str, bytes]]:
    file = store.open(key)
    if file is None:
        return 0, {}
    with file:
        try:
            generation = json.loads(file.readline())["generation"]
        except (ValueError, KeyError, TypeError):
            raise StorageError(
                f"{key} under {store.url} is not what was written there: remove it, and all that was written back of "
                "its day is sent once more."
            ) from None
        return int(generation), {identifier: digest for identifier, digest in _lines(file) if digest is not None}


def _lines(file: Iterator[bytes]) -> Iterator[tuple[str, bytes | None]]:
    """Ids with what was confirmed, None for what was only intended."""
    for line in file:
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # a kill may tear the last line
            entry = json.loads(line)
            identifier, digest = entry["id"], entry.get("confirmed")
            yield identifier, None if digest is None else bytes.fromhex(digest)


def _unusable(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"MEDIA_SPOOL cannot be written at {folder} ({error.strerror}): free space there or set it to a folder this "
        "user may write."
    )
