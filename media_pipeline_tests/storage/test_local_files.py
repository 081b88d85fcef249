"""What only files can do wrong: killed writers, other file systems, no hard links, other processes."""

import errno
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from media_pipeline.storage.base import StorageError, StorageUnavailable
from media_pipeline.storage.local import LocalStore

PROCESSES = 8
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  nothing but a second file system


def test_what_a_killed_process_left_is_removed_by_the_next_run(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from media_pipeline.storage.local import LocalStore\n"
        "with LocalStore(Path(sys.argv[1])).writer('audio/x.gz') as writer:\n"
        "    writer.write(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list((tmp_path / ".staging").glob("*"))) == 1
    store = LocalStore(tmp_path)
    with store.writer("audio/y.gz") as living:
        store.check_writable()
        assert len(list((tmp_path / ".staging").glob("*"))) == 1
        living.commit()
    assert list(store.sizes("audio/")) == ["audio/y.gz"]


def test_a_disk_that_takes_half_of_an_object_leaves_the_old_one_and_nothing_beside_it(tmp_path):
    code = (
        "import resource, sys; from pathlib import Path; from media_pipeline.storage.local import LocalStore\n"
        "store = LocalStore(Path(sys.argv[1])); store.put_pieces('audio/x.gz', [b'old'])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: store.put_pieces('audio/x.gz', [bytes(600), bytes(600)])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    assert told.stdout.startswith("StorageError MEDIA_ROOT="), told
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x.gz"]
    assert (tmp_path / "audio/x.gz").read_bytes() == b"old"


def test_what_is_no_file_is_no_object(tmp_path):
    store = LocalStore(tmp_path)
    store.put("inbox/a.jsonl", b"{}")
    os.mkfifo(tmp_path / "inbox/pipe.jsonl")
    assert list(store.sizes("inbox/")) == ["inbox/a.jsonl"]
    assert store.open("inbox/pipe.jsonl") is None
    assert store.open("inbox/a.jsonl/b") is None


@pytest.mark.parametrize(
    "look", [lambda store, key: store.version(key), lambda store, key: store.read_range(key, 0, 10)]
)
def test_a_pipe_that_nobody_writes_to_holds_no_reader_up(tmp_path, look):
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(target=lambda: found.append(look(LocalStore(tmp_path), "pipe")), daemon=True)
    reader.start()
    reader.join(10)
    assert found == [None]


@pytest.mark.parametrize(
    "look",
    [
        lambda store: store.open("inbox/loop"),
        lambda store: store.sizes("inbox/"),
        lambda store: store.version("inbox/loop"),
        lambda store: store.read_range("inbox/loop", 0, 10),
    ],
)
def test_a_link_that_leads_to_itself_is_told_in_a_sentence(tmp_path, look):
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox/loop").symlink_to("loop")
    with pytest.raises(StorageError, match=r"MEDIA_ROOT=.* cannot be read \(Too many levels of symbolic links\)"):
        look(LocalStore(tmp_path))


def test_what_another_host_left_is_removed_after_a_day(tmp_path):
    store = LocalStore(tmp_path)
    store.check_writable()
    old, young = tmp_path / ".staging/old", tmp_path / ".staging/young"
    for path in (old, young):
        path.write_bytes(b"part")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    store.check_writable()
    assert not old.exists()
    assert young.exists()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that, as far as rename and link know, lies on another file system than the store."""
    path = tmp_path / "spool" / "finished"
    path.parent.mkdir()
    path.write_bytes(b"finished")
    rename, link = Path.replace, os.link

    def other_file_system(call):
        def refusing(source, target):
            if Path(source).parent != path.parent:
                return call(source, target)
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        return refusing

    monkeypatch.setattr(Path, "replace", other_file_system(rename))
    monkeypatch.setattr(os, "link", other_file_system(link))
    return path


@pytest.mark.parametrize("how", ["publish", "publish_new"])
def test_a_file_of_another_file_system_is_copied_and_removed(elsewhere: Path, tmp_path: Path, how: str) -> None:
    store = LocalStore(tmp_path / "root")
    getattr(store, how)(elsewhere, "audio/x.gz")
    assert not elsewhere.exists()
    assert (tmp_path / "root/audio/x.gz").read_bytes() == b"finished"
    assert list((tmp_path / "root/.staging").glob("*")) == []


def test_a_file_of_another_file_system_that_comes_too_late_stays(elsewhere: Path, tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "root")
    store.put("audio/x.gz", b"first")
    assert store.publish_new(elsewhere, "audio/x.gz") is False
    assert elsewhere.read_bytes() == b"finished"
    assert (tmp_path / "root/audio/x.gz").read_bytes() == b"first"


with_shared_memory = pytest.mark.skipif(
    not SHARED_MEMORY.is_dir() or SHARED_MEMORY.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev,
    reason="there is no second file system at /dev/shm",
)


@with_shared_memory
def test_a_root_that_lies_on_two_file_systems_is_told(tmp_path: Path) -> None:
    (tmp_path / "spool").write_bytes(b"finished")
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        store = LocalStore(tmp_path / "root")
        store.check_writable()
        (tmp_path / "root/audio").symlink_to(folder)
        for write in (
            lambda: store.put("audio/x.gz", b""),
            lambda: store.publish(tmp_path / "spool", "audio/x.gz"),
        ):
            with pytest.raises(StorageError, match=r"lies on several file systems .* have all of it on one"):
                write()
        assert list(Path(folder).iterdir()) == list((tmp_path / "root/.staging").iterdir()) == []
    assert (tmp_path / "spool").read_bytes() == b"finished"


@with_shared_memory
def test_a_file_of_a_real_other_file_system_is_published(tmp_path: Path) -> None:
    path = SHARED_MEMORY / f"media-pipeline-test-{os.getpid()}"
    path.write_bytes(b"finished")
    try:
        assert LocalStore(tmp_path).publish(path, "audio/x.gz") == 8
        assert not path.exists()
        assert (tmp_path / "audio/x.gz").read_bytes() == b"finished"
    finally:
        path.unlink(missing_ok=True)


def test_without_hard_links_the_first_one_still_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    store = LocalStore(tmp_path)
    assert store.put_if("x", b"first", None)
    assert store.put_if("x", b"second", None) is None
    assert store.get_small("x").data == b"first"


def test_a_file_that_cannot_be_placed_stays(tmp_path: Path) -> None:
    (path := tmp_path / "finished").write_bytes(b"finished")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/audio").write_bytes(b"in the way")
    for how in ("publish", "publish_new"):
        with pytest.raises(StorageError, match=r"MEDIA_ROOT=.*cannot be written"):
            getattr(LocalStore(tmp_path / "root"), how)(path, "audio/x.gz")
        assert path.read_bytes() == b"finished"
    with pytest.raises(FileNotFoundError):
        LocalStore(tmp_path).publish(tmp_path / "missing", "audio/x.gz")


RACER = """
import sys, time
from pathlib import Path
from media_pipeline.storage.local import LocalStore
store, me = LocalStore(Path(sys.argv[1])), sys.argv[2].encode()
print("ready", flush=True)
sys.stdin.readline()
created = store.put_if("leases/x", me, None) is not None
steps = 0
while steps < 5:
    data, tag = store.get_small("leases/count")
    steps += store.put_if("leases/count", b"%d" % (int(data) + 1), tag) is not None
print(created)
"""


def test_of_eight_processes_one_creates_and_no_step_is_lost(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put_if("leases/count", b"0", None)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    created = [racer.communicate(timeout=60)[0].strip() for racer in racers]
    assert sorted(created) == ["False"] * (PROCESSES - 1) + ["True"]
    assert store.get_small("leases/count").data == b"%d" % (5 * PROCESSES)


def test_a_holder_killed_in_mid_swap_holds_nobody_up(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from media_pipeline.storage.lock import locked\n"
        "with locked(Path(sys.argv[1])):\n    os.kill(os.getpid(), signal.SIGKILL)"
    )
    store = LocalStore(tmp_path)
    tag = store.put_if("x", b"first", None)
    subprocess.run([sys.executable, "-c", code, str(tmp_path / ".lock")], check=False)
    assert store.put_if("x", b"second", tag)


def test_a_lock_that_is_never_released_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    monkeypatch.setattr("media_pipeline.storage.lock.WAIT_SECONDS", 0.05)
    store = LocalStore(tmp_path)
    tag = store.put_if("x", b"first", None)
    with (tmp_path / ".lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StorageUnavailable, match="is locked by another process"):
            store.put_if("x", b"second", tag)
