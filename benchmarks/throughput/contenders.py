"""Who is measured: what each needs, how much of the corpus it gets, and the command that does its work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CORES = 2
"""What all contenders may use at once, whatever the machine has; PERFORMANCE goals are stated for two."""
OWN_SLOTS = 8
"""MEDIA_CONCURRENCY's default."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one contender: `count` files of a manifest from a base URL into a folder of its own."""

    manifest: Path
    base_url: str
    out: Path
    count: int
    slots: int = OWN_SLOTS
    before: int = 0
    limit: str = ""

    @property
    def links(self) -> Path:
        """The manifest as lines of name and URL, written for shells."""
        return self.out.with_suffix(".links")


@dataclass(frozen=True, slots=True)
class Contender:
    """`share` of the corpus's bytes is enough for a slow one; `prints` says whether it times itself."""

    title: str
    command: Callable[[Job], list[str]]
    tools: tuple[str, ...] = ()
    share: float = 1.0
    prints: bool = False


def _module(name: str, *values: object) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.throughput.{name}", *map(str, values)]


def _own(job: Job) -> list[str]:
    return _module("own", job.manifest, job.base_url, job.out, job.slots, job.count, job.before)


def _guide(job: Job) -> list[str]:
    return _module("guide", job.manifest, job.base_url, job.out, job.count)


def _limit(job: Job) -> list[str]:
    parts = urlsplit(job.base_url)
    threads = job.slots if job.before else CORES
    return [job.limit, *map(str, (job.manifest, parts.port, parts.path, job.out, threads, job.count, job.before))]


def _tee(compress: str, parallel: int) -> Callable[[Job], list[str]]:
    one = (
        f'curl -sf "$1" | tee >(md5sum >"$0.md5") >(sha256sum >"$0.sha256") | {compress} >"$0.gz.part" '
        '&& mv "$0.gz.part" "$0.gz"'
    )

    def command(job: Job) -> list[str]:
        script = 'cd "$1" && xargs -a "$2" -P "$3" -n 2 bash -o pipefail -c "$4"'
        return ["bash", "-c", script, "tee", str(job.out), str(job.links), str(parallel), one]

    return command


def _aria(job: Job) -> list[str]:
    # emptied, not removed: see run.py's _emptied
    one = 'md5sum "$0" >"$0.md5" && sha256sum "$0" >"$0.sha256" && igzip -2 -c "$0" >"$0.gz" && : >"$0"'
    script = (
        'cd "$1" && while read -r name url; do printf "%s\\n  out=%s\\n" "$url" "$name"; done <"$2" >../aria.txt '
        "&& aria2c -q -j8 --file-allocation=none --auto-file-renaming=false -i ../aria.txt "
        f'&& cut -d" " -f1 "$2" | xargs -P{CORES} -n1 bash -c "$3"'
    )
    return ["bash", "-c", script, "aria", str(job.out), str(job.links), one]


CONTENDERS = {
    "limit": Contender("the limit: C, both cores", _limit, ("cc",), prints=True),
    "own": Contender("ours", _own, prints=True),
    "guide": Contender("guide 000's way: requests, MD5, gzip level 6", _guide, share=0.04, prints=True),
    "igzip": Contender(
        "`curl \\| tee >(md5sum) >(sha256sum) \\| igzip`, `xargs -P2`", _tee("igzip -2", CORES), ("curl", "igzip"), 0.25
    ),
    "pigz": Contender("the same with `pigz -p2`", _tee(f"pigz -6 -p{CORES}", 1), ("curl", "pigz"), 0.04),
    "aria": Contender("`aria2c -j8`, then md5sum, sha256sum, igzip", _aria, ("aria2c", "igzip"), 0.25),
}
