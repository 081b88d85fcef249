"""Conditional writes: an object that only appears, or only changes, when nobody else was quicker.

Servers differ. Amazon and the RADOS gateway keep the promise (the gateway wants If-Match without the quotes of the
ETag); Swift refuses conditional writes, rclone ignores them. So the first success of each kind is tried once more where
it must fail: a server that lets it pass is refused, because a lease on it would be held by two.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from typing import Any

from media_pipeline.storage.base import StorageUnavailable, SwapsUnsupported
from media_pipeline.storage.s3_errors import code_of, is_missing, status_of
from media_pipeline.storage.s3_upload import Slice, Uploader

CONFLICT_TRIES = 8
CONFLICT_SECONDS = 0.2
"""Amazon answers 409 while another conditional write of the key is under way; the wait grows with each try."""
_NO_SUCH_TAG = "0" * 32
_UNKNOWN = {"NotImplemented", "MethodNotAllowed", "InvalidArgument", "InvalidRequest", "NotSupported"}

Body = Callable[[], Slice]


class Swaps:
    """Conditional PUTs into one bucket; safe to use from threads."""

    def __init__(self, client: Any, bucket: str, uploader: Uploader) -> None:
        self._client = client
        self._bucket = bucket
        self._uploader = uploader
        self._kept: set[str] = set()
        self._quotes = True

    def create(self, body: Body, key: str, metadata: dict[str, str]) -> str | None:
        """Write an object that does not exist; its ETag, None when it does."""
        etag = self._won(body, key, metadata, {"IfNoneMatch": "*"})
        if etag is not None:
            self._prove(body, key, metadata, {"IfNoneMatch": "*"})
        return etag

    def replace(self, body: Body, key: str, metadata: dict[str, str], tag: str) -> str | None:
        """Write an object whose ETag is the tag; its new ETag, None when it is not."""
        etag = self._won(body, key, metadata, {"IfMatch": tag if self._quotes else tag.strip('"')})
        if etag is None and self._quotes and self._etag(key) == tag:
            etag = self._won(body, key, metadata, {"IfMatch": tag.strip('"')})
            self._quotes = etag is None
        if etag is not None:
            self._prove(body, key, metadata, {"IfMatch": _NO_SUCH_TAG})
        return etag

    def _won(self, body: Body, key: str, metadata: dict[str, str], condition: dict[str, str]) -> str | None:
        claim = uuid.uuid4().hex
        for attempt in range(1, CONFLICT_TRIES + 1):
            outcome = self._put(body, key, {**metadata, "claim": claim}, condition)
            if outcome == "conflict":
                time.sleep(random.uniform(0.5, 1) * CONFLICT_SECONDS * attempt)
            elif outcome is not None:
                return outcome
            else:  # lost; or won by a try whose reply was lost, and then refused by our own object
                return self._etag(key, claim)
        raise StorageUnavailable(
            f"s3://{self._bucket}/{key} was being written by others during {CONFLICT_TRIES} tries. Run again later."
        )

    def _put(self, body: Body, key: str, metadata: dict[str, str], condition: dict[str, str]) -> str | None:
        """The new ETag, `conflict`, or None when the condition does not hold."""
        from botocore.exceptions import ClientError

        try:
            return str(self._uploader.put(body(), key, Metadata=metadata, **condition)["ETag"])
        except ClientError as error:
            if code_of(error) == "ConditionalRequestConflict" or status_of(error) == 409:
                return "conflict"
            if status_of(error) == 412 or ("IfMatch" in condition and is_missing(error)):
                return None
            if code_of(error) in _UNKNOWN or status_of(error) == 501:
                raise self._unable(f"refuses conditional writes ({code_of(error)})") from None
            raise

    def _etag(self, key: str, claim: str | None = None) -> str | None:
        """The object's ETag; with a claim only if the object carries it."""
        from botocore.exceptions import ClientError

        try:
            present = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        if claim is not None and present["Metadata"].get("claim") != claim:
            return None
        return str(present["ETag"])

    def _prove(self, body: Body, key: str, metadata: dict[str, str], impossible: dict[str, str]) -> None:
        """Try what must fail, once a process and kind; a server that lets it pass writes what is there already."""
        kind = next(iter(impossible))
        if kind in self._kept:
            return
        if self._put(body, key, metadata, impossible) not in (None, "conflict"):
            raise self._unable("ignores the conditions of conditional writes")
        self._kept.add(kind)

    def _unable(self, what: str) -> SwapsUnsupported:
        return SwapsUnsupported(
            f"The S3 server of the bucket {self._bucket!r} {what}: no lease can be held there. Use Amazon S3, a Ceph "
            "RADOS gateway or another server with If-None-Match and If-Match for PUT."
        )
