"""Objects in an S3 bucket below a prefix: spooled to a local temporary file, then uploaded whole.

An upload is one PUT or one multipart upload: either way the object appears complete or not at all.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, cast

from media_pipeline.storage.base import Stat, StorageError, checked_key, checked_range

IN_MEMORY_BYTES = 8 * 1024 * 1024
"""Larger objects are spooled to disk on their way in and out."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z")


class S3Store:
    """ObjectStore over a boto3 S3 client."""

    def __init__(self, client: Any, bucket: str, prefix: str, spool: Path) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self._spool = spool
        self.url = f"s3://{bucket}/{self._prefix}".rstrip("/")

    @contextmanager
    def writer(self, key: str) -> Iterator[_UploadWriter]:
        with self._temporary() as file:
            yield _UploadWriter(self, file, self._prefix + checked_key(key))

    def put(self, key: str, data: bytes) -> None:
        with self.explained():
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + checked_key(key), Body=data)

    def upload(self, file: IO[bytes], full_key: str) -> None:
        """Send a whole file under its full key."""
        with self.explained():
            self._client.upload_fileobj(file, self._bucket, full_key)

    def open(self, key: str) -> IO[bytes] | None:
        from botocore.exceptions import ClientError

        with self.explained():
            try:
                body = self._client.get_object(Bucket=self._bucket, Key=self._prefix + checked_key(key))["Body"]
            except ClientError as error:
                if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                    return None
                raise
            file = self._temporary()
            shutil.copyfileobj(body, file)
        file.seek(0)
        return file

    def read_range(self, key: str, start: int, length: int) -> bytes | None:
        from botocore.exceptions import ClientError

        checked_range(start, length)
        full_key = self._prefix + checked_key(key)
        with self.explained():
            try:
                reply = self._client.get_object(
                    Bucket=self._bucket, Key=full_key, Range=f"bytes={start}-{start + length - 1}"
                )
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code in ("NoSuchKey", "404"):
                    return None
                if code in ("InvalidRange", "416"):  # the object ends before the range begins
                    return b""
                raise
            with closing(reply["Body"]) as body:
                expected = self._announced_bytes(reply, start, length)
                data = bytes(body.read())
        if len(data) != expected:
            raise self._unranged(f"announced {expected} bytes and sent {len(data)}")
        return data

    def _announced_bytes(self, reply: dict[str, Any], start: int, length: int) -> int:
        """How many bytes a reply to a ranged GET carries; raises StorageError unless they are those asked for."""
        status = reply["ResponseMetadata"]["HTTPStatusCode"]
        if status != 206:  # RFC 9110, section 14.2: a server may ignore Range and answer 200 with the whole object
            raise self._unranged(f"answered {status} instead of 206 Partial Content")
        said = str(reply.get("ContentRange", ""))
        found = _CONTENT_RANGE.match(said)
        if found is None or int(found[1]) != start or int(found[2]) + 1 != min(start + length, int(found[3])):
            raise self._unranged(f"answered with Content-Range {said!r}")
        return int(found[2]) + 1 - start

    def _unranged(self, what: str) -> StorageError:
        return StorageError(
            f"MEDIA_ROOT={self.url} cannot be read in parts: asked for a range, the server {what}. Check "
            "AWS_ENDPOINT_URL_S3 and any proxy before it."
        )

    def sizes(self, prefix: str, suffix: str = "") -> dict[str, int]:
        return {key: stat.size for key, stat in self.stats(prefix) if key.endswith(suffix)}

    def stats(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        with self.explained():
            for page in pages:
                for entry in page.get("Contents", ()):
                    stat = Stat(entry["Size"], entry["LastModified"].timestamp())
                    yield entry["Key"][len(self._prefix) :], stat

    def check_writable(self) -> None:
        with self.explained():
            self._client.head_bucket(Bucket=self._bucket)

    def free_bytes(self) -> int | None:
        return None

    def _temporary(self) -> IO[bytes]:
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, dir=str(self._spool))  # noqa: SIM115  the caller closes it
        return cast("IO[bytes]", file)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn botocore's errors into a sentence that names the bucket and what to check, never a signature."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            raise StorageError(
                f"MEDIA_ROOT={self.url} cannot be used (S3 answered {code}): check that the bucket exists and that the "
                "AWS_* credentials may list, read and write it."
            ) from None
        except BotoCoreError as error:
            raise StorageError(
                f"MEDIA_ROOT={self.url} cannot be reached ({type(error).__name__}): check AWS_ENDPOINT_URL_S3, the "
                "region, the credentials and the network."
            ) from None


class _UploadWriter:
    def __init__(self, store: S3Store, file: Any, full_key: str) -> None:
        self._store = store
        self._file = file
        self._full_key = full_key

    def write(self, data: bytes) -> int:
        return int(self._file.write(data))

    def commit(self) -> int:
        size = int(self._file.tell())
        self._file.seek(0)
        self._store.upload(self._file, self._full_key)
        return size
