"""What a gzip object holds, by reading it from start to end: its source's digests and length. In bounded memory.

Works on blocked gzip as on the ordinary gzip of earlier versions. Ranges of a source are `ranges`' subject.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, cast

from isal import igzip, isal_zlib

from media_pipeline.storage.ranges import UnreadableError

CHUNK_BYTES = 256 * 1024
PIECE_BYTES = 64 * 1024
_INFLATE_ERROR = cast("type[Exception]", isal_zlib.error)  # isal's stub calls it an instance


@dataclass(frozen=True, slots=True)
class Restored:
    """Sizes in bytes of the source and of its object; digests of the source in lower hex."""

    source_size_bytes: int
    stored_size_bytes: int
    md5: str
    sha256: str


def source_pieces(file: IO[bytes], piece_bytes: int = PIECE_BYTES) -> Iterator[bytes]:
    """The source of an object, which stays open, piece by piece; raises UnreadableError."""
    try:
        with igzip.IGzipFile(fileobj=file, mode="rb") as source:  # type: ignore[no-untyped-call]  # isal's stub
            while piece := source.read(piece_bytes):
                yield bytes(piece)
    except (EOFError, OSError, zlib.error, _INFLATE_ERROR) as error:
        raise UnreadableError(f"The object cannot be read: {type(error).__name__}.") from None


def restored(file: IO[bytes]) -> Restored:
    """Read a whole object, which stays open; raises UnreadableError for what is damaged, cut off or no gzip."""
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    try:
        stored_size = file.seek(0, 2)
        file.seek(0)
        with igzip.IGzipFile(fileobj=file, mode="rb") as source:  # type: ignore[no-untyped-call]  # isal's stub
            while chunk := source.read(CHUNK_BYTES):
                md5.update(chunk)
                sha256.update(chunk)
                size += len(chunk)
    except EOFError:
        raise UnreadableError("The object is cut off, or something was appended to it.") from None
    except (gzip.BadGzipFile, zlib.error, _INFLATE_ERROR) as error:
        raise UnreadableError(f"The object is damaged: {error}.") from None
    except OSError as error:
        raise UnreadableError(f"The object cannot be read: {error.strerror or error}.") from None
    return Restored(size, stored_size, md5.hexdigest(), sha256.hexdigest())
