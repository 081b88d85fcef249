"""MEDIA_ROOT in S3 (moto's server speaks the protocol): the same marts, though DuckDB's own extension is not there."""

import io

import httpx
import pandas as pd  # noqa: TID253 - no code server imports a test
import pytest

from media_pipeline.reports.build import JOB, build_reports
from media_pipeline.settings import Settings
from media_pipeline_tests.reports.conftest import MARTS
from media_pipeline_tests.storage.test_stores import s3_url  # noqa: F401  a fixture

BUCKET = "media"
ROOT = f"s3://{BUCKET}/some/archive"


@pytest.fixture
def variables(s3_url, monkeypatch):  # noqa: F811  the fixture's value
    found = {
        "AWS_ENDPOINT_URL_S3": s3_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    httpx.post(f"{s3_url}/moto-api/reset").raise_for_status()
    return found


@pytest.fixture
def bucket(variables):
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


def test_the_job_builds_the_same_marts_in_s3(bucket, red_day, tmp_path, variables):
    for file in red_day.path.glob("tables/*/*/*.parquet"):
        bucket.upload_file(str(file), BUCKET, f"some/archive/{file.relative_to(red_day.path)}")
    settings = Settings(root=ROOT, spool=tmp_path / "spool")
    result = (
        build_reports(settings, retry=None)
        .resolve_job_def(JOB)
        .execute_in_process(run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}})
    )
    assert all(check.passed for check in result.get_asset_check_evaluations())
    for mart in MARTS:
        body = bucket.get_object(Bucket=BUCKET, Key=f"some/archive/marts/{mart}/part-0.parquet")["Body"].read()
        pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(body)), red_day.mart(mart))
    database = bucket.get_object(Bucket=BUCKET, Key="some/archive/marts/media.duckdb")["Body"].read()
    assert database[8:12] == b"DUCK"
