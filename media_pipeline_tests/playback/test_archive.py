"""The archive as it may be found: in a bucket, without its index, written anew, damaged, of an earlier version."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import gzip
import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from media_pipeline.playback.catalogue import Catalogue
from media_pipeline.settings import Settings
from media_pipeline.storage.base import ObjectStore, root_name
from media_pipeline.storage.bgzf import BLOCK_BYTES, BlockCompressor
from media_pipeline.storage.gzi import INDEX_SUFFIX
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import object_key
from media_pipeline_tests.playback.serving import Answer, Served, served

DAY = dt.date(2026, 11, 20)
CONTENT = b"".join(hashlib.sha256(b"%d" % n).digest() + bytes(32) for n in range(6_000))
PART = ("Range", "bytes=200000-200099")


@dataclasses.dataclass
class Archive:
    """A root with recordings of a test's own."""

    store: ObjectStore
    spool: Path

    def settings(self, **changes: Any) -> Settings:
        return Settings(root=self.store.url, spool=self.spool, **changes)

    def write(self, recording_id: str, content: bytes = CONTENT, *, blocked: bool = True, index: bool = True) -> str:
        key = object_key(DAY, recording_id, 0, False, "wav")
        if blocked:
            blocks = BlockCompressor()
            pieces = blocks.compress(content)
            rest, found = blocks.finish()
            self.store.put(key, b"".join([*pieces, rest]))
            if index:
                self.store.put(key + INDEX_SUFFIX, found.encode())
        else:
            self.store.put(key, gzip.compress(content))
        return key

    def table(self, *rows: dict[str, Any], day: dt.date = DAY) -> None:
        Tables(self.store).write("recording_audio", day, rows)

    def row(self, recording_id: str, content: bytes = CONTENT, **changes: Any) -> dict[str, Any]:
        key = object_key(DAY, recording_id, 0, False, "wav")
        row: dict[str, Any] = {
            "recording_id": recording_id,
            "file_index": 0,
            "status": "stored",
            "object_key": key,
            "content_type": "audio/x-wav",
            "source_size_bytes": len(content),
            "stored_size_bytes": self.store.sizes(f"audio/date={DAY}/").get(key),
            "sha256": hashlib.sha256(content).hexdigest(),
            "listed_state": "available",
        }
        return row | changes


