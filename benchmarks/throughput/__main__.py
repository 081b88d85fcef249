"""Our transfer engine beside guide 000's way, shell compositions and the limit, in one run, as ratios.

All take the same files from the same nginx on loopback and leave verified gzip objects on the same disk: ours and the
guide's timed inside their processes, without imports. Rounds are interleaved and each ratio is taken within its round,
so that what else the machine does meets all of them, and each begins with a disk that has nothing left to write. Every
stored object is unpacked and compared after its run. What a run deletes in the end makes the next one slow for five
minutes where ext4 has no journal (it then passes over the inodes one by one): the next one waits for that.
"""

from __future__ import annotations

import argparse
import http.client
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from subprocess import run as run_process

from benchmarks.throughput import table
from benchmarks.throughput.contenders import CONTENDERS, CORES, OWN_SLOTS, Job
from benchmarks.throughput.corpus import CODECS, read_manifest
from benchmarks.throughput.run import Figures, adopt_orphans, run, wait_for_calm
from benchmarks.throughput.server import LATENCY_MS, Server, serving
from benchmarks.throughput.tools import PACKAGES, compiled, which

SIZES = {"200KB": 200_000, "2MB": 2_000_000, "50MB": 50_000_000}
SLOTS = (1, 2, 4, 8, 16, 32)
SLOW_SLOTS = (16, 32, 64)
REQUESTS_BEFORE = 2
"""Calls of an API before each file, which makes three requests a recording where requests are slow."""
SLOW_SECONDS = 3.0
"""How long the slot floor of a slow run is."""
RESULTS = Path("benchmarks/results/throughput.md")


@dataclass(slots=True)
class Bench:
    """The server, the corpus and what to do with them."""

    options: argparse.Namespace
    server: Server
    home: Path
    limit: str
    counts: dict[str, int]
    sections: list[list[str]] = field(default_factory=list)

    def job(self, size: str, share: float = 1.0) -> Job:
        """A job over a share of a size's files, at least one."""
        count = max(1, round(self.counts[size] * share))
        return Job(self.home / f"{size}.manifest", self.server.fast, self.home / "out", count, limit=self.limit)

    def one(self, name: str, job: Job, note: str = "") -> Figures:
        """One run, told on stderr as it ends."""
        figures = run(name, job)
        print(f"  {name:6} {note:10} {figures.rate:7.1f} MB/s", file=sys.stderr, flush=True)
        return figures


