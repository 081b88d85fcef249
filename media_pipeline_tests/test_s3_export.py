"""A day exported into a real S3 bucket: the same proof as on disk, and the readers that an analyst has."""

import json
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import RunningSandbox, running
from media_pipeline.storage.s3_client import connect
from media_pipeline_tests.harness import DAY, Export, Org, assert_is_truth
from media_pipeline_tests.s3_faults import fault_proxy
from media_pipeline_tests.s3_server import BUCKET, S3Server

TABLES = ("recording_audio", "diarized_transcripts", "availability_report", "storage_utilization")

ExportDay = Callable[..., Export]


@pytest.fixture(scope="module")
def _ready() -> Iterator[RunningSandbox]:
    options = SandboxOptions(port=0, bodies="tiny", per_day=20, days=1, end=DAY, transcode_seconds=3600)
    with running(options) as sandbox:
        sandbox.state.clock.offset_seconds = 3700.0
        yield sandbox


@pytest.fixture
def org(_ready: RunningSandbox) -> Org:
    """20 recordings, none of them in preparation any more."""
    _ready.break_with()
    return Org(_ready)


def test_a_day_in_s3_is_complete_and_equals_the_day_on_disk(org: Org, export: ExportDay, s3_root: str) -> None:
    in_s3 = export(org, root=s3_root)
    assert_is_truth(in_s3, org.truth())
    assert in_s3.check_passed
    on_disk = export(org)
    for table in TABLES:
        assert in_s3.rows(table) == on_disk.rows(table)
    report = f"reports/date={DAY}/availability.json"
    assert in_s3.bytes_of(report) == on_disk.bytes_of(report)
    (audit,) = in_s3.tables.store.sizes(f"audit/date={DAY}/")
    assert json.loads(in_s3.bytes_of(audit).splitlines()[0])["event"] == "step_started"
    assert_objects_name_their_sources(in_s3, s3_root)

    org.forget_stats()
    again = export(org, root=s3_root)
    assert again.result.success
    assert org.media_requests() == 0
    assert again.rows("recording_audio") == in_s3.rows("recording_audio")


def test_an_upload_that_a_killed_run_left_in_the_day_is_ended_by_the_next(
    org: Org, export: ExportDay, s3_root: str
) -> None:
    client = connect(1)
    root = urlsplit(s3_root).path.strip("/")
    target = {"Bucket": BUCKET, "Key": f"{root}/audio/date={DAY}/left.wav.gz"}
    left = client.create_multipart_upload(**target)
    client.upload_part(**target, UploadId=left["UploadId"], PartNumber=1, Body=b"of a killed run")
    assert export(org, root=s3_root).result.success
    uploads = client.list_multipart_uploads(Bucket=BUCKET, Prefix=root)
    assert uploads.get("Uploads", []) == []
    client.close()


def assert_objects_name_their_sources(done: Export, root: str) -> None:
    client = connect(1)
    prefix = urlsplit(root).path.strip("/")
    for row in [row for row in done.rows("recording_audio") if row["status"] == "stored"]:
        head = client.head_object(Bucket=BUCKET, Key=f"{prefix}/{row['object_key']}")
        assert head["Metadata"] == {"sha256": row["sha256"]}
        assert "ContentEncoding" not in head  # a client that unpacks on its own would not get the verified bytes
        assert head["ContentLength"] == row["stored_size_bytes"]
    client.close()


def test_pandas_and_pyarrow_read_the_tables_in_s3(
    org: Org, export: ExportDay, s3: S3Server, s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd
    import pyarrow.dataset as ds
    from pyarrow import fs

    done = export(org, root=s3_root)
    # As docs/operators.md says: Arrow's own client reads neither AWS_ENDPOINT_URL_S3's path nor boto3's settings.
    for name in ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION"):
        monkeypatch.setenv(name, "when_required")
    host = urlsplit(s3.url)
    filesystem = fs.S3FileSystem(
        access_key=s3.access_key, secret_key=s3.secret_key, endpoint_override=host.netloc, scheme=host.scheme
    )
    folder = f"{s3_root.removeprefix('s3://')}/tables/recording_audio"
    frame = pd.read_parquet(folder, filesystem=filesystem)
    assert frame["recording_id"].tolist() == [row["recording_id"] for row in done.rows("recording_audio")]
    table = ds.dataset(folder, filesystem=filesystem, partitioning="hive").to_table(columns=["date", "status"])
    assert table.num_rows == len(frame)
    assert set(table["date"].to_pylist()) == {str(DAY)}


def test_a_day_is_exported_through_an_s3_that_stumbles(
    org: Org, export: ExportDay, s3: S3Server, s3_root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    with fault_proxy(s3.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        proxy.break_with("answer", "PUT", "audio/", times=10)
        proxy.break_with("reset_in_body", "PUT", "audio/", times=10)
        proxy.break_with("drop_reply", "PUT", "tables/", times=2)
        done = export(org, root=s3_root)
        assert_is_truth(done, org.truth())


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (400, "ExpiredToken", "the AWS credentials for the bucket 'media' have expired. Renew them"),
        (503, "SlowDown", "S3 was too busy or out of order (SlowDown) to the last of 8 tries"),
    ],
)
def test_a_run_that_s3_stops_says_why_and_the_next_one_completes_it(
    org: Org,
    export: ExportDay,
    s3: S3Server,
    s3_root: str,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    code: str,
    sentence: str,
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    with fault_proxy(s3.url) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        fault = proxy.break_with("answer", "PUT", r"audio/.*\.gz", after=5, times=1000, status=status, code=code)
        stopped = export(org, root=s3_root)
        assert sentence in stopped.failure
        assert s3.access_key not in stopped.failure
        assert len(stopped.objects) <= 5
        fault.times = 0
        fault.struck = 0
        assert_is_truth(export(org, root=s3_root), org.truth())


def test_a_missing_bucket_stops_the_run_before_anything_is_downloaded(
    org: Org, export: ExportDay, s3: S3Server
) -> None:
    org.forget_stats()
    stopped = export(org, root="s3://no-such-bucket/archive")
    assert "the bucket 'no-such-bucket' does not exist. Create it, or correct MEDIA_ROOT." in stopped.failure
    assert org.stats()["requests"] == {}
