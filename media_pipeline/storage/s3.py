"""Objects in an S3 bucket below a prefix: spooled to a local temporary file, then uploaded whole.

What uploading means is in `s3_upload.py`, writing under a condition in `s3_swap.py`.
"""

from __future__ import annotations

import io
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from media_pipeline.storage.base import SMALL_BYTES, Small, Stat, StorageError, Version, checked_key, checked_range
from media_pipeline.storage.s3_client import connect, is_aws
from media_pipeline.storage.s3_errors import code_of, explained, is_missing
from media_pipeline.storage.s3_stale import ANY_AGE_SECONDS, PROBE_SECONDS, abort_stale
from media_pipeline.storage.s3_swap import Swaps
from media_pipeline.storage.s3_upload import LARGEST_SINGLE_BYTES, SHA256, Slice, Uploader, metadata_of

IN_MEMORY_BYTES = 1024 * 1024
"""Larger objects are spooled to disk on their way in and out."""
COPY_BYTES = 256 * 1024
READ_TRIES = 4
"""botocore retries requests, not bodies that break off while they are read."""
FIRST_READ_WAIT_SECONDS = 0.5
PROBE = ".writable"
"""No object ever has this key; asking for it and beginning to upload it shows what the credentials may do."""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z")

T = TypeVar("T")


