"""make demo: a finished day from the sandbox, over real HTTP, to objects and Parquet, and an analyst's answers."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from media_pipeline.build import build_definitions
from media_pipeline.exporter import QUIET, RecordingExporter
from media_pipeline.jobs import PLAYBACK_DAILY
from media_pipeline.progress_bar import ProgressBar
from media_pipeline.settings import Settings
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.completeness import judge_day
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import newest_finished_day

CLIENT_ID, CLIENT_SECRET = "sandbox-client", "sandbox-secret"
STOP_SECONDS = 5
Dialect = Literal["platform", "guide"]
DIALECTS: dict[Dialect, str] = {"platform": "the published Platform API v2", "guide": "the guides' endpoints"}
ROOTS: dict[Dialect, Path] = {"platform": Path("data/demo"), "guide": Path("data/demo-guide")}
"""One for each: the APIs list a day's edges differently, and the second would find the first one's files stored."""
TRANSCODE_SECONDS = 3600
"""When the sandbox's recordings in preparation become ready; the demo moves its clock on by as much."""


class DemoFailed(Exception):
    """The demo could not be played; the sentence says why."""


def run_demo(
    root: Path, per_day: int, console: Console, dialect: Dialect = "platform", token: tuple[str, str] | None = None
) -> int:
    """Run the demo below `root`; returns the process's exit code.

    `token`: one of the service and its entry, for who wants to listen in the end. Raises DemoFailed when there is no
    sandbox, ExportFailed when the day could not be exported.
    """
    day = newest_finished_day()
    tables = Tables(LocalStore(root))
    with _sandbox(day, per_day) as url:
        console.print(
            f"\nSandbox org at {url}: {per_day} recordings on {day}. Exporting the day by {DIALECTS[dialect]} ...\n",
            highlight=False,
        )
        result = _export(day, url, root, console, dialect)
        console.print(f"\n{judge_day(tables, day).sentence}\n", highlight=False)
        for answer in (_funnel, _reasons, _storage, _speakers):
            console.print(answer(tables, day))
        console.print(_proof(tables, day), highlight=False)
        console.print("An hour later the source has prepared its last file; the same day once more ...\n")
        httpx.put(f"{url}/_sandbox/clock", json={"offset_seconds": TRANSCODE_SECONDS}).raise_for_status()
        again = _export(day, url, root, console, dialect)
        _draw(day, _settings(day, url, root, dialect))
    verdict = judge_day(tables, day)
    console.print(
        f"\n{verdict.sentence}\n"
        f"[bold]First run: {result['total_bytes'] / 1e6:,.1f} MB in {result['elapsed_seconds']:.1f} s. Second run: "
        f"{again['total_bytes'] / 1e6:,.1f} MB in {again['elapsed_seconds']:.1f} s: what is stored is never fetched "
        "twice.[/bold]\n\n"
        f"Tables   {root}/tables/<table>/date={day}/part-0.parquet\n"
        f"Objects  {root}/audio/date={day}/<recording>.<format>.gz, with .gzi (index) and .json beside it\n"
        f"Report   {root}/reports/date={day}/index.html, all days {root}/reports/index.html\n"
        f"Audit    {root}/audit/date={day}/<run>.jsonl\n\n"
        "Next: make dev shows the same in the Dagster UI on http://127.0.0.1:3000.",
        highlight=False,
    )
    console.print(_question(root), highlight=False, soft_wrap=True)
    if token is not None:
        console.print(_invitation(root, *token), highlight=False, soft_wrap=True)
    return 0 if verdict.complete else 1


def _draw(day: dt.date, settings: Settings) -> None:
    """What the pages of calls need."""
    job = build_definitions(settings).resolve_job_def(PLAYBACK_DAILY)
    job.execute_in_process(partition_key=str(day), run_config=QUIET)


def _program() -> str:
    """As a shell finds it where no environment is activated."""
    called = sys.argv[0]
    return shlex.quote(str(Path(called).absolute()) if called.endswith("media-pipeline") else "media-pipeline")


def _question(root: Path) -> str:
    return (
        f"\nAsk it in SQL:\n\nMEDIA_ROOT={shlex.quote(str(root.absolute()))} {_program()} sql "  # noqa: S608  to be read
        '"select status, reason, count(*) as files from recording_audio group by all"'
    )


def _invitation(root: Path, token: str, entry: str) -> str:
    place = root.absolute()
    return (
        "\nListen to the calls: start the service, open http://127.0.0.1:8080 and log in with any name and this "
        f"password:\n{token}\n\n"
        f"MEDIA_ROOT={shlex.quote(str(place))} MEDIA_SPOOL={shlex.quote(str(place / '.spool'))} "
        f"MEDIA_SERVICE_TOKENS={entry} {_program()} serve\n"
    )