@pytest.fixture(params=["local", "s3"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    root = str(tmp_path / "media") if request.param == "local" else request.getfixturevalue("s3_root")
    return Archive(open_store(root, tmp_path / "spool", 8), tmp_path / "spool")


@pytest.fixture
def local(tmp_path: Path) -> Archive:
    return Archive(LocalStore(tmp_path / "media"), tmp_path / "spool")


@pytest.fixture
def _player(archive: Archive) -> Iterator[Served]:
    with served(archive.settings()) as player:
        yield player


def reason(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["reason"]


def test_ranges_come_from_a_folder_as_from_a_bucket(archive: Archive):
    archive.write("r")
    archive.table(archive.row("r"))
    with served(archive.settings()) as player:
        answer = player.ask(player.path("r"), PART)
        assert answer.body == CONTENT[200_000:200_100]
        assert answer["ETag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
        assert answer["Content-Type"] == "audio/wav"
        assert answer["Last-Modified"]
        assert player.ask(player.path("r")).body == CONTENT
        several = player.ask(player.path("r"), ("Range", "bytes=0-0,300000-300009"))
        assert CONTENT[300_000:300_010] in several.body


def test_an_object_without_its_index_or_with_another_ones_is_served_all_the_same(archive: Archive):
    archive.write("without", index=False)
    key = archive.write("with")
    archive.store.put(key + INDEX_SUFFIX, b"torn")
    other = archive.write("other", CONTENT[:100_000])
    small = archive.store.get_small(other + INDEX_SUFFIX)
    assert small is not None
    archive.write("wrong")
    archive.store.put(object_key(DAY, "wrong", 0, False, "wav") + INDEX_SUFFIX, small.data)
    archive.table(*(archive.row(name) for name in ("with", "without", "wrong")))
    with served(archive.settings()) as player:
        for name in ("with", "without", "wrong"):
            assert player.ask(player.path(name), PART).body == CONTENT[200_000:200_100]


def test_ordinary_gzip_of_an_earlier_version_is_played_from_its_start_and_says_so(archive: Archive):
    archive.write("old", blocked=False)
    archive.table(archive.row("old"))
    with served(archive.settings()) as player:
        answer = player.ask(player.path("old"), PART)
        assert (answer.status, answer["Accept-Ranges"], answer.body) == (200, "none", CONTENT)
        assert player.ask(player.path("old"), ("If-None-Match", answer["ETag"] or "")).status == 304


def test_a_recording_that_was_exported_anew_is_served_as_its_table_says_from_then_on(archive: Archive):
    archive.write("r")
    archive.table(archive.row("r"))
    with served(archive.settings()) as player:
        first = player.ask(player.path("r"), PART)
        changed = CONTENT[::-1]
        time.sleep(1.1)  # S3 tells times by the second: only later ones are known to be later
        archive.write("r", changed)
        # the run has published the object and not yet its table: what nothing vouches for is not served
        between = player.ask(player.path("r"), PART)
        assert reason(between) == (404, "not_archived")
        time.sleep(1.1)
        archive.table(archive.row("r", changed))
        second = player.ask(player.path("r"), PART, ("If-Range", first["ETag"] or ""))
        assert (second.status, second.body) == (200, changed)
        assert second["ETag"] != first["ETag"]


def test_an_object_younger_than_its_table_is_served_once_its_bytes_prove_it(local: Archive):
    key = local.write("r")
    local.table(local.row("r"))
    later = time.time() + 100
    os.utime(Path(local.store.url) / key, (later, later))
    with served(local.settings()) as player:
        assert player.ask(player.path("r"), PART).body == CONTENT[200_000:200_100]


def test_a_damaged_block_is_never_sent(local: Archive):
    key = local.write("r")
    local.table(local.row("r"))
    path = Path(local.store.url) / key
    written = path.stat().st_mtime
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    os.utime(path, (written, written))
    with served(local.settings()) as player:
        whole = player.ask(player.path("r"))
        assert whole.status == 200
        assert len(whole.body) < len(CONTENT)
        assert CONTENT.startswith(whole.body)
        assert player.ask(player.path("r"), ("Range", "bytes=0-99")).body == CONTENT[:100]
        there = len(whole.body) // BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES
        blocks = {player.ask(player.path("r"), ("Range", f"bytes={at}-{at}")).status for at in range(0, there, 60_000)}
        assert blocks <= {206, 502}


def test_an_object_that_is_replaced_while_it_is_played_is_played_to_its_end(local: Archive):
    content = CONTENT * 40
    local.write("r", content)
    local.table(local.row("r", content))
    with served(local.settings()) as player:
        entry = player.app.player._catalogue
        entry.refresh()
        found = entry.find("r")
        assert found is not None
        media = player.app.player._archived.open(found)
        pieces = media.pieces(0, len(content))
        first = next(pieces)
        local.write("r", content[::-1])
        assert first + b"".join(pieces) == content
        media.close()


def test_what_another_day_stored_is_found_and_the_newest_day_wins(local: Archive):
    local.write("r")
    before = DAY - dt.timedelta(days=3)
    local.table(local.row("r"), day=before)
    local.table(local.row("r", status="failed", reason="forbidden", object_key=None, sha256=None), day=DAY)
    with served(local.settings()) as player:
        assert player.ask(player.path("r"), PART).status == 206
        assert player.ask(player.path("r", f"?date={DAY}"), PART).status == 404


def test_only_days_that_changed_are_read_again(local: Archive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("media_pipeline.playback.catalogue.AGAIN_SECONDS", -1.0)
    days = [DAY - dt.timedelta(days=n) for n in range(5)]
    for number, day in enumerate(days):
        local.table(local.row(f"r{number}"), day=day)
    read: list[dt.date] = []
    real = Tables.rows

    def noted(tables: Tables, name: str, day: dt.date, *rest: Any) -> Any:
        read.append(day)
        return real(tables, name, day, *rest)

    monkeypatch.setattr(Tables, "rows", noted)
    catalogue = Catalogue(Tables(local.store), local.spool / "playback" / "x.sqlite")
    catalogue.refresh()
    assert read == days
    local.table(local.row("new"), day=days[2])
    catalogue.refresh()
    assert read[5:] == [days[2]]
    assert catalogue.find("new") is not None
    assert catalogue.find("r2") is None
    local.store.remove(f"tables/recording_audio/date={days[0]}/part-0.parquet")
    catalogue.refresh()
    assert catalogue.find("r0") is None
    catalogue.close()
    again = Catalogue(Tables(local.store), local.spool / "playback" / "x.sqlite")
    again.refresh()
    assert read[6:] == []
    again.close()


def test_a_damaged_index_of_the_tables_is_made_anew(local: Archive):
    local.write("r")
    local.table(local.row("r"))
    file = local.spool / "playback" / f"{root_name(local.store.url)}.sqlite"
    file.parent.mkdir(mode=0o700, parents=True)
    file.write_bytes(b"no database" * 1_000)
    with served(local.settings()) as player:
        assert player.ask(player.path("r"), PART).status == 206
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (1,)
    connection.close()
    assert file.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("file_name", "recording_id", "expected"),
    [
        ("call.wav", "r", 'inline; filename="call.wav"'),
        ("../../etc/passwd", "r", 'inline; filename="passwd.wav"'),
        (
            'a"; filename="x.exe',
            "r",
            "inline; filename=\"a__filename__x.exe.wav\"; filename*=UTF-8''a_%3B%20filename%3D_x.exe.wav",
        ),
        (
            "a\r\nSet-Cookie: x=y",
            "r",
            "inline; filename=\"aSet-Cookie__x_y.wav\"; filename*=UTF-8''aSet-Cookie_%20x%3Dy.wav",
        ),
        ("Gespräch.wav", "r", "inline; filename=\"Gesprach.wav\"; filename*=UTF-8''Gespr%C3%A4ch.wav"),
        ("\u202egpj.exe", "r", 'inline; filename="gpj.exe.wav"'),
        ("電話", "r", "inline; filename=\"wav\"; filename*=UTF-8''%E9%9B%BB%E8%A9%B1.wav"),
        (None, "r-1", 'inline; filename="r-1.wav"'),
        ("...", "../..", 'inline; filename="recording.wav"'),
    ],
)  # fmt: skip
def test_a_name_is_safe_in_a_header_and_on_a_disk(local: Archive, file_name, recording_id, expected):
    local.write(recording_id)
    local.table(local.row(recording_id, file_name=file_name))
    with served(local.settings()) as player:
        answer = player.ask(player.path(recording_id), PART)
    assert answer["Content-Disposition"] == expected
    assert answer["Set-Cookie"] is None


@pytest.mark.parametrize(
    ("stated", "sent"),
    [
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("audio/mpeg; charset=x", "audio/mpeg"),
        ("AUDIO/MP3", "audio/mpeg"),
        ("audio/wav\r\nX-Evil: 1", "application/octet-stream"),
        (None, "audio/wav"),
    ],
)
def test_only_types_that_are_played_and_never_run_are_named(local: Archive, stated, sent):
    local.write("r")
    local.table(local.row("r", content_type=stated))
    with served(local.settings()) as player:
        answer = player.ask(player.path("r"), PART)
    assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == (sent, "nosniff")
    assert answer["X-Evil"] is None


def test_the_connection_of_a_thread_ends_with_it(local):
    catalogue = Catalogue(Tables(local.store), local.spool / "playback" / "x.sqlite")
    catalogue.refresh()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):  # as the threads that make pages come and go
        thread = threading.Thread(target=catalogue.days)
        thread.start()
        thread.join()
    assert len(list(Path("/proc/self/fd").iterdir())) < before + 5  # SQLite keeps one or two for later
    catalogue.close()


def test_a_list_of_recordings_that_is_removed_while_it_is_used_is_made_anew(local):
    local.write("r")
    local.table(local.row("r"))
    with served(local.settings()) as player:
        assert player.ask(player.path("r"), PART).status == 206
        for file in (local.spool / "playback").glob("*.sqlite*"):
            file.unlink()
        assert player.ask(player.path("r"), PART).body == CONTENT[200000:200100]
        (file,) = (local.spool / "playback").glob("*.sqlite")
        with contextlib.closing(sqlite3.connect(file)) as anew:
            assert anew.execute("SELECT recording_id FROM files").fetchall() == [("r",)]


def test_a_list_of_recordings_that_cannot_be_kept_is_a_503(local):
    local.write("r")
    local.table(local.row("r"))
    local.spool.mkdir(exist_ok=True)
    (local.spool / "playback").write_text("in the way")
    with served(local.settings()) as player:
        answer = player.ask(player.path("r"))
        assert (answer.status, json.loads(answer.body)["reason"]) == (503, "archive_unavailable")
        assert player.ask("/").status == 503


def test_whoever_opens_the_list_does_not_wait_for_who_writes_it(local):
    file = local.spool / "playback" / "x.sqlite"
    catalogue = Catalogue(Tables(local.store), file)
    catalogue.refresh()
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")  # a day of a million recordings is being read
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(catalogue.days()), daemon=True)
    thread.start()
    thread.join(5)
    came = found.copy()
    writer.execute("ROLLBACK")
    thread.join()
    writer.close()
    catalogue.close()
    assert came == [[]]
