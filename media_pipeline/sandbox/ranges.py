"""Range and If-Range as RFC 9110 has them, for one file: 200, 206 or 416. No faults, no links."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from media_pipeline.sandbox.bodies import Body
from media_pipeline.sandbox.wire import Reply, s3_error

_SINGLE = re.compile(r"bytes=(\d*)-(\d*)", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class FileRequest:
    """What a client asks of a file, and the tag the file bears; faults change it before it is answered."""

    range: str | None
    if_range: str | None
    etag: str
    obeys_if_range: bool = True


class UnsatisfiableError(Exception):
    """A well-formed range that holds no byte of the file."""


def resolve(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and end (exclusive) of a single range; None = the whole file, as for what is not understood.

    Raises UnsatisfiableError.
    """
    match = _SINGLE.fullmatch(header.strip()) if header else None
    if match is None or match[0].endswith("=-"):
        return None
    first, last = match[1], match[2]
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise UnsatisfiableError
    return start, stop


def answer(asked: FileRequest, body: Body, content_type: str, headers: Mapping[str, str]) -> Reply:
    """The file, the part asked for, or 416. A range counts only while If-Range names exactly the strong tag."""
    common = {"Accept-Ranges": "bytes", "ETag": asked.etag, **headers}
    current = asked.if_range is None or asked.if_range.strip() == asked.etag or not asked.obeys_if_range
    try:
        part = resolve(asked.range, body.size) if current else None
    except UnsatisfiableError:
        return s3_error(
            416,
            "InvalidRange",
            "The requested range is not satisfiable",
            headers={"Accept-Ranges": "bytes", "Content-Range": f"bytes */{body.size}"},
            details={"RangeRequested": asked.range or "", "ActualObjectSize": str(body.size)},
        )
    if part is None:
        return Reply(200, content_type, body, 0, body.size, common)
    start, stop = part
    partial = {**common, "Content-Range": f"bytes {start}-{stop - 1}/{body.size}"}
    return Reply(206, content_type, body, start, stop - start, partial)
