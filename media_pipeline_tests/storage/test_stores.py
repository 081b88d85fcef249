"""The same promises hold on a local disk and in S3 (moto's server speaks the protocol)."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from media_pipeline.storage.base import ObjectStore, StorageError
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.s3 import S3Store
from media_pipeline_tests.harness import DAY, Export

BUCKET = "media"


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """moto's server in a process of its own."""
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            line = next(line for line in process.stderr if "Running on http" in line)
            yield line.rsplit(" ", 1)[1].strip()
        finally:
            process.terminate()


@pytest.fixture
def s3_environment(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {
        "AWS_ENDPOINT_URL_S3": s3_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    httpx.post(f"{s3_url}/moto-api/reset").raise_for_status()
    return s3_url


@pytest.fixture
def client(s3_environment: str):
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        return LocalStore(tmp_path / "root")
    return S3Store(request.getfixturevalue("client"), BUCKET, "some/prefix", tmp_path / "spool")


def test_an_object_appears_on_commit_and_not_before(store):
    with store.writer("audio/x.gz") as writer:
        writer.write(b"12")
        writer.write(b"345")
        assert store.open("audio/x.gz") is None
        assert writer.commit() == 5
    with store.open("audio/x.gz") as file:
        assert file.read() == b"12345"
    assert store.sizes("audio/") == {"audio/x.gz": 5}


def test_an_abandoned_object_leaves_the_old_one(store):
    store.put("audio/x.gz", b"old")
    with pytest.raises(RuntimeError), store.writer("audio/x.gz") as writer:
        writer.write(b"new")
        raise RuntimeError
    with store.open("audio/x.gz") as file:
        assert file.read() == b"old"
    assert list(store.sizes("audio/")) == ["audio/x.gz"]


def test_sizes_of_an_empty_prefix_are_none(store):
    assert store.sizes("audio/date=2026-01-01/") == {}


def test_a_range_of_an_object_ends_where_the_object_does(store):
    store.put("audio/x.gz", b"0123456789")
    assert store.read_range("audio/x.gz", 0, 10) == b"0123456789"
    assert store.read_range("audio/x.gz", 3, 4) == b"3456"
    assert store.read_range("audio/x.gz", 9, 1) == b"9"
    assert store.read_range("audio/x.gz", 8, 100) == b"89"
    assert store.read_range("audio/x.gz", 10, 1) == b""
    assert store.read_range("audio/x.gz", 1000, 1) == b""


def test_a_range_of_an_empty_object_is_empty_and_of_a_missing_one_none(store):
    store.put("audio/empty", b"")
    assert store.read_range("audio/empty", 0, 5) == b""
    assert store.read_range("audio/missing", 0, 5) is None
    assert store.read_range("audio", 0, 5) is None
    assert store.read_range("audio/empty/x", 0, 5) is None


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 0), (0, -1)])
def test_what_is_no_range_is_refused(store, start, length):
    with pytest.raises(ValueError, match="not a range of an object"):
        store.read_range("audio/x.gz", start, length)
    with pytest.raises(ValueError, match="is not an object key"):
        store.read_range("../x", 0, 1)


def test_a_range_of_a_large_uploaded_object_is_exact(store):
    data = os.urandom(9 * 1024 * 1024)  # a multipart upload, whose checksum is not that of its bytes
    with store.writer("audio/large") as writer:
        writer.write(data)
        writer.commit()
    assert store.read_range("audio/large", 8_388_600, 5_000) == data[8_388_600:8_393_600]


@pytest.mark.parametrize("key", ["../x", "/x", "a/../../x", "", "a\\b"])
def test_a_key_cannot_leave_the_root(store, key):
    with pytest.raises(ValueError, match="is not an object key"):
        store.put(key, b"")


def test_a_bucket_that_is_missing_is_named(client, tmp_path):
    store = S3Store(client, "no-such-bucket", "", tmp_path)
    with pytest.raises(
        StorageError, match=r"MEDIA_ROOT=s3://no-such-bucket cannot be used .* check that the bucket exists"
    ):
        store.check_writable()


def test_a_store_that_does_not_answer_is_named(monkeypatch, tmp_path):
    import boto3
    from botocore.config import Config

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    client = boto3.client(
        "s3", endpoint_url="http://127.0.0.1:9", region_name="us-east-1", config=Config(retries={"max_attempts": 0})
    )
    with pytest.raises(StorageError, match="cannot be reached"):
        S3Store(client, BUCKET, "", tmp_path).put("x", b"")


def test_what_a_killed_process_left_is_removed_by_the_next_run(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from media_pipeline.storage.local import LocalStore\n"
        "with LocalStore(Path(sys.argv[1])).writer('audio/x.gz') as writer:\n"
        "    writer.write(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list((tmp_path / ".staging").iterdir())) == 1
    store = LocalStore(tmp_path)
    with store.writer("audio/y.gz") as living:
        store.check_writable()
        assert len(list((tmp_path / ".staging").iterdir())) == 1
        living.commit()
    assert list(store.sizes("audio/")) == ["audio/y.gz"]


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


def test_a_day_is_exported_to_s3_with_the_same_rows_as_to_disk(
    org, export: Callable[..., Export], client, tmp_path: Path
):
    on_disk = export(org)
    in_s3 = export(org, root=f"s3://{BUCKET}/archive")
    store = S3Store(client, BUCKET, "archive", tmp_path / "read")
    from media_pipeline.tables.partition import Tables

    assert not [e for e in in_s3.result.all_events if e.is_step_failure and e.step_key != "availability_report"]
    for table in ("recording_audio", "diarized_transcripts", "availability_report"):
        assert list(Tables(store).rows(table, DAY)) == on_disk.rows(table)
    sizes = store.sizes(f"audio/date={DAY}/")
    for row in on_disk.rows("recording_audio"):
        if row["object_key"]:
            assert sizes[row["object_key"]] == row["stored_size_bytes"]
    org.forget_stats()
    export(org, root=f"s3://{BUCKET}/archive")
    assert org.media_requests() == 0
