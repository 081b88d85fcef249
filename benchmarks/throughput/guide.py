"""Guide 000's way, in our words: a requests stream in chunks of 1 MiB, MD5, and gzip at level 6, one file at a time.

usage: python -m benchmarks.throughput.guide MANIFEST BASE_URL OUT COUNT
"""

from __future__ import annotations

import gzip
import hashlib
import sys
from pathlib import Path

import requests

from benchmarks.throughput.clock import measured
from benchmarks.throughput.corpus import read_manifest

CHUNK_BYTES = 1 << 20
GZIP_LEVEL = 6


def main(manifest: str, base_url: str, out: str, count: str) -> None:
    """Fetch the manifest's files and print what it took; exits with 1 when one has another MD5."""
    items = read_manifest(Path(manifest), int(count))
    with measured(), requests.Session() as session:
        for item in items:
            if _fetched(session, f"{base_url}/{item.path}", Path(out) / item.stored_as) != item.md5:
                sys.exit(f"{item.path}: other bytes came")


def _fetched(session: requests.Session, link: str, target: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with session.get(link, headers={"Range": "bytes=0-"}, stream=True, timeout=30) as reply:
        reply.raise_for_status()
        with gzip.open(target, "wb", compresslevel=GZIP_LEVEL) as file:
            for chunk in reply.iter_content(CHUNK_BYTES):
                digest.update(chunk)
                file.write(chunk)
    return digest.hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
