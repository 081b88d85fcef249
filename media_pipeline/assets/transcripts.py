"""diarized_transcripts and transcript_status: who said what, and whether anyone could know."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import dagster as dg

from media_pipeline.assets.step import Step, working
from media_pipeline.checks.transcripts_redacted import TRANSCRIPTS_REDACTED, transcripts_redacted_result
from media_pipeline.genesys.source import ListedRecording
from media_pipeline.metadata import calls, schema_metadata, written
from media_pipeline.ownership import GENESYS_POOL
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.inventory import conversations_with_several, listed
from media_pipeline.tables.partition import Row, Tables, aligned
from media_pipeline.tables.paths import audio_prefix
from media_pipeline.tables.redaction import NOTE, is_redacted, uncounted, unredacted
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
    raw: list[Row]
    """Of the earlier segments, what is kept under unredacted/."""


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
        pool=GENESYS_POOL,
        specs=[
            spec(
                "diarized_transcripts",
                "What was said, redacted: one row per utterance with speaker, offsets in ms from the recording's start "
                "and confidence. Sorted by recording_id and segment_index.",
            ),
            spec(
                "transcript_status",
                "Whether each recording has a transcript: available, unavailable (there is none), forbidden (a "
                "permission is missing) or failed. One row per recording.",
            ),
        ],
        check_specs=[
            dg.AssetCheckSpec(
                TRANSCRIPTS_REDACTED,
                asset="diarized_transcripts",
                description="No day holds transcripts that did not go through this version's redaction.",
            )
        ],
        retry_policy=retry,
        can_subset=True,  # so that +availability_report, say, can be selected; both tables are written all the same
    )
    def transcripts(
        context: dg.AssetExecutionContext, genesys: GenesysResource, media: MediaResource
    ) -> Iterator[dg.MaterializeResult]:
        with working(context, "transcripts", genesys, media) as step:
            tables, statuses = media.tables, Counter[str]()
            with ExitStack() as stack:  # left in reverse: what was said is there before a status tells of it
                status = stack.enter_context(tables.writer("transcript_status", step.day))
                segments = stack.enter_context(tables.writer("diarized_transcripts", step.day, note=NOTE))
                raw = None
                if media.keep_unredacted:
                    raw = stack.enter_context(unredacted(tables).writer("diarized_transcripts", step.day))
                for found, originals in _fetched(step, media, genesys.concurrency):
                    status.add(found.status)
                    statuses[found.status["status"]] += 1
                    for row in found.segments:
                        segments.add(row)
                    for row in originals if raw is not None else ():
                        raw.add(uncounted(row))
            counts = {f"transcripts_{name}": count for name, count in sorted(statuses.items())}
            described = written(tables, "transcript_status", step.day, status.count) | counts | calls(step.stats)
            segment_facts = written(tables, "diarized_transcripts", step.day, segments.count) | counts
            redacted = transcripts_redacted_result(tables, media.keep_unredacted, media.concurrency)
        for table, facts in (("diarized_transcripts", segment_facts), ("transcript_status", described)):
            if dg.AssetKey(table) in context.selected_asset_keys:
                yield dg.MaterializeResult(asset_key=table, metadata=facts)
        if (
            dg.AssetCheckKey(dg.AssetKey("diarized_transcripts"), TRANSCRIPTS_REDACTED)
            in context.selected_asset_check_keys
        ):
            yield redacted

    return transcripts


def _fetched(step: Step, media: MediaResource, threads: int) -> Iterator[tuple[TranscriptRows, list[Row]]]:
    """Each recording's rows, redacted, and its segments as they were."""
    present = media.store.sizes(audio_prefix(step.day), SIDECAR_SUFFIX) if media.sidecars else {}
    settled = is_redacted(media.tables, step.day)

    def work(task: _Task) -> tuple[TranscriptRows, list[Row]]:
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
        reused = task.earlier is not None and settled
        originals = task.raw if reused else task.raw or rows.segments
        if not reused:
            rows = rows.redacted()
        if media.sidecars:
            # a placeholder may be as long as what it replaces: only what was redacted before is judged by its size
            _complete_sidecars(media, task, rows, present if reused else {})
        return rows, originals

    yield from ordered_map(work, _tasks(media.tables, step.day, media.keep_unredacted), threads=threads)


def _complete_sidecars(media: MediaResource, task: _Task, rows: TranscriptRows, present: dict[str, int]) -> None:
    """Put the segments into the sidecars of stored files; one that already has them is left alone."""
    segments = rows.segments if rows.status["status"] == AVAILABLE else None
    files = {file.file_index: file for file in task.files}
    for audio in task.stored:
        if audio["file_index"] not in files:  # listed anew since it was exported
            continue
        data = sidecar(files[audio["file_index"]], audio, segments)
        key = sidecar_key(audio["object_key"])
        if present.get(key) != len(data):
            media.store.put(key, data)


def _tasks(tables: Tables, day: dt.date, keep_unredacted: bool) -> Iterator[_Task]:
    shared = conversations_with_several(tables, day)
    for _, rows in aligned(
        raw=unredacted(tables).rows("diarized_transcripts", day) if keep_unredacted else (),
        inventory=tables.rows("recording_inventory", day),
        audio=tables.rows("recording_audio", day),
        status=tables.rows("transcript_status", day),
        segments=tables.rows("diarized_transcripts", day),
    ):
        if not rows["inventory"]:
            continue
        earlier = None
        known = rows["status"][0] if rows["status"] else {}
        # the two tables are not replaced at once: a run killed in between must not pass for a transcript without words
        if known.get("status") == AVAILABLE and known["segments"] == len(rows["segments"]):
            earlier = TranscriptRows(known, rows["segments"])
        yield _Task(
            files=[listed(row) for row in rows["inventory"]],
            stored=[row for row in rows["audio"] if row["status"] == STORED],
            earlier=earlier,
            alone=rows["inventory"][0]["conversation_id"] not in shared,
            raw=rows["raw"] if earlier is not None else [],
        )
