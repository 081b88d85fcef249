"""Before anything is downloaded, a run knows that it may list, read and write; and it says which part it may not."""

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.messaging.deleting import work_ledger
from media_pipeline.messaging.retention import Ledger, Policy, Subject
from media_pipeline.reports.places import DATABASE_KEY
from media_pipeline.reports.publishing import mart_key
from media_pipeline.storage.base import StorageError, StorageUnavailable
from media_pipeline.storage.opening import open_store
from media_pipeline.storage.s3 import S3Store
from media_pipeline.storage.s3_client import connect
from media_pipeline.storage.s3_stale import PROBE_SECONDS, STALE_UPLOAD_SECONDS, abort_stale
from media_pipeline.storage.s3_upload import MIB, PART_BYTES, part_bytes
from media_pipeline.tables.paths import (
    checking_key,
    ledger_prefix,
    object_key,
    outbox_key,
    silenced_key,
    table_key,
    thumbnail_key,
    upload_key,
    voice_state_key,
    waveform_key,
)
from media_pipeline_tests.harness import DAY
from media_pipeline_tests.s3_faults import FaultProxy
from media_pipeline_tests.s3_server import BUCKET, Gateway, S3Server

Connect = Callable[..., S3Store]


@pytest.fixture
def connected(s3: S3Server, s3_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """A store with other variables than the server's owner has."""
    clients: list[Any] = []

    def open_store(bucket: str = BUCKET, **variables: str) -> S3Store:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        clients.append(connect(2))
        return S3Store(clients[-1], bucket, urlsplit(s3_root).path, tmp_path)

    yield open_store
    for client in clients:
        client.close()


def test_a_bucket_that_is_missing_is_named(connected: Connect) -> None:
    store = connected("no-such-bucket")
    for use in (store.check_writable, lambda: store.put("x", b""), lambda: store.sizes("audio/")):
        with pytest.raises(
            StorageError, match=r"the bucket 'no-such-bucket' does not exist\. Create it, or correct MEDIA_ROOT"
        ):
            use()


def test_what_is_no_name_of_a_bucket_is_told(connected: Connect) -> None:
    with pytest.raises(StorageError, match="'no_such/bucket' is not a bucket's name"):
        connected("no_such/bucket").check_writable()


def test_missing_credentials_are_told(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StorageError, match=r"no AWS credentials or settings .* Set AWS_ACCESS_KEY_ID"):
        connected().check_writable()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_ENDPOINT_URL_S3", "nonsense"),
        ("AWS_ENDPOINT_URL_S3", "http://[::1"),
        ("AWS_DEFAULT_REGION", "eu west!"),
        ("AWS_PROFILE", "nobody"),
    ],
)
def test_a_malformed_setting_is_told_at_once_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=rf"s3://bucket/prefix cannot be opened: correct .*{variable}"):
        open_store("s3://bucket/prefix", tmp_path, 2)


