"""Whatever S3 or the network does: recovered or told in a sentence, objects whole or absent, no stale parts."""

import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from media_pipeline.storage.base import StorageError, StorageUnavailable
from media_pipeline.storage.s3 import S3Store
from media_pipeline.storage.s3_client import ATTEMPTS, connect
from media_pipeline.storage.s3_upload import MIB
from media_pipeline_tests.s3_faults import FaultProxy
from media_pipeline_tests.s3_server import BUCKET

KEY = "audio/x.gz"
PARTS = os.urandom(10 * MIB + 1000)
"""Three parts of the smallest size that S3 allows."""
PART = "partNumber="
COMPLETE = r"uploadId=(?!.*partNumber)"

Unfinished = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SINGLE_PUT_BYTES", "PART_BYTES"):
        monkeypatch.setattr(f"media_pipeline.storage.s3_upload.{name}", 5 * MIB)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "finished"
    path.write_bytes(PARTS)
    return path


def assert_whole(store: S3Store, data: bytes = PARTS) -> None:
    reader = store.open(KEY)
    assert reader is not None
    with reader:
        assert reader.read() == data


@pytest.mark.parametrize(
    ("kind", "method", "url", "times"),
    [
        ("answer", "", "", 3),  # the first requests of all, whatever they are
        ("answer", "PUT", PART, 4),
        ("answer", "POST", COMPLETE, 2),
        ("reset_in_body", "PUT", PART, 2),
        ("reset_in_body", "PUT", "partNumber=2", 1),
        ("drop_request", "PUT", "partNumber=3", 2),
        ("drop_reply", "PUT", PART, 2),
        ("drop_reply", "POST", COMPLETE, 1),
        ("drop_reply", "HEAD", "", 1),
    ],
)
def test_a_passing_fault_in_an_upload_of_parts_is_recovered(
    behind: S3Store, proxy: FaultProxy, file: Path, unfinished: Unfinished, kind, method, url, times
) -> None:
    fault = proxy.break_with(kind, method, url, times=times)
    assert behind.publish(file, KEY) == len(PARTS)
    assert fault.struck == times
    assert_whole(behind)
    assert unfinished() == []
    assert not file.exists()


@pytest.mark.parametrize("kind", ["answer", "reset_in_body", "drop_request", "drop_reply"])
def test_a_passing_fault_in_a_single_put_is_recovered(behind: S3Store, proxy: FaultProxy, kind) -> None:
    fault = proxy.break_with(kind, "PUT", times=3)
    behind.put(KEY, b"small")
    assert fault.struck == 3
    assert_whole(behind, b"small")


@pytest.mark.parametrize(
    ("how", "error", "sentence"),
    [
        (
            {"kind": "answer"},
            StorageUnavailable,
            rf"too busy or out of order \(SlowDown\) to the last of {ATTEMPTS} tries",
        ),
        ({"kind": "reset_in_body"}, StorageUnavailable, "cannot be reached .*Check AWS_ENDPOINT_URL_S3"),
        ({"kind": "drop_request"}, StorageUnavailable, "cannot be reached .*Check AWS_ENDPOINT_URL_S3"),
        (
            {"kind": "answer", "status": 400, "code": "ExpiredToken"},
            StorageError,
            "the AWS credentials for the bucket 'media' have expired. Renew them",
        ),
        (
            {"kind": "answer", "status": 403, "code": "AccessDenied"},
            StorageError,
            "lack a permission on the bucket 'media'. Grant s3:PutObject, then run the day again; what was stored",
        ),
        (
            {"kind": "answer", "status": 403, "code": "InvalidAccessKeyId"},
            StorageError,
            "S3 does not know the AWS credentials",
        ),
        ({"kind": "answer", "status": 400, "code": "BadDigest"}, StorageError, "bytes changed on their way"),
        ({"kind": "answer", "status": 403, "code": "QuotaExceeded"}, StorageError, "the bucket 'media' is full"),
    ],
)
def test_a_lasting_fault_in_mid_upload_is_told_and_leaves_what_was_there(
    behind: S3Store, proxy: FaultProxy, file: Path, unfinished: Unfinished, how, error, sentence
) -> None:
    behind.put(KEY, b"the last good one")
    proxy.break_with(method="PUT", url=PART, after=1, times=1000, **how)
    with pytest.raises(error, match=sentence) as told:
        behind.publish(file, KEY)
    assert type(told.value) is error
    assert_whole(behind, b"the last good one")
    assert unfinished() == []
    assert file.read_bytes() == PARTS
    assert os.environ["AWS_ACCESS_KEY_ID"] not in str(told.value)
    assert told.value.__cause__ is None


