"""Which days a build takes in: those whose files are others than when a whole build last passed with them.

What was built is kept in the DuckDB file itself, in the schema `builds`; a day is noted there only at the end of a
build in which nothing failed. No SQL of the marts belongs here. Imports neither dagster nor dbt.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from media_pipeline.reports.places import PROJECT
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.paths import TABLES_FOLDER

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

READ_TABLES = (
    "recording_inventory",
    "recording_audio",
    "diarized_transcripts",
    "transcript_status",
    "availability_report",
    "storage_utilization",
    "export_runs",
)
"""The tables that staging reads."""
OTHER_WORK = "export_runs"
"""Has files of days that no export is about too: sweeps, messages and the like cost something when they run."""
QUOTA = "storage_quota"
"""An export writes it even when its listing fails: that day is to be seen as not exported."""
_STATE = """
create schema if not exists raw;
create schema if not exists builds;
create table if not exists builds.days (date date, fingerprint varchar);
create table if not exists builds.models (name varchar);
create table if not exists builds.logic (digest varchar);
create table if not exists builds.published (mart varchar, date date, content varchar, sha256 varchar, tag varchar);
"""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a table's day; `tag` is another when its bytes are."""

    table: str
    day: dt.date
    key: str
    tag: str


def parts_of(store: ObjectStore) -> list[Part]:
    """All files of the tables' exported days, by table and name.

    Listed by our store, which raises where it cannot: fsspec's patterns take a folder that cannot be listed for empty.
    A listing also keeps what is written during the build out of it.
    """
    found = [part for table in READ_TABLES for part in _parts_of(store, table)]
    exported = {part.day for part in found if part.table != OTHER_WORK}
    exported |= {part.day for part in _parts_of(store, QUOTA)}
    return [part for part in found if part.day in exported]


def _parts_of(store: ObjectStore, table: str) -> Iterator[Part]:
    pattern = re.compile(rf"{TABLES_FOLDER}/{table}/date=(\d{{4}}-\d{{2}}-\d{{2}})/[^/]+\.parquet")
    for key, tag in sorted(store.tags(f"{TABLES_FOLDER}/{table}/")):
        if match := pattern.fullmatch(key):
            with suppress(ValueError):  # a folder that is no day, as date=2026-02-30
                yield Part(table, dt.date.fromisoformat(match[1]), key, tag)


def fingerprints(parts: Iterable[Part], logic: str) -> dict[dt.date, str]:
    """What a day's files are and what is made of them, in 32 hex digits."""
    digests: dict[dt.date, hashlib.blake2b] = defaultdict(lambda: hashlib.blake2b(logic.encode(), digest_size=16))
    for part in parts:
        digests[part.day].update(f"{part.key}\n{part.tag}\n".encode())
    return {day: digest.hexdigest() for day, digest in sorted(digests.items())}


def logic_of(project: Path = PROJECT) -> str:
    """What the models compute, in 32 hex digits: other SQL makes everything anew."""
    digest = hashlib.blake2b(digest_size=16)
    sources = [*project.glob("models/**/*.sql"), *project.glob("macros/**/*.sql"), project / "dbt_project.yml"]
    for path in sorted(sources):
        digest.update(f"{path.relative_to(project).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def note_days(
    connection: DuckDBPyConnection, parts: list[Part], *, builds: bool, everything: bool, logic: str
) -> list[Part]:
    """Note in `raw.days` which days there are and which are due; returns the files of those that are.

    A command that `builds` forgets the due days as built: until its end they stay due. Any other sees all days.
    """
    connection.execute(_STATE)
    if builds and connection.execute("select digest from builds.logic").fetchall() != [(logic,)]:
        _forget_models(connection, logic)
    found = fingerprints(parts, logic)
    built = dict(connection.execute("select date, fingerprint from builds.days").fetchall())
    whole = everything or not builds or _lost_a_model(connection)
    due = {day for day, fingerprint in found.items() if whole or built.get(day) != fingerprint}
    gone = built.keys() - found.keys()
    _write_days(connection, parts, found, due, gone)
    if builds:
        connection.begin()  # after a kill in between, nobody would know of a day that is gone
        connection.execute("delete from builds.days where date in (select date from raw.due_days)")
        # still known, so that a day that is gone stays due until a build of everything has passed
        connection.execute("insert into builds.days select date, null from raw.due_days")
        connection.commit()
    return [part for part in parts if part.day in due]


def _forget_models(connection: DuckDBPyConnection, logic: str) -> None:
    """Drop what other SQL made."""
    relations = connection.execute(
        "select table_type, table_name from information_schema.tables "
        "where table_schema = 'main' and table_catalog = current_database()"
    ).fetchall()
    for kind, name in relations:
        connection.execute(f'drop {"view" if kind == "VIEW" else "table"} main."{name}" cascade')
    connection.execute("delete from builds.days")
    connection.execute("delete from builds.logic")
    connection.execute("insert into builds.logic values (?)", [logic])


def _lost_a_model(connection: DuckDBPyConnection) -> bool:
    """Whether a table that keeps earlier days is not there any more: somebody dropped it."""
    lost = connection.execute(
        "select name from builds.models where name not in (select table_name from information_schema.tables)"
    )
    return bool(lost.fetchall())


def _write_days(
    connection: DuckDBPyConnection,
    parts: list[Part],
    found: Mapping[dt.date, str],
    due: set[dt.date],
    gone: Iterable[dt.date],
) -> None:
    tables: dict[dt.date, set[str]] = defaultdict(set)
    for part in parts:
        tables[part.day].add(part.table)
    rows = [
        (
            day,
            fingerprint,
            "recording_inventory" in tables[day],
            "recording_audio" in tables[day],
            "availability_report" in tables[day],
            day in due,
        )
        for day, fingerprint in found.items()
    ]
    rows += [(day, None, False, False, False, True) for day in sorted(gone)]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(6)]
    connection.execute(
        "create or replace table raw.days as select unnest(?::date[]) as date, unnest(?::varchar[]) as fingerprint, "
        "unnest(?::boolean[]) as has_inventory, unnest(?::boolean[]) as has_audio, "
        "unnest(?::boolean[]) as has_report, unnest(?::boolean[]) as is_due",
        columns,
    )
    connection.execute("create or replace view raw.due_days as select date from raw.days where is_due")