class S3Store:
    """ObjectStore over a boto3 S3 client; safe to use from threads."""

    def __init__(self, client: Any, bucket: str, prefix: str, spool: Path, *, checksums: bool | None = None) -> None:
        """`checksums`: whether the server verifies x-amz-checksum-sha256; by default only Amazon's is asked to."""
        self._client = client
        self._bucket = bucket
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        self._spool = spool
        self._uploader = Uploader(client, bucket, checksums=is_aws(client) if checksums is None else checksums)
        self._swaps = Swaps(client, bucket, self._uploader)
        self.url = f"s3://{bucket}/{self._prefix}".rstrip("/")

    @contextmanager
    def writer(self, key: str) -> Iterator[_UploadWriter]:
        full_key = self._full(key)
        with self._temporary() as file:
            yield _UploadWriter(self, file, full_key)

    def put(self, key: str, data: bytes, *, durable: bool = True) -> None:
        self.put_pieces(key, [data])

    def put_pieces(self, key: str, pieces: Sequence[bytes], *, sha256: str | None = None, soon: bool = False) -> int:
        return self.upload(io.BytesIO(b"".join(pieces)), self._full(key), sha256)

    def publish(self, path: Path, key: str, *, sha256: str | None = None, soon: bool = False) -> int:
        with path.open("rb") as file:
            size = self.upload(file, self._full(key), sha256)
        path.unlink()
        return size

    def flush(self) -> None:
        """Nothing is to be done: S3 acknowledges what is durable."""

    def publish_new(self, path: Path, key: str, *, sha256: str | None = None) -> bool:
        full_key, size = self._full(key), path.stat().st_size
        if size > LARGEST_SINGLE_BYTES:
            raise ValueError(f"{size} bytes do not go into one PUT, and parts cannot be published under a condition.")
        with path.open("rb") as file, self._explained():
            etag = self._swaps.create(lambda: Slice(file, 0, size), full_key, metadata_of(sha256))
            if etag is not None:
                self._uploader.check_size(full_key, size)
        if etag is not None:
            path.unlink()
        return etag is not None

    def get_small(self, key: str, most_bytes: int = SMALL_BYTES) -> Small | None:
        def read(reply: dict[str, Any]) -> Small:
            if reply["ContentLength"] > most_bytes:
                raise ValueError(f"{key!r} has {reply['ContentLength']} bytes and is no small object.")
            return Small(reply["Body"].read(), reply["ETag"])

        return self._read(self._full(key), read)

    def put_if(self, key: str, data: bytes, tag: str | None) -> str | None:
        full_key = self._full(key)

        def body() -> Slice:
            return Slice(io.BytesIO(data), 0, len(data))

        with self._explained():
            if tag is None:
                return self._swaps.create(body, full_key, {})
            return self._swaps.replace(body, full_key, {}, tag)

    def upload(self, file: IO[bytes], full_key: str, sha256: str | None = None) -> int:
        """Send a whole file under its full key; returns its size in bytes."""
        with self._explained():
            return self._uploader.upload(file, full_key, sha256)

    def open(self, key: str) -> IO[bytes] | None:
        file = self._temporary()

        def copy(reply: dict[str, Any]) -> IO[bytes]:
            file.seek(0)
            file.truncate()
            while piece := reply["Body"].read(COPY_BYTES):
                with self._spooling():  # not around the read: botocore's network errors are OSErrors too
                    file.write(piece)
            file.seek(0)
            return file

        try:
            found = self._read(self._full(key), copy)
        except BaseException:
            file.close()
            raise
        if found is None:
            file.close()
        return found

    def read_range(self, key: str, start: int, length: int) -> bytes | None:
        return self._ranged(key, start, length)

    def _ranged(self, key: str, start: int, length: int, **options: str) -> bytes | None:
        checked_range(start, length)

        def read(reply: dict[str, Any]) -> bytes:
            expected = self._announced_bytes(reply, start, length)
            data = bytes(reply["Body"].read())
            if len(data) != expected:
                raise self._unranged(f"announced {expected} bytes and sent {len(data)}")
            return data

        try:
            return self._read(self._full(key), read, Range=f"bytes={start}-{start + length - 1}", **options)
        except _EndsBefore:
            return b""

    def version(self, key: str) -> Version | None:
        head = self._head(key)
        if head is None:
            return None
        return _TaggedObject(self, key, head["ETag"], Stat(head["ContentLength"], head["LastModified"].timestamp()))

    def source_sha256(self, key: str) -> str | None:
        head = self._head(key)
        return None if head is None else head.get("Metadata", {}).get(SHA256)

    def _head(self, key: str) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        with self._explained():
            try:
                return dict(self._client.head_object(Bucket=self._bucket, Key=self._full(key)))
            except ClientError as error:
                if is_missing(error):
                    return None
                raise

    def read_tagged(self, key: str, tag: str, start: int, length: int) -> bytes | None:
        """As `read_range`; None too when the object has another ETag."""
        return self._ranged(key, start, length, IfMatch=tag)

    def sizes(self, prefix: str, suffix: str = "") -> dict[str, int]:
        return {key: stat.size for key, stat in self.stats(prefix) if key.endswith(suffix)}

    def stats(self, prefix: str) -> Iterator[tuple[str, Stat]]:
        for key, entry in self._listed(prefix):
            yield key, Stat(entry["Size"], entry["LastModified"].timestamp())

    def tags(self, prefix: str) -> Iterator[tuple[str, str]]:
        for key, entry in self._listed(prefix):
            yield key, entry["ETag"]

    def _listed(self, prefix: str) -> Iterator[tuple[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        with self._explained():
            for page in pages:
                for entry in _entries(page):
                    yield entry["Key"][len(self._prefix) :], entry

    def link(self, key: str, seconds: int, *, content_type: str, disposition: str) -> str:
        """A presigned GET of one object that lives so long (at most 7 days), with a type and a name that are fixed.

        Signed with version 4, as boto3 does by itself in some regions only; credentials that end earlier end it.
        """
        signer = connect(1, signature_version="s3v4")
        try:
            parameters = {
                "Bucket": self._bucket,
                "Key": self._full(key),
                "ResponseContentType": content_type,
                "ResponseContentDisposition": disposition,
                "ResponseCacheControl": "private, no-store",
            }
            with self._explained():
                return str(signer.generate_presigned_url("get_object", Params=parameters, ExpiresIn=seconds))
        finally:
            signer.close()

    def remove(self, key: str) -> None:
        with explained(self.url, self._bucket, key):  # each path has a permission of its own
            self._client.delete_object(Bucket=self._bucket, Key=self._full(key))

    def check_writable(self) -> None:
        """Ask for each permission a run needs and leave nothing, not even a version; abort uploads older than a day."""
        probe = {"Bucket": self._bucket, "Key": self._prefix + PROBE}
        with self._explained():
            upload = self._client.create_multipart_upload(**probe)
            self._client.abort_multipart_upload(**probe, UploadId=upload["UploadId"])
            _entries(self._client.list_objects_v2(Bucket=self._bucket, Prefix=probe["Key"], MaxKeys=1))
            abort_stale(self._client, self._bucket, probe["Key"], PROBE_SECONDS)
            abort_stale(self._client, self._bucket, self._prefix)
        self.get_small(PROBE)

    def drop_unfinished(self, prefix: str) -> None:
        with self._explained():
            abort_stale(self._client, self._bucket, self._prefix + prefix, ANY_AGE_SECONDS)

    def free_bytes(self) -> int | None:
        return None

    def _full(self, key: str) -> str:
        return self._prefix + checked_key(key)

    def _read(self, full_key: str, take: Callable[[dict[str, Any]], T], **options: Any) -> T | None:
        """What `take` makes of an object's GET, again from its beginning when the body breaks off."""
        from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError

        with self._explained():
            for attempt in range(READ_TRIES):
                try:
                    reply = self._client.get_object(Bucket=self._bucket, Key=full_key, **options)
                except ClientError as error:
                    if is_missing(error):
                        return None
                    if "IfMatch" in options and code_of(error) in ("PreconditionFailed", "412"):
                        return None
                    if code_of(error) in ("InvalidRange", "416"):  # the object ends before the range begins
                        raise _EndsBefore from None
                    raise
                try:
                    with closing(reply["Body"]):
                        return take(reply)
                except (HTTPClientError, IncompleteReadError):
                    if attempt + 1 == READ_TRIES:
                        raise
                    time.sleep(FIRST_READ_WAIT_SECONDS * 2**attempt)
        raise AssertionError("unreachable")

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

    def _temporary(self) -> IO[bytes]:
        with self._spooling():
            self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, dir=str(self._spool))  # noqa: SIM115  the caller closes it
        return cast("IO[bytes]", file)

    @contextmanager
    def _spooling(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"MEDIA_SPOOL={self._spool} cannot be written ({error.strerror}): free space there or set it to a "
                "folder this user may write, then run the day again."
            ) from error

    def _explained(self) -> AbstractContextManager[None]:
        return explained(self.url, self._bucket)


def _entries(page: dict[str, Any]) -> Sequence[Any]:
    """The objects of a listing's page; raises KeyError for an answer that is no whole page."""
    # botocore reads any XML, such as a sign-in page, as a listing without objects: what is missing there gets deleted
    if page["IsTruncated"] and "NextContinuationToken" not in page:
        raise KeyError("NextContinuationToken")
    return cast("Sequence[Any]", page.get("Contents", ()))


class _EndsBefore(Exception):
    """The object ends before the range begins."""


class _TaggedObject:
    """A version as an object's ETag: the server is told it with each request."""

    def __init__(self, store: S3Store, key: str, tag: str, stat: Stat) -> None:
        self.stat = stat
        self._store, self._key, self._tag = store, key, tag

    def read_range(self, start: int, length: int) -> bytes | None:
        return self._store.read_tagged(self._key, self._tag, start, length)

    def close(self) -> None:
        pass


class _UploadWriter:
    def __init__(self, store: S3Store, file: IO[bytes], full_key: str) -> None:
        self._store = store
        self._file = file
        self._full_key = full_key

    def write(self, data: bytes) -> int:
        with self._store._spooling():
            return int(self._file.write(data))

    def commit(self, *, sha256: str | None = None) -> int:
        return self._store.upload(self._file, self._full_key, sha256)