def _export(day: dt.date, url: str, root: Path, console: Console, dialect: Dialect) -> dict[str, Any]:
    with ProgressBar(console) as progress:
        return RecordingExporter(_settings(day, url, root, dialect), progress=progress).export_range(day, day)


def _settings(day: dt.date, url: str, root: Path, dialect: Dialect) -> Settings:
    return Settings(
        client_id=CLIENT_ID,
        client_secret=SecretStr(CLIENT_SECRET),
        base_url=url,
        dialect=dialect,
        requests_per_minute=0,
        root=str(root),
        spool=root.absolute() / ".spool",
        start_date=min(day, dt.date(2026, 1, 1)),
    )


@contextmanager
def _sandbox(day: dt.date, per_day: int) -> Iterator[str]:
    command = [sys.executable, "-m", "media_pipeline.sandbox", "--port", "0", "--days", "1"]
    process = subprocess.Popen(  # noqa: S603  our own module
        [*command, "--per-day", str(per_day), "--end", str(day), "--transcode-seconds", str(TRANSCODE_SECONDS)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        if "http" not in line:
            raise DemoFailed("The sandbox did not start; its own message stands above.")
        yield line[line.index("http") :].strip()
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def _funnel(tables: Tables, day: dt.date) -> Table:
    inventory = tables.read("recording_inventory", day).to_pandas()
    audio = tables.read("recording_audio", day).to_pandas()
    transcripts = tables.read("transcript_status", day).to_pandas()
    steps = [
        ("listed by Genesys Cloud", len(inventory)),
        ("in a format we export", int(inventory["codec_supported"].sum())),
        ("stored and verified", int((audio["status"] == "stored").sum())),
        *((f"proved by {_BASES[basis]}", count) for basis, count in audio["integrity_basis"].value_counts().items()),
        ("with a transcript", int((transcripts["status"] == "available").sum())),
    ]
    return _table("How much of the day do we have?", ["step", "recordings"], steps)


_BASES = {"source_md5": "the provider's MD5", "length_and_range": "length and range, and hashed by us"}


def _reasons(tables: Tables, day: dt.date) -> Table:
    audio = tables.read("recording_audio", day).to_pandas()
    counts = audio.assign(reason=audio["reason"].fillna("")).groupby(["status", "reason"]).size()
    rows = [(status, reason, count) for (status, reason), count in counts.sort_values(ascending=False).items()]
    return _table("What is available, and why not?", ["status", "reason", "recordings"], rows)


def _storage(tables: Tables, day: dt.date) -> Table:
    found = tables.read("storage_utilization", day).to_pylist()
    timed = any(row["duration_seconds"] for row in found)  # the published API does not tell how long a recording is
    rows = [
        (
            row["media_type"],
            row["format"] or "none",
            row["recordings"],
            f"{row['source_bytes'] / 1e6:,.1f}",
            f"{row['stored_bytes'] / 1e6:,.1f}",
            f"{row['compression_ratio']:.2f}" if row["compression_ratio"] else "",
            *([f"{row['duration_seconds'] / 60:,.0f}"] if timed else []),
        )
        for row in found
    ]
    columns = ["media", "format", "recordings", "MB before", "MB stored", "ratio", *(["minutes"] if timed else [])]
    return _table("What does it take to keep it?", columns, rows)


def _speakers(tables: Tables, day: dt.date) -> Table:
    columns = ["speaker", "participant_purpose", "start_ms", "end_ms"]
    said = tables.read("diarized_transcripts", day, columns).to_pandas()
    said["minutes"] = (said["end_ms"] - said["start_ms"]) / 60_000
    said["who"] = said["participant_purpose"].fillna(said["speaker"])
    totals = said.groupby("who").agg(
        people=("speaker", "nunique"), said=("minutes", "size"), minutes=("minutes", "sum")
    )
    rows = [
        (who, int(row["people"]) if who == "agent" else "", int(row["said"]), f"{row['minutes']:,.1f}")
        for who, row in totals.iterrows()
    ]
    return _table("Who speaks how much?", ["speaker", "people", "utterances", "minutes"], rows)


def _proof(tables: Tables, day: dt.date) -> str:
    stored = [row for row in tables.rows("recording_audio", day) if row["status"] == "stored"]
    if not stored:
        return "Nothing was stored."
    row = max(stored, key=lambda r: r["source_size_bytes"])
    file = tables.store.open(row["object_key"])
    if file is None:
        return f"{row['object_key']} is missing."
    with file, gzip.open(file) as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()  # type: ignore[arg-type]  # a GzipFile reads like a file
    same = "equals" if digest == row["sha256"] else "DIFFERS FROM"
    return f"Proof: gunzip of {row['object_key']} {same} its SHA-256 in the table ({digest[:12]}...).\n"


def _table(title: str, columns: list[str], rows: list[tuple[Any, ...]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name)
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    return table