def test_a_server_that_does_not_answer_is_told(connected: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    with pytest.raises(StorageUnavailable, match=r"cannot be reached .* Check AWS_ENDPOINT_URL_S3"):
        connected(AWS_ENDPOINT_URL_S3="http://127.0.0.1:9").put("x", b"")


def test_what_is_no_s3_server_is_told(behind: S3Store, proxy: FaultProxy) -> None:
    proxy.break_with("answer", times=1000, status=200, text="<html>Log in</html>")
    with pytest.raises(StorageError, match="what answers is no S3 server"):
        behind.check_writable()


@pytest.mark.parametrize(
    "text",
    [
        "<html><body>Sign in</body></html>",
        "<ListBucketResult/>",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
    ],
)
def test_what_is_no_whole_listing_is_told_and_not_taken_for_an_empty_one(
    behind: S3Store, proxy: FaultProxy, text: str
) -> None:
    behind.put("audio/x.gz", b"")
    proxy.break_with("answer", "GET", "list-type=2", times=1000, status=200, text=text)
    for listing in (behind.sizes, lambda prefix: list(behind.stats(prefix)), lambda prefix: list(behind.tags(prefix))):
        with pytest.raises(StorageError, match="what answers is no S3 server"):
            listing("audio/")
    with pytest.raises(StorageError, match="what answers is no S3 server"):
        behind.check_writable()


def test_credentials_that_the_server_does_not_know_are_told(gateway: Gateway, connected: Connect) -> None:
    for variables in ({"AWS_SECRET_ACCESS_KEY": "wrong"}, {"AWS_ACCESS_KEY_ID": "UNKNOWN"}):
        with pytest.raises(StorageError, match="S3 does not know the AWS credentials") as told:
            connected(**variables).check_writable()
        assert "UNKNOWN" not in str(told.value)


def test_a_permission_that_is_missing_is_named(gateway: Gateway, connected: Connect) -> None:
    _, access_key, secret_key = gateway.add_user()
    store = connected(AWS_ACCESS_KEY_ID=access_key, AWS_SECRET_ACCESS_KEY=secret_key)
    with pytest.raises(StorageError, match=r"lack a permission on the bucket 'media'\. Grant s3:PutObject"):
        store.check_writable()
    with pytest.raises(StorageError, match="Grant s3:ListBucket"):
        store.sizes("audio/")


DOCUMENTED = ("PutObject", "GetObject", "AbortMultipartUpload", "ListBucket", "ListBucketMultipartUploads")
"""The permissions that docs/operators.md asks for."""


@contextmanager
def allowed(client: Any, user: str, *actions: str) -> Iterator[None]:
    """A bucket policy for another user than the owner."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam:::user/{user}"]},
        "Action": [f"s3:{action}" for action in actions],
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
    }
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    try:
        yield
    finally:
        client.delete_bucket_policy(Bucket=BUCKET)


def test_the_documented_permissions_suffice(gateway: Gateway, connected: Connect, client: Any, tmp_path: Path) -> None:
    user, access_key, secret_key = gateway.add_user()
    store = connected(AWS_ACCESS_KEY_ID=access_key, AWS_SECRET_ACCESS_KEY=secret_key)
    with allowed(client, user, *DOCUMENTED):
        store.check_writable()
        (path := tmp_path / "finished").write_bytes(bytes(PART_BYTES + 1))
        store.publish(path, "audio/x.gz")
        assert store.read_range("audio/x.gz", 0, 3) == bytes(3)
        assert store.put_if("lease", b"mine", None)
        assert set(store.sizes("audio/")) == {"audio/x.gz"}


REMOVED = (
    checking_key(DAY),
    ledger_prefix(DAY) + "run.jsonl",
    mart_key("recording_facts", DAY),
    outbox_key(DAY, "run", 1),
    table_key("recording_deadlines", DAY),
    upload_key(DAY, "file", "5e", "png"),
    voice_state_key("message"),
    f"{DATABASE_KEY}.wal",
)
"""What jobs and sensors remove besides what the ledger of deletions says."""
SCHEDULED = (
    object_key(DAY, "r", 0, False, "wav"),
    silenced_key(object_key(DAY, "r", 0, False, "wav")),
    thumbnail_key(DAY, "i", "r", "r", 0),
    waveform_key(DAY, "r", 0),
)


@contextmanager
def documented(client: Any, user: str, place: str) -> Iterator[None]:
    """The policy of docs/operators.md for another user than the owner; `place`: what it calls bucket/prefix."""
    page = (Path(__file__).parents[2] / "docs/operators.md").read_text().split("\n### Permissions\n")[1]
    text = page.split("```json\n")[1].split("```")[0].replace("bucket/prefix", place)
    policy = json.loads(text.replace(':::bucket"', f':::{BUCKET}"'))
    for statement in policy["Statement"]:
        statement["Principal"] = {"AWS": [f"arn:aws:iam:::user/{user}"]}
    client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy))
    try:
        yield
    finally:
        client.delete_bucket_policy(Bucket=BUCKET)


def test_the_documented_policy_lets_jobs_remove_what_they_remove_and_nothing_else(
    gateway: Gateway, connected: Connect, client: Any
) -> None:
    user, access_key, secret_key = gateway.add_user()
    store = connected(AWS_ACCESS_KEY_ID=access_key, AWS_SECRET_ACCESS_KEY=secret_key)
    now, policy = dt.datetime.now(dt.UTC), Policy(name="p", why="w", ttl=dt.timedelta(0), keeps_copy=False)
    with documented(client, user, f"{BUCKET}/{store._prefix}".rstrip("/")):
        store.check_writable()
        for key in REMOVED:
            store.put(key, b"")
            store.remove(key)
        for key in SCHEDULED:
            store.put(key, b"")
            Ledger(store).schedule(Subject(kind="local_object", id=key), policy, now=now)
        tally = work_ledger(store, None, run_id="r", allowed=False, emit=lambda *_, **__: None)
        assert tally.outcomes == {"deleted": len(SCHEDULED)}
        store.put("audit/x", b"")
        with pytest.raises(StorageError, match="Grant s3:DeleteObject for 'audit/x', then run"):
            store.remove("audit/x")


@pytest.mark.parametrize("missing", ["PutObject", "AbortMultipartUpload", "ListBucket"])
def test_each_permission_that_is_missing_is_named_before_the_first_download(
    gateway: Gateway, connected: Connect, client: Any, missing: str
) -> None:
    user, access_key, secret_key = gateway.add_user()
    store = connected(AWS_ACCESS_KEY_ID=access_key, AWS_SECRET_ACCESS_KEY=secret_key)
    with (
        allowed(client, user, *(action for action in DOCUMENTED if action != missing)),
        pytest.raises(StorageError, match=f"Grant s3:{missing}"),
    ):
        store.check_writable()
    abort_stale(client, BUCKET, store._prefix, older_than_seconds=-60)


def test_credentials_taken_away_in_mid_upload_leave_nothing(
    gateway: Gateway, connected: Connect, client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, access_key, secret_key = gateway.add_user()
    store = connected(AWS_ACCESS_KEY_ID=access_key, AWS_SECRET_ACCESS_KEY=secret_key)
    upload = store._client.upload_part

    def upload_part(**part: Any) -> Any:
        if part["PartNumber"] == 2:
            gateway.remove_key(user, access_key)
        return upload(**part)

    monkeypatch.setattr(store._client, "upload_part", upload_part)
    (path := tmp_path / "finished").write_bytes(bytes(2 * PART_BYTES))
    with (
        allowed(client, user, *DOCUMENTED),
        pytest.raises(StorageError, match="S3 does not know the AWS credentials") as told,
    ):
        store.publish(path, "audio/x.gz")
    assert access_key not in str(told.value)
    assert path.exists()
    assert client.list_objects_v2(Bucket=BUCKET, Prefix=store._prefix)["KeyCount"] == 0
    # Nobody could abort it then: the next run with good credentials does, once it is old.
    assert abort_stale(client, BUCKET, store._prefix, older_than_seconds=-60) == 1


def test_a_check_leaves_nothing_behind(in_s3: S3Store, client: Any, unfinished: Callable[[], list[str]]) -> None:
    in_s3.check_writable()
    assert unfinished() == []
    assert client.list_objects_v2(Bucket=BUCKET, Prefix=in_s3._prefix)["KeyCount"] == 0


def test_old_unfinished_uploads_below_the_root_are_ended_and_no_others(
    gateway: Gateway, in_s3: S3Store, client: Any, unfinished: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, living = in_s3._prefix + "audio/x.gz", in_s3._prefix + "audio/living.gz"
    foreign = in_s3._prefix.replace("archive/", "elsewhere/x.gz")
    for key in (ours, foreign):
        client.create_multipart_upload(Bucket=BUCKET, Key=key)
    in_s3.check_writable()  # all are young
    assert sorted(unfinished()) == sorted([ours, foreign])
    time.sleep(0.1)
    client.create_multipart_upload(Bucket=BUCKET, Key=living)
    uploads = client.list_multipart_uploads(Bucket=BUCKET, Prefix=in_s3._prefix)["Uploads"]
    began = {upload["Key"]: upload["Initiated"].timestamp() for upload in uploads}
    between = (began[ours] + began[living]) / 2
    monkeypatch.setattr("media_pipeline.storage.s3_stale._server_time", lambda _: between + STALE_UPLOAD_SECONDS)
    in_s3.check_writable()
    assert sorted(unfinished()) == sorted([living, foreign])


def test_what_a_killed_run_left_in_a_folder_is_ended_at_once_by_who_works_there_alone(
    gateway: Gateway, in_s3: S3Store, client: Any, unfinished: Callable[[], list[str]]
) -> None:
    left, other = (in_s3._prefix + f"audio/date=2026-03-0{day}/x.gz" for day in (1, 2))
    for key in (left, other):
        client.create_multipart_upload(Bucket=BUCKET, Key=key)
    in_s3.drop_unfinished("audio/date=2026-03-01/")
    assert unfinished() == [other]


def test_a_check_that_was_killed_is_cleared_up_after_a_minute(
    gateway: Gateway, in_s3: S3Store, client: Any, unfinished: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = in_s3._prefix + ".writable"
    client.create_multipart_upload(Bucket=BUCKET, Key=left)
    in_s3.check_writable()
    assert unfinished() == [left]
    monkeypatch.setattr("media_pipeline.storage.s3_stale._server_time", lambda _: time.time() + PROBE_SECONDS + 2)
    in_s3.check_writable()
    assert unfinished() == []


def test_a_server_that_lists_no_uploads_stops_no_run(
    behind: S3Store, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.break_with("answer", "GET", r"\?uploads", status=403, code="AccessDenied")
    behind.check_writable()
    assert "grant s3:ListBucketMultipartUploads, or let a lifecycle rule" in caplog.text


def test_a_client_of_amazon_sends_checksums_and_names_the_bucket_in_the_host(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = connect(40)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    amazon = connect(40)
    for client, path_style, checksums in ((own, True, False), (amazon, False, True)):
        url = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "x"})
        assert (f"/{BUCKET}/x" in url) is path_style
        assert S3Store(client, BUCKET, "", tmp_path)._uploader._checksums is checksums
        assert client.meta.config.max_pool_connections > 40
        client.close()


def test_the_parts_of_a_huge_file_are_few_enough() -> None:
    assert part_bytes(1) == part_bytes(10_000 * PART_BYTES) == PART_BYTES
    huge = 10_000 * PART_BYTES + 1
    assert part_bytes(huge) == 17 * MIB
    assert -(-(5 * 1024**4) // part_bytes(5 * 1024**4)) <= 10_000
