"""guest_uploads: the files that guests sent, kept by policy or refused with a reason, and their conversations told."""

import datetime as dt
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import dagster as dg

from media_pipeline.assets.step import Step, working
from media_pipeline.messaging.fetching import Fetcher
from media_pipeline.messaging.pending import STORED, UPLOADS
from media_pipeline.messaging.upload_context import FAILED, WOULD_SEND, Contexts, Told, tell_all
from media_pipeline.messaging.uploads import Settled, Settler, merge_rows, wanted_files
from media_pipeline.metadata import SAMPLE_ROWS, calls, sample, schema_metadata, written
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.partition import Row
from media_pipeline.transfer.parallel import ordered_map

WORK = "messaging"
CHUNK_FILES = 200
CHUNK_SECONDS = 20.0
"""Rows are written, and conversations told, after so many files or so long."""
SPOOL_FOLDER = "uploads"


@dataclass(slots=True)
class _Totals:
    rows: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    adopted: int = 0
    bytes: int = 0
    contexts: Counter[str] = field(default_factory=Counter)
    to_do: list[Row] = field(default_factory=list)

    def add(self, settled: Settled) -> None:
        row = settled.row
        self.rows[row["status"]] += 1
        self.adopted += settled.adopted
        if row["status"] == STORED:
            self.bytes += row["size_bytes"]
        else:
            self.reasons[f"{row['status']}: {row['reason']}"] += 1
            if len(self.to_do) < SAMPLE_ROWS:
                self.to_do.append(row)


def guest_uploads_asset(partitions: dg.PartitionsDefinition, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The asset that keeps guests' files."""

    @dg.asset(
        partitions_def=partitions,
        deps=["conversation_events"],
        group_name="messaging",
        kinds={"parquet", "python"},
        retry_policy=retry,
        metadata=schema_metadata(UPLOADS),
    )
    def guest_uploads(
        context: dg.AssetExecutionContext, genesys: GenesysResource, media: MediaResource
    ) -> dg.MaterializeResult:
        """What guests sent in message conversations: png, jpeg and pdf by content, at most 10 MiB, verified.

        Source: the day's conversation_events, then each file, those first that die first (24 h after their message).
        Objects lie under uploads/date=.../. A file has one row, on the first day it was noticed: stored, rejected,
        expired or failed, with a reason; what is final is kept, what failed is tried again until its 24 h are over. The
        conversation is told of stored files, with MEDIA_ALLOW_WRITE_BACK=1 only.
        """
        with working(context, UPLOADS, genesys, media, work=WORK) as step:
            totals = _Totals()
            with media.written_back(f"guest_context.{genesys.dialect}", step.day) as ledger:
                contexts = Contexts(
                    step.session.source,
                    media.tables,
                    ledger,
                    step.day,
                    allowed=genesys.allow_write_back,
                    still_ours=step.still_ours,
                    heard=partial(_heard, step),
                )
                untold = _untold(media, step.day, allowed=genesys.allow_write_back)
                _tell(step, media, contexts, untold, genesys.concurrency, totals)
                for chunk in _chunks(_settled(step, media, genesys.concurrency)):
                    rows = [settled.row for settled in chunk]
                    step.still_ours()
                    merge_rows(media.tables, step.day, rows)
                    for settled in chunk:
                        totals.add(settled)
                    stored = [row for row in rows if row["status"] == STORED]
                    _tell(step, media, contexts, stored, genesys.concurrency, totals)
            return dg.MaterializeResult(metadata=_described(media, step, totals))

    return guest_uploads


def _settled(step: Step, media: MediaResource, threads: int) -> Iterator[Settled]:
    session = step.session
    spool = Path(media.spool) / SPOOL_FOLDER
    fetcher = Fetcher(session.source, session.http, spool, session.patience, session.stats)
    settler = Settler(media.store, fetcher, step.day, lambda: dt.datetime.now(dt.UTC))
    for settled in ordered_map(settler.settle, wanted_files(media.tables, step.day), threads=threads):
        row = settled.row
        step.audit.emit(
            "guest_upload_settled",
            file_id=row["file_id"],
            conversation_id=row["conversation_id"],
            status=row["status"],
            reason=row["reason"],
            bytes=row["size_bytes"],
            sha256=row["sha256"],
            adopted=settled.adopted or None,
            latency_ms=round(settled.seconds * 1000),
        )
        yield settled


def _chunks(results: Iterable[Settled]) -> Iterator[list[Settled]]:
    chunk: list[Settled] = []
    began = time.monotonic()
    for settled in results:
        chunk.append(settled)
        if len(chunk) >= CHUNK_FILES or time.monotonic() - began >= CHUNK_SECONDS:
            yield chunk
            chunk, began = [], time.monotonic()
    if chunk:
        yield chunk


def _untold(media: MediaResource, day: dt.date, *, allowed: bool) -> list[Row]:
    """Stored files of earlier runs whose conversation was not told, or could be now."""
    open_ones = {None, FAILED} | ({WOULD_SEND} if allowed else set())
    return [row for row in media.tables.rows(UPLOADS, day) if row["status"] == STORED and row["context"] in open_ones]


def _tell(step: Step, media: MediaResource, contexts: Contexts, rows: list[Row], threads: int, totals: _Totals) -> None:
    """Tell the files' conversations, and write down what came of it."""
    if not rows:
        return
    told = tell_all(contexts, {row["conversation_id"] for row in rows}, threads)
    changed = []
    for row in rows:
        result = told[row["conversation_id"]]
        totals.contexts[result.context] += 1
        changed.append(row | {"context": result.context, "detail": result.detail})
        if result.detail and len(totals.to_do) < SAMPLE_ROWS:
            totals.to_do.append(changed[-1])
    step.still_ours()
    merge_rows(media.tables, step.day, changed)


def _heard(step: Step, conversation_id: str, sha256: str, told: Told, seconds: float) -> None:
    step.audit.emit(
        "guest_context_told",
        conversation_id=conversation_id,
        payload_sha256=sha256,
        outcome=told.context,
        detail=told.detail,
        latency_ms=round(seconds * 1000),
    )


def _described(media: MediaResource, step: Step, totals: _Totals) -> dict[str, object]:
    count = sum(1 for _ in media.tables.rows(UPLOADS, step.day, ["file_id"]))
    if not count:  # a day without a file has an empty table, too
        media.tables.write(UPLOADS, step.day, ())
    described: dict[str, object] = {}
    if totals.to_do:
        described["to_do"] = sample(totals.to_do, ["file_id", "status", "reason", "context", "detail"])
    if totals.reasons:
        rows = [{"reason": reason, "files": number} for reason, number in sorted(totals.reasons.items())]
        described["not_stored"] = sample(rows, ["reason", "files"])
    return (
        described
        | {f"files_{status}": number for status, number in sorted(totals.rows.items())}
        | {f"context_{outcome}": number for outcome, number in sorted(totals.contexts.items())}
        | {"published_by_killed_runs": totals.adopted, "stored_bytes": totals.bytes}
        | written(media.tables, UPLOADS, step.day, count)
        | calls(step.stats)
    )
