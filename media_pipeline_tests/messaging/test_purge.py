"""The purge: what is old and nobody's goes; what a process holds stays, whatever its age."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from media_pipeline.messaging.purge import MIN_AGE_SECONDS, purge
from media_pipeline.messaging.receipts import KEEP_SECONDS
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.staging import STAGING
from media_pipeline.transfer.spool import Identity, Partial, Spool

OLD = 30 * 24 * 3600.0
MONTH_OLD = time.time() - OLD


def aged(path: Path, data: bytes = b"x" * 10, seconds: float = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(data)
    os.utime(path, (time.time() - seconds,) * 2)
    return path


@pytest.fixture
def spool(tmp_path) -> Path:
    return tmp_path / "spool"


HOLDER = """
import sys
from pathlib import Path
{code}
print("holding", flush=True)
sys.stdin.read()
"""
HOLDING = {
    "a locked download": "from media_pipeline.transfer.spool import Partial; p = Partial(sys.argv[1])",
    "an open file, not locked": "f = open(sys.argv[1], 'ab')",
}


@contextmanager
def held(path: Path, code: str):
    """A process that has the file."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(code=code), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout.readline() == b"holding\n"
        yield process
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("code", HOLDING.values(), ids=HOLDING)
def test_a_file_in_flight_stays_and_goes_when_its_process_is_gone(spool, code):
    path = aged(spool / "partial/0011/audio/date=2026-11-20/r.wav.gz.part")
    identity = aged(path.with_suffix(".json"), b"{}")
    with held(path, code) as process:
        aged(path)
        purged = purge(spool, None, None)
        assert (purged.files, purged.in_flight) == (0, 1)
        assert path.exists()
        assert identity.exists()
        process.send_signal(signal.SIGKILL)
    aged(path)
    purged = purge(spool, None, None)
    assert (purged.files, purged.bytes, purged.in_flight) == (2, 12, 0)
    assert not path.exists()
    assert not identity.exists()


def test_the_spools_own_tidying_leaves_a_file_in_flight_too(tmp_path):
    spool = Spool(tmp_path, "file:///x")
    partial: Partial = spool.partial("audio/r.wav.gz")
    partial.identify(Identity(None, "m", None, None, None))
    partial.write([b"abc"])
    aged(Path(partial.path))
    assert spool.clean() == 0
    partial.close()
    aged(Path(partial.path))
    assert spool.clean() == 3


def test_every_kind_of_leftover_goes_and_everything_else_stays(tmp_path, spool):
    root, inbox = tmp_path / "root", tmp_path / "inbox"
    leftovers = [
        spool / "partial/0011/a.part",
        spool / "films/tmpabc/tmpdef/film",
        spool / "retention-abcd_234/2026-11-20",
        root / STAGING / "otherhost.12.ab.3",
        inbox / ".incoming/0123.part",
        inbox / ".receipts" / f"{'0' * 32}.json",
        inbox / f"{'1' * 32}.wav",
    ]
    data = [
        spool / "audit/date=2026-11-20/run.jsonl",
        spool / "ledger/0011/a.jsonl",
        spool / "rate/abc",
        spool / "reports/media.duckdb",
        spool / "retention-policy.txt",
        root / "audio/date=2026-11-20/r.wav.gz",
        inbox / f"{'2' * 32}.wav",
        inbox / f"{'2' * 32}.json",
        inbox / "from-another-program.wav",
        inbox / ".receipts/.lock",
    ]
    for path in leftovers + data:
        aged(path)
    purged = purge(spool, root, inbox)
    assert [path.name for path in leftovers if path.exists()] == []
    assert [path.name for path in data if not path.exists()] == []
    assert (purged.files, purged.bytes, purged.in_flight) == (len(leftovers), 10 * len(leftovers), 0)


def test_young_leftovers_stay_whatever_is_asked_for(spool):
    path = aged(spool / "partial/a.part", seconds=MIN_AGE_SECONDS - 60)
    assert purge(spool, None, None, older_than_seconds=0.0).files == 0
    aged(path, seconds=MIN_AGE_SECONDS + 60)
    assert purge(spool, None, None).files == 0  # a download can go on for a week
    assert purge(spool, None, None, older_than_seconds=MIN_AGE_SECONDS).files == 1


def test_a_receipt_stays_its_week_whatever_is_asked_for(spool, tmp_path):
    kept = aged(tmp_path / "inbox/.receipts" / f"{'0' * 32}.json", seconds=KEEP_SECONDS - 3600)
    assert purge(spool, None, tmp_path / "inbox", older_than_seconds=3600.0).files == 0
    aged(kept, seconds=KEEP_SECONDS + 3600)
    assert purge(spool, None, tmp_path / "inbox", older_than_seconds=3600.0).files == 1


def test_a_link_is_not_followed(spool, tmp_path):
    outside = aged(tmp_path / "outside/data")
    (spool / "partial").mkdir(parents=True)
    (spool / "partial/link.part").symlink_to(outside)
    (spool / "films").symlink_to(outside.parent)
    purge(spool, None, None)
    assert outside.exists()


def test_the_stores_own_staging_of_a_writer_that_is_at_work_stays(tmp_path, spool):
    store = LocalStore(tmp_path / "root")
    with store.writer("audio/a.gz") as writer:
        writer.write(b"abc")
        (staged,) = (tmp_path / "root" / STAGING).iterdir()
        aged(staged)
        assert purge(spool, store.root, None).in_flight == 1
        writer.commit()
    assert (store.root / "audio/a.gz").read_bytes() == b"abc"


def test_places_that_are_not_there_are_fine(tmp_path):
    assert purge(tmp_path / "a", tmp_path / "b", tmp_path / "c").files == 0
