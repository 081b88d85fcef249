"""How long dbt takes over a year of days, and over one more: `make bench-marts`.

Writes a made-up archive, builds all marts by hand as `dbt build` does, tests included, and then again after a day
came, after a day in the middle was exported again, after nothing happened, and with all days taken in anew. Memory is
the most that dbt's process held; the database's own limit stands in dbt_reports/profiles.yml.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.year.building import build
from benchmarks.year.generate import FIRST_DAY, write_year

MB = 10**6
OTHER_SEED = 7
"""Of the day that is exported again."""


def main() -> None:
    """Print a line for each build."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="bench-marts-", dir=options.folder))
    root = folder / "media"
    try:
        print(f"{options.days:,} days of {options.per_day:,} recordings, {options.segments:g} segments a transcript")
        _written(root, FIRST_DAY, options.days, options)
        _build("all days, the first build", folder)
        newest = FIRST_DAY + dt.timedelta(days=options.days)
        _written(root, newest, 1, options)
        _build("one more day", folder)
        _written(root, FIRST_DAY + dt.timedelta(days=options.days // 2), 1, options, seed=OTHER_SEED)
        _build("a day in the middle, exported again", folder)
        _build("nothing new", folder)
        _build("all days anew (--full-refresh)", folder, "--full-refresh")
        print(
            f"tables {_size(root / 'tables'):,.0f} MB, marts as Parquet {_size(root / 'marts', '*.parquet'):,.0f} MB, ",
            end="",
        )
        print(f"media.duckdb {_size(root / 'marts', '*.duckdb'):,.0f} MB")
    finally:
        if not options.keep:
            shutil.rmtree(folder)
        else:
            print(folder)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marts", description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--per-day", type=int, default=10_000, help="recording files on a mean day")
    parser.add_argument("--segments", type=float, default=8.0, help="of a mean transcript")
    parser.add_argument("--folder", type=Path, help="where to work; default: the system's temporary folder")
    parser.add_argument("--keep", action="store_true", help="leave the archive there")
    return parser.parse_args()


def _written(root: Path, first: dt.date, days: int, options: argparse.Namespace, **seed: int) -> None:
    began = time.monotonic()
    files = sum(day.files for day in write_year(root, first, days, options.per_day, options.segments, **seed))
    print(f"  (wrote {files:,} recordings in {time.monotonic() - began:.0f} s)", file=sys.stderr)


def _build(what: str, folder: Path, *arguments: str) -> None:
    """One `dbt build`: seconds, the most memory of its process, files published."""
    before = _published(folder)
    try:
        built = build(folder / "media", folder / "spool", folder / "target", *arguments)
    except RuntimeError as error:
        sys.exit(f"{what}: {error}")
    changed = sum(before.get(path) != stamp for path, stamp in _published(folder).items())
    print(
        f"{what:38} {built.seconds:7.1f} s, of processors {built.cpu:7.1f} s {built.peak_mb:7,.0f} MB "
        f"{changed:7,} files published",
        flush=True,
    )


def _published(folder: Path) -> dict[Path, tuple[int, int]]:
    found = (folder / "media/marts").glob("*/*/*.parquet")
    return {path: (facts.st_ino, facts.st_mtime_ns) for path in found if (facts := path.stat())}


def _size(folder: Path, pattern: str = "*") -> float:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file()) / MB


if __name__ == "__main__":
    main()