def main() -> int:
    """Measure and print; 1 when a contender failed or something needed is missing."""
    options = _options()
    adopt_orphans()
    try:
        with tempfile.TemporaryDirectory(prefix="throughput-", dir=options.folder) as folder:
            home = Path(folder)
            root = home / "root"
            root.mkdir(0o755)
            home.chmod(0o755)  # nginx' workers may be another user
            names = _available(options, home)
            counts = {size: _even(options.mb * 10**6 / SIZES[size]) for size in options.sizes}
            for size, count in counts.items():
                _made(root, home / f"{size}.manifest", size, count, options.codec)
            if not options.quick:
                wait_for_calm(home)
            with serving(root, home) as server:
                bench = Bench(options, server, home, str(home / "limit"), counts)
                _measure(bench, names)
    except RuntimeError as error:
        print(f"throughput: {error}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput",
        description="Throughput beside other ways and the limit, as ratios.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="3 rounds, 100 MB a size, no table of slots: a minute")
    parser.add_argument("--rounds", type=int, help="rounds; 7, or 3 with --quick")
    parser.add_argument("--mb", type=float, help="MB of each size; 240, or 100 with --quick")
    parser.add_argument("--sizes", type=lambda text: text.split(","), default=",".join(SIZES), help=", ".join(SIZES))
    parser.add_argument("--only", type=lambda text: text.split(","), default=",".join(CONTENDERS), help="contenders")
    parser.add_argument("--parts", type=lambda text: text.split(","), help="of sizes, slots, slow; all by default")
    parser.add_argument("--slots", type=int, default=OWN_SLOTS, help="ours: recordings in flight")
    parser.add_argument("--codec", choices=CODECS, default="alaw", help="of the calls")
    parser.add_argument("--folder", type=Path, help="where the corpus and the objects go; the system's temporary one")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.mb = options.mb or (100 if options.quick else 240)
    options.parts = options.parts or (["sizes", "slow"] if options.quick else ["sizes", "slots", "slow"])
    for chosen, known in ((options.sizes, SIZES), (options.only, CONTENDERS)):
        if unknown := set(chosen) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return options


def _even(count: float) -> int:
    """At least four files and as many for either core, so that no contender ends with one core idle."""
    return max(4, round(count / CORES) * CORES)


def _available(options: argparse.Namespace, home: Path) -> list[str]:
    """The chosen contenders that can run; what is missing is said."""
    names = []
    for name in options.only:
        missing = [tool for tool in CONTENDERS[name].tools if which(tool) is None]
        for tool in missing:
            print(f"{name} is left out: {tool} is missing (apt-get install {PACKAGES[tool]})", file=sys.stderr)
        if not missing:
            names.append(name)
    if "limit" in names:
        compiled(Path(__file__).with_name("limit.c"), home / "limit")
    return names


def _made(root: Path, manifest: Path, size: str, count: int, codec: str) -> None:
    print(f"Making {count} files of {size} ...", file=sys.stderr, flush=True)
    arguments = [str(root), str(manifest), size, str(SIZES[size]), str(count), codec]
    if run_process([sys.executable, "-m", "benchmarks.throughput.corpus", *arguments], check=False).returncode:
        raise RuntimeError("The files to serve could not be made; why stands above.")


def _measure(bench: Bench, names: list[str]) -> None:
    options = bench.options
    print(f"# Throughput\n\n{table.machine()}; {options.rounds} rounds, {options.mb:.0f} MB of each size.\n")
    text = []
    for section in _sections(bench, names):
        text += [*section, ""]
        print("\n".join([*section, ""]), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(["# Throughput", "", table.machine(), "", *text]), encoding="utf-8")


def _sections(bench: Bench, names: list[str]) -> Iterator[list[str]]:
    parts = bench.options.parts
    if "sizes" in parts:
        sizes = {size: _side_by_side(bench, names, size) for size in bench.counts}
        yield table.against_the_limit(sizes)
        if "own" in names:
            yield table.ours_against(sizes)
    if "slots" in parts and "own" in names:
        for size in bench.counts:
            yield table.by_slots(f"ours, {size}", _by_slots(bench, size))
    if "slow" in parts:
        yield from _slow(bench, [name for name in names if name in ("own", "limit")])


def _side_by_side(bench: Bench, names: list[str], size: str) -> table.Rounds:
    rounds: table.Rounds = {name: [] for name in names}
    for number in range(bench.options.rounds):
        print(f"{size}, round {number + 1}", file=sys.stderr)
        for name in names:
            job = replace(bench.job(size, CONTENDERS[name].share), slots=bench.options.slots)
            rounds[name].append(bench.one(name, job))
    return rounds


def _by_slots(bench: Bench, size: str) -> dict[int, list[Figures]]:
    rounds: dict[int, list[Figures]] = {slots: [] for slots in SLOTS}
    for number in range(bench.options.rounds):
        print(f"{size} by slots, round {number + 1}", file=sys.stderr)
        for slots in SLOTS:
            rounds[slots].append(bench.one("own", replace(bench.job(size, 0.6), slots=slots), f"{slots} slots"))
    return rounds


def _slow(bench: Bench, names: list[str]) -> Iterator[list[str]]:
    size = next(iter(bench.counts))
    if bench.server.slow is None:
        print("slow requests are left out: libnginx-mod-http-echo is missing", file=sys.stderr)
        return
    path = read_manifest(bench.home / f"{size}.manifest", 1)[0].path
    requests = REQUESTS_BEFORE + 1
    wait_seconds = requests * _latency(bench.server, path)
    rounds: dict[tuple[str, int], list[Figures]] = {(name, slots): [] for slots in SLOW_SLOTS for name in names}
    for number in range(bench.options.rounds):
        print(f"{size} at {LATENCY_MS} ms, round {number + 1}", file=sys.stderr)
        for name, slots in rounds:
            job = replace(bench.job(size), base_url=bench.server.slow, slots=slots, before=REQUESTS_BEFORE)
            job = replace(job, count=min(job.count, round(SLOW_SECONDS / wait_seconds * slots)))
            rounds[name, slots].append(bench.one(name, job, f"{slots} slots"))
    yield table.of_the_floor(f"{size}, {LATENCY_MS} ms a request, {requests} a recording", wait_seconds, rounds)
    if "own" in names:
        own = {slots: figures for (name, slots), figures in rounds.items() if name == "own"}
        yield table.by_slots(f"ours, {size} at {LATENCY_MS} ms", own)


def _latency(server: Server, path: str) -> float:
    """Seconds that one slow request for one byte takes when nothing else happens."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    taken = []
    for _ in range(25):
        began = time.monotonic()
        connection.request("GET", f"/slow/{path}", headers={"Range": "bytes=0-0"})
        connection.getresponse().read()
        taken.append(time.monotonic() - began)
    connection.close()
    return median(taken)


if __name__ == "__main__":
    sys.exit(main())
