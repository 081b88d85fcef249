"""call_waveforms and transcript_search: what the pages of calls need beside tables and audio. No Genesys Cloud."""

import tempfile
from collections import Counter
from pathlib import Path

import dagster as dg
from pydantic import Field

from media_pipeline.metadata import sample
from media_pipeline.partitions import partition_day
from media_pipeline.playback.day_index import build_index
from media_pipeline.playback.waveforms import kept, made
from media_pipeline.resources.failures import explained
from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.partition import Row
from media_pipeline.tables.paths import search_key
from media_pipeline.transfer.outcome import STORED
from media_pipeline.transfer.parallel import ordered_map

GROUP = "playback"
SAMPLE_ROWS = 20
_COLUMNS = ["recording_id", "file_index", "status", "object_key", "sha256"]


class WaveformsConfig(dg.Config):
    """What a run by hand may want."""

    again: bool = Field(False, description="Draw every recording again, also those that earlier runs settled.")


def playback_assets(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """Both assets; neither has a table."""

    @dg.asset(partitions_def=partitions, deps=["recording_audio"], group_name=GROUP, kinds={"json", "python"})
    def call_waveforms(
        context: dg.AssetExecutionContext, config: WaveformsConfig, media: MediaResource
    ) -> dg.MaterializeResult:
        """The loudest sample of each stretch of time, by channel, of every stored recording.

        One object a file under waveforms/date=.../, of some KB. Recordings are read block by block from the archive;
        what is no WAV is decoded in a process of its own. What an earlier run drew of the same bytes is left alone.
        """
        with explained():
            day = partition_day(context)
            media.tables.read("recording_audio", day, ["recording_id"])  # says what to materialize when missing
            counts, problems = Counter[str](), list[Row]()
            rows = (row for row in media.tables.rows("recording_audio", day, _COLUMNS) if row["status"] == STORED)

            def work(row: Row) -> tuple[Row, str | None, bool]:
                waveform, is_new = made(media.store, day, row, again=config.again)
                return row, waveform.reason, is_new

            for row, reason, is_new in ordered_map(work, rows, threads=media.concurrency):
                counts["drawn" if reason is None else f"without_{reason}"] += 1
                counts["new"] += is_new
                if reason is not None and len(problems) < SAMPLE_ROWS:
                    problems.append(row | {"reason": reason})
            described: dict[str, object] = {f"waveforms_{name}": count for name, count in sorted(counts.items())}
            if problems:
                described["without_waveform"] = sample(problems, ["recording_id", "file_index", "reason"])
            return dg.MaterializeResult(metadata=described)

    @dg.asset(
        partitions_def=partitions,
        deps=["recording_inventory", "recording_audio", "diarized_transcripts", call_waveforms],
        group_name=GROUP,
        kinds={"sqlite", "python"},
    )
    def transcript_search(context: dg.AssetExecutionContext, media: MediaResource) -> dg.MaterializeResult:
        """The day's list of calls with a full-text index of what was said, as one SQLite file (FTS5).

        Redacted text only. search/date=.../calls.sqlite is replaced whole; `media-pipeline serve` fetches it.
        """
        with explained():
            day = partition_day(context)
            media.tables.read("recording_inventory", day, ["recording_id"])  # says what to materialize when missing

            def seconds(row: Row) -> float | None:
                waveform = kept(media.store, day, row) if row["status"] == STORED else None
                return None if waveform is None else waveform.seconds

            def seconds_of(rows: list[Row]) -> list[float | None]:
                return list(ordered_map(seconds, rows, threads=media.concurrency))

            folder = Path(media.spool) / GROUP
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="index-", dir=folder) as own:
                file = Path(own) / "calls.sqlite"
                built = build_index(media.tables, day, file, seconds_of=seconds_of)
                size = media.store.publish(file, search_key(day))
            facts: dict[str, object] = {"calls": built.calls, "utterances": built.utterances, "bytes": size}
            if built.is_raw:
                facts["without_words"] = (
                    f"The transcripts are raw: run `media-pipeline redact --date {day}`, then this."
                )
            path = dg.MetadataValue.path(f"{media.store.url}/{search_key(day)}")
            return dg.MaterializeResult(metadata={**facts, "path": path})

    return [call_waveforms, transcript_search]
