"""recording_audio: every listed recording as a verified gzip object, or the reason why not."""

import datetime as dt
import time
from collections import Counter, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import dagster as dg
import pyarrow as pa
from pydantic import Field

from media_pipeline.assets.announcing import announcing
from media_pipeline.assets.progress import Progress
from media_pipeline.assets.step import Step, working
from media_pipeline.checks.archive_intact import ARCHIVE_INTACT, archive_intact_result
from media_pipeline.metadata import (
    SAMPLE_ROWS,
    calls,
    calls_per_1000,
    outcomes_picture,
    sample,
    schema_metadata,
    validations,
    written,
)
from media_pipeline.notify.announcer import Announcer
from media_pipeline.notify.callbacks import Callbacks
from media_pipeline.notify.events import RECORDING_QUARANTINED
from media_pipeline.ownership import GENESYS_POOL
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.resources.webhooks import WebhooksResource
from media_pipeline.storage.base import StorageError
from media_pipeline.storage.space import BYTES_PER_MB, check_space
from media_pipeline.tables.deadlines import due_first
from media_pipeline.tables.drift import find_drift
from media_pipeline.tables.inventory import listed
from media_pipeline.tables.ledger import Ledger
from media_pipeline.tables.partition import Row, TableMissing, Tables, aligned, rows_of
from media_pipeline.tables.paths import OBJECT_SUFFIX, audio_prefix, object_key
from media_pipeline.transfer.download import Downloader
from media_pipeline.transfer.outcome import INCOMPLETE_STATUSES, QUARANTINED, STATUSES, STORED
from media_pipeline.transfer.parallel import ordered_map
from media_pipeline.transfer.recording import Exporter, Refetch, Result, Task, compared
from media_pipeline.transfer.sidecar import sidecar, sidecar_key
from media_pipeline.transfer.spool import Spool

TASKS_ANNOUNCED = 100
"""Tasks that the source hears of at once: as many links as one request brings."""
GROUPS_AHEAD = 10
"""How far ahead: at half a minute a request, 100,000 links take 50 minutes."""


class AudioConfig(dg.Config):
    """Limits a run by hand; the defaults are what a scheduled run does."""

    recordings: list[str] = Field([], description="Only these recording ids; all others keep what they have.")
    refetch: Refetch = Field(
        "nothing",
        description="Ask again although settled: 'absent' for recordings that had no file, 'everything' for all.",
    )


@dataclass(slots=True)
class _Totals:
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    reused: int = 0
    source_bytes: int = 0
    stored_bytes: int = 0
    fetched_bytes: int = 0
    problems: list[Row] = field(default_factory=list)
    kept: list[Row] = field(default_factory=list)
    kept_count: int = 0
    matched: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result) -> None:
        row = result.row
        for what, holds in compared(result.task.listed, row).items():
            self.checked[what] += 1
            self.matched[what] += holds
        self.statuses[row["status"]] += 1
        self.reused += result.reused
        self.fetched_bytes += result.effort.bytes_fetched
        if row["status"] == STORED:
            self.source_bytes += row["source_size_bytes"]
            self.stored_bytes += row["stored_size_bytes"]
        else:
            self.reasons[f"{row['status']}: {row['reason']}"] += 1
        if row["status"] in INCOMPLETE_STATUSES and len(self.problems) < SAMPLE_ROWS:
            self.problems.append(row)
        if result.kept is not None:
            self.kept_count += 1
            if len(self.kept) < SAMPLE_ROWS:
                self.kept.append(row | {"reason": result.kept.reason, "detail": result.kept.sentence})