def test_a_server_that_is_slow_for_seconds_is_waited_for(
    proxy: FaultProxy, s3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)  # with the real waits
    client = connect(1)
    proxy.break_with("answer", "PUT", times=2)
    S3Store(client, BUCKET, "slow", tmp_path).put(KEY, b"small")
    client.close()


def test_another_size_than_was_sent_is_told(behind: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    client = behind._client
    real = client.head_object
    monkeypatch.setattr(client, "head_object", lambda **k: real(**k) | {"ContentLength": 3})
    with pytest.raises(StorageError, match="has 3 bytes after 5 were sent"):
        behind.put(KEY, b"small")


@pytest.mark.parametrize("size", [1000, 3 * 1024 * 1024])
def test_a_body_cut_off_while_it_is_read_is_read_again(behind: S3Store, proxy: FaultProxy, size) -> None:
    data = os.urandom(size)
    behind.put(KEY, data)
    fault = proxy.break_with("cut_reply", "GET", times=2)
    assert_whole(behind, data)
    fault.struck = 0
    assert behind.read_range(KEY, 10, 900) == data[10:910]
    fault.struck = 0
    assert behind.get_small(KEY).data == data if size == 1000 else True


def test_a_body_that_always_breaks_off_is_told(behind: S3Store, proxy: FaultProxy) -> None:
    behind.put(KEY, b"0123456789")
    proxy.break_with("cut_reply", "GET", times=1000)
    with pytest.raises(StorageUnavailable, match="cannot be reached"):
        behind.open(KEY)
    with pytest.raises(StorageUnavailable, match="cannot be reached"):
        behind.read_range(KEY, 0, 10)


@pytest.mark.parametrize("tagged", [False, True])
def test_a_winner_whose_reply_is_lost_still_knows_that_it_won(behind: S3Store, proxy: FaultProxy, tagged) -> None:
    tag = behind.put_if(KEY, b"before", None) if tagged else None
    fault = proxy.break_with("drop_reply", "PUT")
    won = behind.put_if(KEY, b"mine", tag)
    assert won is not None
    assert fault.struck == 1
    assert behind.get_small(KEY) == (b"mine", won)


@pytest.mark.parametrize(("obeyed", "tagged"), [("", False), ("IfNoneMatch", True)])
def test_a_server_that_ignores_conditions_holds_no_lease(
    behind: S3Store, monkeypatch: pytest.MonkeyPatch, obeyed, tagged
) -> None:
    put = behind._client.put_object

    def ignoring(**options):
        return put(**{name: value for name, value in options.items() if name == obeyed or not name.startswith("If")})

    monkeypatch.setattr(behind._client, "put_object", ignoring)
    tag = behind.put_if(KEY, b"before", None) if tagged else None
    with pytest.raises(StorageError, match="ignores the conditions of conditional writes: no lease can be held there"):
        behind.put_if(KEY, b"mine", tag)


def test_a_server_that_refuses_conditions_holds_no_lease(behind: S3Store, proxy: FaultProxy) -> None:
    proxy.break_with("answer", "PUT", times=1000, status=501, code="NotImplemented")
    with pytest.raises(StorageError, match=r"refuses conditional writes \(NotImplemented\): no lease"):
        behind.put_if(KEY, b"mine", None)


def test_a_busy_moment_of_the_key_is_waited_for(behind: S3Store, proxy: FaultProxy) -> None:
    proxy.break_with("answer", "PUT", times=2, status=409, code="ConditionalRequestConflict")
    assert behind.put_if(KEY, b"mine", None)


def test_nobody_reads_the_tag_of_a_large_object(in_s3: S3Store) -> None:
    in_s3.put(KEY, bytes(1024 * 1024 + 1))
    with pytest.raises(ValueError, match="is no small object"):
        in_s3.get_small(KEY)


def test_the_digest_of_the_source_and_checksums_travel_with_an_upload(client, tmp_path: Path, file: Path) -> None:
    store = S3Store(client, BUCKET, "summed", tmp_path / "spool", checksums=True)
    store.publish(file, KEY, sha256="5e" * 32)
    assert_whole(store)
    assert client.head_object(Bucket=BUCKET, Key=f"summed/{KEY}")["Metadata"] == {"sha256": "5e" * 32}
    with store.writer(KEY) as writer:
        writer.write(b"small")
        writer.commit(sha256="ab" * 32)
    assert client.head_object(Bucket=BUCKET, Key=f"summed/{KEY}")["Metadata"] == {"sha256": "ab" * 32}


def test_memory_of_an_upload_does_not_grow_with_its_file(in_s3: S3Store, file: Path) -> None:
    in_s3.put(KEY, b"first")  # what is loaded once
    tracemalloc.start()
    try:
        in_s3.publish(file, KEY)
        assert tracemalloc.get_traced_memory()[1] < 3 * MIB
    finally:
        tracemalloc.stop()
