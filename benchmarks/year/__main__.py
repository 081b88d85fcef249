"""A year of an archive: what analysts' questions and the marts cost, and what many small files cost beside one.

Each question is asked of the tables (the views that `media-pipeline sql` makes for it, those of its `--ddl duckdb` in
one session, DuckDB's own reading of the compacted months and, hive, of the days), of the marts where they can answer it
(their Parquet files, in both kinds of views, and dbt's DuckDB file), and of each table as one merged Parquet file, with
the settings of who is compared with it. Rounds are interleaved after one that warms up; ratios are taken round by
round, their median is given. Ratios of CPU time stand beside those of the clock, which busy neighbours disturb.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from duckdb import DuckDBPyConnection

from benchmarks.throughput.table import machine
from benchmarks.year import table, ways
from benchmarks.year.building import Build, build, without_the_last_day
from benchmarks.year.generate import FIRST_DAY, write_year
from benchmarks.year.questions import GROUP_BYS, OF_ONE_COLUMN, Measured, ask_all
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.compaction import compact_all

RESULTS = Path("benchmarks/results/year.md")


def main() -> int:
    """Measure and print; 1 when dbt fails."""
    options = _options()
    with _folder(options.folder, keep=options.keep) as home:
        root = _year(options, home)
        sections = [[f"# A year of tables\n\n{machine()}; {_size(root)}; {options.rounds} rounds.\n"]]
        try:
            if not (options.without_marts or options.built):
                sections.append(table.of_builds(*_builds(root, home)))
            for section in _questions(root, home, options):
                sections.append(section)
        except RuntimeError as error:
            print(f"year: {error}", file=sys.stderr)
            return 1
    text = "\n\n".join("\n".join(section) for section in sections) + "\n"
    print(text)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(text, encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.year",
        description="What a year of tables costs to read and to build marts of.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--year", type=Path, help="a year that was generated before; it is only read")
    parser.add_argument(
        "--built", action="store_true", help="that year has its marts: only ask, and compact its months"
    )
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--per-day", type=int, default=10_000)
    parser.add_argument("--segments", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of DuckDB; all cores by default")
    parser.add_argument("--without-marts", action="store_true")
    parser.add_argument("--folder", type=Path, help="where all is written, 10 GB; the system's temporary one")
    parser.add_argument("--keep", action="store_true", help="leave it there: the folder's root is a year that is built")
    return parser.parse_args()


@contextlib.contextmanager
def _folder(parent: Path | None, *, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="year-", dir=parent))
    try:
        yield folder
    finally:
        if keep:
            _told(f"Left in {folder}")
        else:
            shutil.rmtree(folder)


def _year(options: argparse.Namespace, home: Path) -> Path:
    """A root of our own: generated, or with links to the files of one that was."""
    if options.built:
        return Path(options.year)
    root = home / "root"
    if options.year is None:
        _told(f"Making {options.days} days of {options.per_day} ...")
        for _ in write_year(root, FIRST_DAY, options.days, options.per_day, options.segments):
            pass
        return root
    try:
        shutil.copytree(options.year / "tables", root / "tables", copy_function=_linked)
    except OSError:  # another file system
        shutil.copytree(options.year / "tables", root / "tables", dirs_exist_ok=True)
    return root


def _linked(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def _size(root: Path) -> str:
    connection = ways.over_hive(root)
    found = connection.execute("select count(*), count(distinct date) from recording_audio").fetchall()[0]
    size = sum(path.stat().st_size for path in (root / "tables").rglob("*.parquet"))
    return f"{found[1]} days, {found[0]:,} recordings, {size / 1e9:.1f} GB of tables"


def _builds(root: Path, home: Path) -> tuple[Build, Build]:
    with without_the_last_day(root, home / "aside") as day:
        _told("Building the marts of all days but one ...")
        whole = build(root, home / "spool", home / "target")
    _told(f"Building one more day, {day} ...")
    return whole, build(root, home / "spool", home / "target")


def _questions(root: Path, home: Path, options: argparse.Namespace) -> Iterator[list[str]]:
    _told("Compacting months ...")
    for _ in compact_all(LocalStore(root), lambda: None):
        pass
    _told("Merging each table into one file ...")
    ways.merge(root, home / "merged")
    asked = ways.queries()
    of_marts = {} if options.without_marts else ways.queries(".marts.sql")
    connections = {
        "merged": ways.over_merged(home / "merged", options.threads),
        "session_merged": ways.over_merged(home / "merged", options.threads, in_session=True),
        "months": ways.over_months(root, options.threads),
        "session_months": ways.over_session(root, options.threads, months=True),
        "hive": ways.over_hive(root, options.threads),
        "session": ways.over_session(root, options.threads),
    }

    def of_tables(query: str) -> dict[str, tuple[DuckDBPyConnection, str]]:
        views = {"tables": ways.over_views_of(query, root, options.threads)}
        asked = {way: (connection, query) for way, connection in {**connections, **views}.items()}
        if re.search(r"\btext\b", query):  # in no month
            del asked["months"], asked["session_months"]
        return asked

    questions = {name: of_tables(query) for name, query in asked.items()}
    views = ways.over_views(root, options.threads)
    if of_marts:
        database = ways.over_marts_database(root, options.threads)
        for name, query in of_marts.items():
            questions[name] |= _of_marts(views, connections["session"], database, query)
    measured: dict[str, dict[str, Measured]] = ask_all(questions, options.rounds, _told)
    yield table.of_questions(asked, measured)
    plain = {query: of_tables(query) for query in GROUP_BYS}
    for query, of_mart in GROUP_BYS.items() if of_marts else ():
        if of_mart is not None:
            plain[query] |= _of_marts(views, connections["session"], database, of_mart)
    name, column, query = OF_ONE_COLUMN
    plain[query]["least"] = (ways.over_least(root, home / "least", name, column, options.threads), query)
    answered = ask_all(plain, options.rounds, _told)
    yield table.of_group_bys(answered)
    yield table.of_the_least(query, answered[query])
    dated = {name: query for name, query in asked.items() if "where" in query and "date '" in query}
    yield table.of_plans({name: ways.files_read(questions[name]["tables"][0], query) for name, query in dated.items()})


def _of_marts(
    views: DuckDBPyConnection, session: DuckDBPyConnection, database: DuckDBPyConnection, query: str
) -> dict[str, tuple[DuckDBPyConnection, str]]:
    return {"marts": (views, query), "session_marts": (session, query), "database": (database, query)}


def _told(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
