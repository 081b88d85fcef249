"""What the org is known to hold: over runs, kills and machines."""

import hashlib
import resource
import signal
from pathlib import Path

import pytest

from media_pipeline.storage.base import StorageError
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.written_back import WrittenBack
from media_pipeline_tests.harness import DAY

ONE, OTHER = (hashlib.sha256(text).hexdigest() for text in (b"one", b"other"))


def opened(folder: Path, spool: str = "spool") -> WrittenBack:
    return WrittenBack(LocalStore(folder / "root"), folder / spool, "annotations.guide", DAY)


def killed(ledger: WrittenBack) -> None:
    """The process is gone: nothing is published, the spool stays."""
    ledger._file.close()


def sent(ledger: WrittenBack, identifier: str, sha256: str = ONE) -> None:
    ledger.intend(identifier, sha256)
    ledger.confirm(identifier, sha256)


def spooled(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*.jsonl") if "root" not in path.parts]


def test_what_was_confirmed_is_known_by_the_next_run(tmp_path):
    with opened(tmp_path) as ledger:
        assert not ledger.is_confirmed("a", ONE)
        sent(ledger, "a")
        assert ledger.is_confirmed("a", ONE)
    with opened(tmp_path) as ledger:
        assert ledger.is_confirmed("a", ONE)
        assert not ledger.is_confirmed("a", OTHER)
        assert not ledger.is_confirmed("b", ONE)
    assert spooled(tmp_path) == []


def test_what_a_killed_run_confirmed_is_known_and_what_it_only_meant_is_not(tmp_path):
    with opened(tmp_path) as ledger:
        sent(ledger, "changed")
    ledger = opened(tmp_path)
    sent(ledger, "new")
    ledger.intend("changed", OTHER)
    killed(ledger)
    with opened(tmp_path) as ledger:
        assert ledger.is_confirmed("new", ONE)
        assert not ledger.is_confirmed("changed", ONE)  # the other one may have arrived
        assert not ledger.is_confirmed("changed", OTHER)


def test_kills_in_a_row_lose_nothing(tmp_path):
    for number in range(5):
        ledger = opened(tmp_path)
        assert all(ledger.is_confirmed(str(earlier), ONE) for earlier in range(number))
        sent(ledger, str(number))
        killed(ledger)
    assert len(spooled(tmp_path)) == 1


def test_a_torn_last_line_is_left_out(tmp_path):
    ledger = opened(tmp_path)
    sent(ledger, "a")
    sent(ledger, "b")
    killed(ledger)
    (path,) = spooled(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with opened(tmp_path) as ledger:
        assert ledger.is_confirmed("a", ONE)
        assert not ledger.is_confirmed("b", ONE)


def test_a_disk_that_takes_only_a_part_of_a_line_fails_and_takes_no_other_line_with_it(tmp_path):
    with opened(tmp_path) as ledger:
        sent(ledger, "a")
    ledger = opened(tmp_path)
    sent(ledger, "b")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    (path,) = spooled(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, limit[1]))
    try:
        with pytest.raises(StorageError, match="MEDIA_SPOOL cannot be written"):
            ledger.intend("c", ONE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    ledger.intend("a", OTHER)  # by another thread, once there was room again
    killed(ledger)
    with opened(tmp_path) as ledger:
        assert ledger.is_confirmed("b", ONE)
        assert not ledger.is_confirmed("a", ONE)


def test_a_spool_counts_no_more_once_another_machine_had_its_turn(tmp_path):
    ledger = opened(tmp_path, "here")
    sent(ledger, "a", ONE)
    killed(ledger)
    with opened(tmp_path, "there") as ledger:
        assert not ledger.is_confirmed("a", ONE)
        sent(ledger, "a", OTHER)
    with opened(tmp_path, "here") as ledger:
        assert not ledger.is_confirmed("a", ONE)
        assert ledger.is_confirmed("a", OTHER)


def test_a_run_that_fails_leaves_what_it_knows(tmp_path):
    ledger = opened(tmp_path)
    with pytest.raises(RuntimeError), ledger:
        sent(ledger, "a")
        raise RuntimeError
    with opened(tmp_path, "elsewhere") as ledger:
        assert ledger.is_confirmed("a", ONE)


def test_what_is_not_ours_under_the_root_is_refused_with_what_to_do(tmp_path):
    LocalStore(tmp_path / "root").put(f"write_back/date={DAY}/annotations.guide.jsonl", b"<html>")
    with pytest.raises(StorageError, match="remove it"):
        opened(tmp_path)