def audio_asset(partitions: dg.PartitionsDefinition, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The asset that moves the bytes."""

    @dg.asset(
        partitions_def=partitions,
        deps=["recording_inventory", "storage_quota"],
        group_name="recordings",
        kinds={"parquet", "python", "gzip"},
        retry_policy=retry,
        metadata=schema_metadata("recording_audio"),
        pool=GENESYS_POOL,
        check_specs=[
            dg.AssetCheckSpec(
                ARCHIVE_INTACT,
                asset="recording_audio",
                description="Nothing under audio/ was added, changed or removed outside a run.",
            )
        ],
    )
    def recording_audio(
        context: dg.AssetExecutionContext,
        config: AudioConfig,
        genesys: GenesysResource,
        media: MediaResource,
        webhooks: WebhooksResource,
        progress: dg.ResourceParam[Progress],
        callbacks: dg.ResourceParam[Callbacks],
    ) -> dg.MaterializeResult:
        """Each recording's bytes, hashed (MD5, SHA-256) and gzipped while they stream, verified, then published.

        Objects lie under audio/date=.../; plain gunzip restores the exact source bytes. Every listed recording gets
        one row: stored, unsupported, empty, unavailable, pending, quarantined or failed, with a reason. What an
        earlier run settled is not asked for again. What the source deletes within two days, by the last sweep, goes
        first.
        """
        with working(context, "recording_audio", genesys, media) as step:
            started = time.monotonic()
            _check_space(step, media)
            tables = media.tables
            progress.begin(str(step.day), tables.read("recording_inventory", step.day, ["recording_id"]).num_rows)
            totals = _Totals()
            with media.ledger(step.day, context.run.run_id) as ledger:
                with (
                    announcing(context, RECORDING_QUARANTINED, step.day, media, webhooks, callbacks) as announcer,
                    tables.writer("recording_audio", step.day) as writer,
                ):
                    for result in _results(step, media, genesys.concurrency, config, ledger):
                        writer.add(result.row)
                        totals.add(result)
                        _announce(announcer, result.row)
                        progress.advance(result.effort.bytes_fetched)
                    step.still_ours()
                ledger.written = True
            progress.end()
            if totals.kept_count:
                context.log.warning(
                    f"What is stored of {totals.kept_count:,} recordings stayed: they were asked for again, and the "
                    "source gave nothing that could take its place. The metadata of recording_audio says why."
                )
            seconds = time.monotonic() - started
            return dg.MaterializeResult(
                metadata=_described(step, totals, seconds) | written(tables, "recording_audio", step.day, writer.count),
                check_results=[archive_intact_result(find_drift(tables, step.day))],
            )

    return recording_audio


def _check_space(step: Step, media: MediaResource) -> None:
    check_space(media.store, Path(media.spool), media.min_available_mb)
    left_mb = step.session.source.storage_left_mb()
    if left_mb is not None and left_mb < media.min_available_mb:
        raise StorageError(
            f"Genesys Cloud has {left_mb:,.0f} MB of recording storage left, less than MEDIA_MIN_AVAILABLE_MB="
            f"{media.min_available_mb}: raise the quota or lower the limit, then run the day again. "
            "Nothing was downloaded."
        )


def _results(step: Step, media: MediaResource, threads: int, config: AudioConfig, ledger: Ledger) -> Iterator[Result]:
    session, store = step.session, media.store
    if step.lease is not None and step.lease.is_held:
        store.drop_unfinished(audio_prefix(step.day))
    present = store.sizes(audio_prefix(step.day), OBJECT_SUFFIX)
    spool = Spool(Path(media.spool), store.url)
    spool.clean()
    downloader = Downloader(session.http, store, spool, session.patience, session.stats, step.still_ours)
    exporter = Exporter(session.source, store, downloader, present.get, config.refetch, frozenset(config.recordings))

    def export(task: Task) -> Result:
        step.still_ours()  # a run that stood still must not fetch, or write beside objects, what another one finished
        if doubt := exporter.in_doubt(task):
            ledger.add(doubt)
        result = exporter.export(task)
        if not result.reused:
            _tell(step, result)
        if media.sidecars and result.row["status"] == STORED and not result.reused and result.kept is None:
            step.still_ours()
            store.put(sidecar_key(task.object_key), sidecar(task.listed, result.row, None))
        if not result.reused:
            step.still_ours()
            ledger.add(result.row)
        return result

    def results(tasks: Iterator[Task]) -> Iterator[Result]:
        """Rows are written in order of the key, so what is deleted first is taken first by a pass of its own."""
        announced = _announced(tasks, exporter, early)
        return ordered_map(
            lambda task: early.pop(_key(task), None) or export(task),
            announced,
            threads=threads,
            abandon=downloader.abandon,
        )

    early: dict[tuple[str, int], Result] = {}
    due = due_first(media.tables, step.day, dt.datetime.now(dt.UTC))
    if due:
        dying = (task for task in _tasks(media.tables, ledger.earlier, step.day) if task.listed.recording_id in due)
        early = {_key(result.task): result for result in list(results(dying))}
    for result in results(_tasks(media.tables, ledger.earlier, step.day)):
        if not result.reused:
            step.costs.add(result.task.listed, result.effort)
        yield result


def _key(task: Task) -> tuple[str, int]:
    return task.listed.recording_id, task.listed.file_index


def _announced(tasks: Iterator[Task], exporter: Exporter, done: Collection[tuple[str, int]]) -> Iterator[Task]:
    """The tasks, each after the source has heard that its link will be needed: some are cheap by the hundred only."""
    groups: deque[list[Task]] = deque()
    while group := list(islice(tasks, TASKS_ANNOUNCED)):
        needed = (task for task in group if _key(task) not in done and exporter.will_resolve(task))
        exporter.source.expect([task.listed for task in needed])
        groups.append(group)
        if len(groups) > GROUPS_AHEAD:
            yield from groups.popleft()
    for group in groups:
        yield from group


def _tasks(tables: Tables, settled: pa.Table, day: dt.date) -> Iterator[Task]:
    """The day's files with their newest row: a killed run's goes before the table's."""
    for recording_id, rows in aligned(
        inventory=tables.rows("recording_inventory", day),
        audio=_earlier(tables, day),
        settled=rows_of(settled),
    ):
        earlier = {row["file_index"]: row for row in (*rows["audio"], *rows["settled"])}
        for row in rows["inventory"]:
            several = len(rows["inventory"]) > 1
            yield Task(
                listed=listed(row),
                codec_supported=row["codec_supported"],
                object_key=object_key(day, recording_id, row["file_index"], several, row["format"]),
                earlier=earlier.get(row["file_index"]),
            )


def _earlier(tables: Tables, day: dt.date) -> Iterator[Row]:
    """What the day's table says; nothing when it cannot be read, as objects prove themselves and the table is written
    anew.
    """
    try:
        tables.read("recording_audio", day, [])
    except TableMissing:
        return iter(())
    except (pa.ArrowException, OSError):
        dg.get_dagster_logger().warning(f"recording_audio of {day} cannot be read: its objects are looked at again.")
        return iter(())
    return tables.rows("recording_audio", day)


def _tell(step: Step, result: Result) -> None:
    row, effort, kept = result.row, result.effort, result.kept
    step.audit.emit(
        "recording_settled",
        recording_id=row["recording_id"],
        file_index=row["file_index"],
        status=row["status"],
        reason=row.get("reason") if kept is None else kept.reason,
        detail=row.get("detail") if kept is None else f"What is stored stayed. {kept.sentence}",
        attempts=effort.attempts,
        bytes=effort.bytes_fetched,
        bytes_resumed=effort.bytes_resumed or None,
        adopted=effort.adopted or None,
        latency_ms=round(effort.seconds * 1000),
        sha256=row.get("sha256"),
    )


def _announce(announcer: Announcer | None, row: Row) -> None:
    """A recording that became quarantined is announced; again when other bytes came, or when it was well between."""
    if announcer is None:
        return
    subject = row["recording_id"] if not row["file_index"] else f"{row['recording_id']}.{row['file_index']}"
    if row["status"] != QUARANTINED:
        announcer.settled(subject)
        return
    names = ("recording_id", "conversation_id", "file_index", "reason", "source_size_bytes", "source_md5")
    facts = {name: row[name] for name in names}
    announcer.announce(subject, facts, facts, about=row["recording_id"])


def _described(step: Step, totals: _Totals, seconds: float) -> dict[str, object]:
    """What to look at first comes first."""
    described: dict[str, object] = {
        "outcomes": outcomes_picture(
            step.day, totals.statuses, {"source": totals.source_bytes, "stored": totals.stored_bytes}
        )
    }
    if totals.problems:
        described["to_do"] = sample(totals.problems, ["recording_id", "status", "reason", "detail"])
    if totals.kept:
        described["kept"] = sample(totals.kept, ["recording_id", "reason", "detail"])
    if totals.reasons:
        rows = [{"reason": reason, "recordings": count} for reason, count in sorted(totals.reasons.items())]
        described["not_stored"] = sample(rows, ["reason", "recordings"])
    return (
        described
        | {f"recordings_{status}": totals.statuses[status] for status in sorted(STATUSES)}
        | {
            "reused_from_earlier_runs": totals.reused,
            "kept_as_stored": totals.kept_count,
            "source_bytes": totals.source_bytes,
            "stored_bytes": totals.stored_bytes,
            "fetched_bytes": totals.fetched_bytes,
            "mb_per_second": round(totals.fetched_bytes / BYTES_PER_MB / seconds, 3) if seconds else 0.0,
            "run_api_calls_per_1000_recordings": calls_per_1000(step.session.stats, totals.statuses.total()),
        }
        | validations({what: (totals.matched[what], totals.checked[what]) for what in sorted(totals.checked)})
        | calls(step.stats)
    )
