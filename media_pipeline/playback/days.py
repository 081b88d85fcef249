"""The indexes of days as files of the spool: fetched from the archive, or made here without the words.

A published index is fetched once per version. Where there is none, the list of calls is made from the tables at once;
only the search for words waits for the asset `transcript_search`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import shutil
import sqlite3
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_pipeline.playback.day_index import VERSION, build_index, sources_of
from media_pipeline.storage.base import Stat
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import search_key, search_prefix

LOOK_SECONDS = 15.0
"""How old a look at the archive may be."""
WAIT_SECONDS = 20.0
KEPT_DAYS = 60
"""Files of this many days stay in the spool; those used longest ago go."""


@dataclass(frozen=True, slots=True)
class DayFile:
    """A day's index on this machine; `is_old`: the tables are newer; without `with_text`, words cannot be found.

    `is_raw`: because they are not redacted.
    """

    path: Path
    with_text: bool
    is_old: bool
    is_raw: bool = False


class Days:
    """Gets indexes; safe to use from threads."""

    def __init__(self, tables: Tables, folder: Path) -> None:
        self._tables, self._folder = tables, folder
        self._lock = threading.Lock()
        self._looked: dict[dt.date, tuple[float, DayFile | None]] = {}

    def get(self, day: dt.date) -> DayFile | None:
        """The day's index, None for a day that no table knows; raises TimeoutError, StorageError."""
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise TimeoutError
        try:
            looked, file = self._looked.get(day, (float("-inf"), None))
            if time.monotonic() - looked > LOOK_SECONDS or (file is not None and not file.path.exists()):
                file = self._look(day)
                if len(self._looked) > KEPT_DAYS:
                    self._looked.clear()
                self._looked[day] = (time.monotonic(), file)
            if file is not None:
                file.path.touch()
            return file
        finally:
            self._lock.release()

    def _look(self, day: dt.date) -> DayFile | None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sources = sources_of(self._tables, day)
        if not sources:
            return None
        key = search_key(day)
        published = next((stat for name, stat in self._tables.store.stats(search_prefix(day)) if name == key), None)
        if published is not None and (file := self._fetched(day, key, published)) is not None:
            about = _about(file)
            if about is not None:
                known = {name: Stat(*stat) for name, stat in about["sources"].items()}
                return DayFile(file, bool(about["with_text"]), known != sources, bool(about["is_raw"]))
        return DayFile(self._made(day, sources), with_text=False, is_old=False)

    def _fetched(self, day: dt.date, key: str, stat: Stat) -> Path | None:
        path = self._folder / f"{day}.{_digest(stat)}.sqlite"
        if path.exists():
            return path
        source = self._tables.store.open(key)
        if source is None:
            return None
        with source, tempfile.NamedTemporaryFile(dir=self._folder, suffix=".part", delete=False) as sink:
            part = Path(sink.name)
            try:
                shutil.copyfileobj(source, sink)
            except BaseException:
                part.unlink()
                raise
        return self._kept(part, path)

    def _made(self, day: dt.date, sources: dict[str, Stat]) -> Path:
        path = self._folder / f"{day}.{_digest(sorted(sources.items()))}.calls.sqlite"
        if path.exists():
            return path
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            part = Path(folder) / "index"
            build_index(self._tables, day, part, with_text=False)
            return self._kept(part, path)

    def _kept(self, part: Path, path: Path) -> Path:
        part.replace(path)
        for other in self._folder.glob(f"{path.name[:10]}.*"):
            if other != path:
                other.unlink(missing_ok=True)
        files = sorted(self._folder.glob("*.sqlite"), key=lambda each: each.stat().st_mtime)
        for old in files[:-KEPT_DAYS]:
            old.unlink(missing_ok=True)
        return path


def _about(file: Path) -> dict[str, Any] | None:
    """What an index says of itself; None for one of another version, or a damaged one."""
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as opened:
            about = {name: json.loads(value) for name, value in opened.execute("SELECT name, value FROM about")}
    except (sqlite3.Error, ValueError):
        return None
    return about if about.get("version") == VERSION else None


def _digest(value: object) -> str:
    return hashlib.blake2b(repr(value).encode(), digest_size=8).hexdigest()
