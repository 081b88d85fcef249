"""Ends multipart uploads that killed runs left: their parts cost money and appear in no listing of objects."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any

from media_pipeline.storage.s3_errors import code_of, status_of

STALE_UPLOAD_SECONDS = 24 * 3600
"""Far longer than any upload of a living run takes."""
PROBE_SECONDS = 60.0
"""A check of permissions ends its upload in the next request."""
ANY_AGE_SECONDS = -60.0
"""The servers' clocks tell whole seconds, and those of several need not agree."""
MOST_LISTED = 10_000
MOST_ABORTED = 1_000
"""A run is not to spend its time on tidying; the next ones go on."""

_log = logging.getLogger(__name__)


def abort_stale(client: Any, bucket: str, prefix: str, older_than_seconds: float = STALE_UPLOAD_SECONDS) -> int:
    """Abort uploads below the prefix that began so long ago by the server's clock; returns how many.

    Without the permission to list them nothing is done but a warning: a run needs no tidying to be right.
    """
    from botocore.exceptions import ClientError

    pages = client.get_paginator("list_multipart_uploads").paginate(
        Bucket=bucket, Prefix=prefix, PaginationConfig={"MaxItems": MOST_LISTED}
    )
    aborted = 0
    try:
        for page in pages:
            limit = _server_time(page) - older_than_seconds
            for upload in page.get("Uploads", ()):
                if upload["Initiated"].timestamp() > limit:
                    continue
                if aborted == MOST_ABORTED:
                    return aborted
                with suppress(client.exceptions.NoSuchUpload):  # completed or aborted since
                    client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
                aborted += 1
    except ClientError as error:
        if status_of(error) not in (403, 405, 501):
            raise
        _log.warning(
            "Unfinished uploads in the bucket %s cannot be listed and ended (%s): grant s3:ListBucketMultipartUploads, "
            "or let a lifecycle rule of the bucket end them.",
            bucket,
            code_of(error),
        )
    return aborted


def _server_time(page: dict[str, Any]) -> float:
    date = page["ResponseMetadata"]["HTTPHeaders"].get("date")
    return parsedate_to_datetime(date).timestamp() if date else time.time()
