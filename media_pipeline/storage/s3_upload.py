"""Uploads a local file as one object: one PUT, or parts, each verified by the server; it appears whole or never.

Memory stays below a MiB an upload whatever the file's size: bodies are read from the file while they are sent, and sent
again from there when a request is retried.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from media_pipeline.storage.base import StorageError
from media_pipeline.storage.s3_errors import code_of

MIB = 1024 * 1024
SINGLE_PUT_BYTES = 16 * MIB
"""Larger files go in parts: what a broken connection costs is one part."""
PART_BYTES = 16 * MIB
MOST_PARTS = 10_000
"""S3's own limit; the parts of files above 156 GB are larger."""
LARGEST_SINGLE_BYTES = 5 * 1024 * MIB


class Uploader:
    """Uploads to one bucket; safe to use from threads, each with its own file."""

    def __init__(self, client: Any, bucket: str, *, checksums: bool) -> None:
        """`checksums`: send x-amz-checksum-sha256 too, which S3 verifies and keeps; some older servers refuse it."""
        self._client = client
        self._bucket = bucket
        self._checksums = checksums

    def upload(self, file: IO[bytes], key: str, sha256: str | None = None) -> int:
        """Send all of a file and ask for the object's size; raises botocore's errors and StorageError."""
        size = file.seek(0, os.SEEK_END)
        metadata = metadata_of(sha256)
        if size <= SINGLE_PUT_BYTES:
            self.put(Slice(file, 0, size), key, Metadata=metadata)
        else:
            self._in_parts(file, size, key, metadata)
        self.check_size(key, size)
        return size

    def put(self, body: Slice, key: str, **options: Any) -> dict[str, Any]:
        """One PUT, verified by the server."""
        reply: dict[str, Any] = self._client.put_object(
            Bucket=self._bucket, Key=key, Body=body, **self._digests(body), **options
        )
        return reply

    def check_size(self, key: str, size: int) -> None:
        """Raise StorageError unless the object has this size: the last word is the server's."""
        present = self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
        if present != size:
            raise StorageError(
                f"s3://{self._bucket}/{key} has {present} bytes after {size} were sent: another program writes there, "
                "or the server or a proxy before it is at fault. Correct that, then run the day again."
            )

    def _in_parts(self, file: IO[bytes], size: int, key: str, metadata: Mapping[str, str]) -> None:
        algorithm = {"ChecksumAlgorithm": "SHA256"} if self._checksums else {}
        target = {"Bucket": self._bucket, "Key": key}
        created = self._client.create_multipart_upload(**target, Metadata=metadata, **algorithm)
        upload = {**target, "UploadId": created["UploadId"]}
        try:
            parts, etag = self._parts(file, size, upload)
            self._complete(upload, parts, size, etag)
        except BaseException:
            with suppress(Exception):  # the first error is the one to tell; the next run clears what is left
                self._client.abort_multipart_upload(**upload)
            raise

    def _parts(self, file: IO[bytes], size: int, upload: Mapping[str, str]) -> tuple[list[dict[str, Any]], str]:
        """Send the parts one after another; returns them, and the ETag that S3 derives from their MD5s."""
        parts: list[dict[str, Any]] = []
        whole = hashlib.md5(usedforsecurity=False)
        step = part_bytes(size)
        for number, start in enumerate(range(0, size, step), 1):
            body = Slice(file, start, min(step, size - start))
            digests = self._digests(body)
            reply = self._client.upload_part(**upload, PartNumber=number, Body=body, **digests)
            whole.update(base64.b64decode(digests.pop("ContentMD5")))
            parts.append({"PartNumber": number, "ETag": reply["ETag"], **digests})
        return parts, f"{whole.hexdigest()}-{len(parts)}"

    def _complete(self, upload: Mapping[str, str], parts: list[dict[str, Any]], size: int, etag: str) -> None:
        from botocore.exceptions import ClientError

        try:
            self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
        except ClientError as error:
            if code_of(error) != "NoSuchUpload":
                raise
            # A retry after a reply that was lost on its way: the object may well be there.
            with suppress(ClientError):
                present = self._client.head_object(Bucket=upload["Bucket"], Key=upload["Key"])
                if (present["ContentLength"], present["ETag"].strip('"')) == (size, etag):
                    return
            raise

    def _digests(self, body: Slice) -> dict[str, str]:
        md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
        while piece := body.read(MIB):
            md5.update(piece)
            if self._checksums:
                sha256.update(piece)
        body.seek(0)
        digests = {"ContentMD5": base64.b64encode(md5.digest()).decode()}
        if self._checksums:
            digests["ChecksumSHA256"] = base64.b64encode(sha256.digest()).decode()
        return digests


class Slice(io.RawIOBase):
    """A part of an open file as a body that botocore can send, measure and rewind."""

    def __init__(self, file: IO[bytes], start: int, length: int) -> None:
        self._file = file
        self._start = start
        self._length = length
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = origin + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._length - self._position)
        self._file.seek(self._start + self._position)
        data = self._file.read(left if size is None or size < 0 else min(size, left))
        self._position += len(data)
        return data


def part_bytes(size: int) -> int:
    """The size of a file's parts, so that they are not too many."""
    needed = -(-size // MOST_PARTS)
    return max(PART_BYTES, -(-needed // MIB) * MIB)


SHA256 = "sha256"
"""Of an object's source, in its metadata."""


def metadata_of(sha256: str | None) -> dict[str, str]:
    """What an object says of its source."""
    return {SHA256: sha256} if sha256 else {}
