"""diarized_transcripts and transcript_status: who said what, and whether anyone could know."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from media_pipeline.assets.step import Step, working
from media_pipeline.genesys.source import ListedRecording
from media_pipeline.metadata import calls, schema_metadata, written
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.inventory import conversations_with_several, listed
from media_pipeline.tables.partition import Row, Tables, aligned
from media_pipeline.tables.paths import audio_prefix
from media_pipeline.transfer.outcome import STORED
from media_pipeline.transfer.parallel import ordered_map
from media_pipeline.transfer.sidecar import SIDECAR_SUFFIX, sidecar, sidecar_key
from media_pipeline.transfer.transcript import AVAILABLE, TranscriptRows, fetch_transcript


@dataclass(frozen=True, slots=True)
class _Task:
    files: list[ListedRecording]
    stored: list[Row]
    earlier: TranscriptRows | None
    alone: bool


def transcript_assets(partitions: dg.PartitionsDefinition, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """One step that writes both tables."""

    def spec(table: str, description: str) -> dg.AssetSpec:
        return dg.AssetSpec(
            table,
            deps=["recording_inventory", "recording_audio"],
            group_name="recordings",
            kinds={"parquet", "python"},
            description=description,
            metadata=schema_metadata(table),
            partitions_def=partitions,
            skippable=True,
        )

    @dg.multi_asset(
        name="transcripts",
        specs=[
            spec(
                "diarized_transcripts",
                "What was said: one row per utterance with speaker, offsets in ms from the recording's start and "
                "confidence. Sorted by recording_id and segment_index.",
            ),
            spec(
                "transcript_status",
                "Whether each recording has a transcript: available, unavailable (there is none), forbidden (a "
                "permission is missing) or failed. One row per recording.",
            ),
        ],
        retry_policy=retry,
        can_subset=True,  # so that +availability_report, say, can be selected; both tables are written all the same
    )
    def transcripts(
        context: dg.AssetExecutionContext, genesys: GenesysResource, media: MediaResource
    ) -> Iterator[dg.MaterializeResult]:
        with working(context, "transcripts", genesys, media) as step:
            tables, statuses = media.tables, Counter[str]()
            with (
                tables.writer("diarized_transcripts", step.day) as segments,
                tables.writer("transcript_status", step.day) as status,
            ):
                for found in _fetched(step, media, genesys.concurrency):
                    status.add(found.status)
                    statuses[found.status["status"]] += 1
                    for row in found.segments:
                        segments.add(row)
            counts = {f"transcripts_{name}": count for name, count in sorted(statuses.items())}
            described = written(tables, "transcript_status", step.day, status.count) | counts | calls(step.stats)
            segment_facts = written(tables, "diarized_transcripts", step.day, segments.count) | counts
        for table, facts in (("diarized_transcripts", segment_facts), ("transcript_status", described)):
            if dg.AssetKey(table) in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=table, metadata=facts)

    return transcripts


def _fetched(step: Step, media: MediaResource, threads: int) -> Iterator[TranscriptRows]:
    present = media.store.sizes(audio_prefix(step.day), SIDECAR_SUFFIX) if media.sidecars else {}

    def work(task: _Task) -> TranscriptRows:
        rows = task.earlier or fetch_transcript(step.session.source, task.files[0], alone=task.alone)
        if task.earlier is None:
            status = rows.status
            step.audit.emit(
                "transcript_settled",
                status["recording_id"],
                status=status["status"],
                reason=status["reason"],
                segments=status["segments"],
            )
        if media.sidecars:
            _complete_sidecars(media, task, rows, present)
        return rows

    yield from ordered_map(work, _tasks(media.tables, step.day), threads=threads)


def _complete_sidecars(media: MediaResource, task: _Task, rows: TranscriptRows, present: dict[str, int]) -> None:
    """Put the segments into the sidecars of stored files; one that already has them is left alone."""
    segments = rows.segments if rows.status["status"] == AVAILABLE else None
    files = {file.file_index: file for file in task.files}
    for audio in task.stored:
        data = sidecar(files[audio["file_index"]], audio, segments)
        key = sidecar_key(audio["object_key"])
        if present.get(key) != len(data):
            media.store.put(key, data)


def _tasks(tables: Tables, day: dt.date) -> Iterator[_Task]:
    shared = conversations_with_several(tables, day)
    for _, rows in aligned(
        inventory=tables.rows("recording_inventory", day),
        audio=tables.rows("recording_audio", day),
        status=tables.rows("transcript_status", day),
        segments=tables.rows("diarized_transcripts", day),
    ):
        if not rows["inventory"]:
            continue
        earlier = None
        if rows["status"] and rows["status"][0]["status"] == AVAILABLE:
            earlier = TranscriptRows(rows["status"][0], rows["segments"])
        yield _Task(
            files=[listed(row) for row in rows["inventory"]],
            stored=[row for row in rows["audio"] if row["status"] == STORED],
            earlier=earlier,
            alone=rows["inventory"][0]["conversation_id"] not in shared,
        )
