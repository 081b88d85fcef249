"""MEDIA_ROOT in a real S3: the same marts, though DuckDB's own extension is not there."""

import io
from urllib.parse import urlsplit

import pandas as pd  # noqa: TID253 - no code server imports a test
import pytest

from media_pipeline.reports.build import JOB, build_reports
from media_pipeline.settings import Settings
from media_pipeline_tests.reports.conftest import MARTS, day_of_mart


@pytest.fixture
def client(s3):
    import boto3

    client = boto3.Session().client("s3")  # the default session remembers the variables of the first test
    yield client
    client.close()


def test_the_job_builds_the_same_marts_in_s3(client, s3_root, red_day, tmp_path):
    bucket, prefix = urlsplit(s3_root).netloc, urlsplit(s3_root).path.strip("/")
    for file in red_day.path.glob("tables/*/*/*.parquet"):
        client.upload_file(str(file), bucket, f"{prefix}/{file.relative_to(red_day.path)}")
    settings = Settings(root=s3_root, spool=tmp_path / "spool")
    result = (
        build_reports(settings, retry=None)
        .resolve_job_def(JOB)
        .execute_in_process(run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}})
    )
    assert all(check.passed for check in result.get_asset_check_evaluations())
    for mart in MARTS:
        (part,) = red_day.parts(mart)
        body = client.get_object(Bucket=bucket, Key=f"{prefix}/{part.relative_to(red_day.path)}")["Body"].read()
        pd.testing.assert_frame_equal(day_of_mart(part, io.BytesIO(body)), red_day.mart(mart))
    database = client.get_object(Bucket=bucket, Key=f"{prefix}/marts/media.duckdb")["Body"].read()
    assert database[8:12] == b"DUCK"
