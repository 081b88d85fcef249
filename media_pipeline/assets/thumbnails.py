"""recording_thumbnails: a picture of each screen recording, or the reason why there is none."""

import datetime as dt
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from pydantic import Field

from media_pipeline.assets.interactions import GROUP, announced
from media_pipeline.assets.step import Step, working
from media_pipeline.genesys.source import ListedRecording, MediaFile, OrgSource
from media_pipeline.interactions.film import Films
from media_pipeline.interactions.media import Row, merged
from media_pipeline.interactions.thumbnail import HEIGHT, LIMITS, WIDTH, NoThumbnail, decoder_missing, thumbnail_of
from media_pipeline.metadata import SAMPLE_ROWS, calls, sample, schema_metadata, written
from media_pipeline.ownership import GENESYS_POOL
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.storage.base import StorageError
from media_pipeline.storage.space import check_space
from media_pipeline.tables.interactions import Listings, beside
from media_pipeline.tables.paths import thumbnail_key, thumbnail_prefix
from media_pipeline.transfer.outcome import Effort, Ending
from media_pipeline.transfer.parallel import ordered_map
from media_pipeline.transfer.recording import REASON_OF_STATE

MADE, FAILED, NOT_NEEDED = "made", "failed", "not_needed"
SETTLED_REASONS = ("corrupt", "empty", "no_video", "all_blank", "too_large")
"""About the film itself: trying again needs another film."""
FILMS_AT_ONCE = 4
"""Films in the spool at the same time, of at most 512 MiB each."""
STALE_SECONDS = 24 * 3600.0


class ThumbnailsConfig(dg.Config):
    """What a run by hand may want."""

    again: bool = Field(False, description="Make every thumbnail again, also those that earlier runs settled.")


@dataclass(frozen=True, slots=True)
class _Task:
    media: Row
    listed: ListedRecording | None
    earlier: Row | None


@dataclass(frozen=True, slots=True)
class _Result:
    task: _Task
    row: Row
    effort: Effort | None


def recording_thumbnails_asset(partitions: dg.PartitionsDefinition, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The asset that decodes."""

    @dg.asset(
        partitions_def=partitions,
        deps=["interaction_media"],
        group_name=GROUP,
        kinds={"parquet", "python"},
        retry_policy=retry,
        metadata=schema_metadata("recording_thumbnails"),
        pool=GENESYS_POOL,
    )
    def recording_thumbnails(
        context: dg.AssetExecutionContext, config: ThumbnailsConfig, genesys: GenesysResource, media: MediaResource
    ) -> dg.MaterializeResult:
        """A JPEG of 320 x 240 of each screen recording: its first frame that shows something, letterboxed.

        JPEGs lie under thumbnails/date=.../. Films are fetched to the spool, decoded each in a process of its own that
        may not take more than 30 s and 1 GiB, and deleted. Every media object has a row: made, failed with a reason,
        or not_needed. What an earlier run settled is not fetched again.
        """
        with working(context, "recording_thumbnails", genesys, media, work=GROUP) as step:
            if missing := decoder_missing():
                raise StorageError(missing)
            media.tables.read("interaction_media", step.day, ["media_id"])  # says what to materialize when missing
            check_space(media.store, Path(media.spool), media.min_available_mb)
            statuses, problems = Counter[str](), list[Row]()
            with media.tables.writer("recording_thumbnails", step.day) as writer:
                for result in _results(step, media, config, min(genesys.concurrency, FILMS_AT_ONCE)):
                    row = result.row
                    writer.add(row)
                    statuses[row["status"] if row["reason"] is None else f"{row['status']}_{row['reason']}"] += 1
                    if row["status"] == FAILED and len(problems) < SAMPLE_ROWS:
                        problems.append(row)
                    if result.effort is not None and result.task.listed is not None:
                        step.costs.add(result.task.listed, result.effort)
                step.still_ours()
            described: dict[str, object] = {f"thumbnails_{name}": n for name, n in sorted(statuses.items())}
            if problems:
                described["to_do"] = sample(problems, ["interaction_id", "media_id", "reason"])
            return dg.MaterializeResult(
                metadata=described
                | written(media.tables, "recording_thumbnails", step.day, writer.count)
                | calls(step.stats)
            )

    return recording_thumbnails


def _results(step: Step, media: MediaResource, config: ThumbnailsConfig, threads: int) -> Iterator[_Result]:
    session, source = step.session, step.session.source
    present = media.store.sizes(thumbnail_prefix(step.day))
    films = Films(session.http, session.patience, session.stats, LIMITS.film_bytes)

    def settled(task: _Task) -> bool:
        return not config.again and task.earlier is not None and _is_settled(task.earlier, present)

    def needed(task: _Task) -> list[ListedRecording]:
        return [] if task.listed is None or settled(task) else [task.listed]

    def work(task: _Task) -> _Result:
        if not task.media["needs_thumbnail"]:
            return _Result(task, _row(task, NOT_NEEDED), None)
        if task.earlier is not None and settled(task):
            return _Result(task, task.earlier, None)
        effort = Effort()
        started = time.monotonic()
        row = _thumbnail_row(task, source, films, Path(folder), media, step.day, effort)
        effort.seconds = time.monotonic() - started
        step.audit.emit(
            "thumbnail_settled",
            recording_id=task.media["recording_id"],
            interaction_id=task.media["interaction_id"],
            status=row["status"],
            reason=row["reason"],
            bytes=effort.bytes_fetched,
            latency_ms=round(effort.seconds * 1000),
        )
        return _Result(task, row, effort)

    with tempfile.TemporaryDirectory(dir=_films_folder(Path(media.spool))) as folder:
        tasks = announced(_tasks(media, step.day), source, needed)
        yield from ordered_map(work, tasks, threads=threads)


def _thumbnail_row(
    task: _Task, source: OrgSource, films: Films, folder: Path, media: MediaResource, day: dt.date, effort: Effort
) -> Row:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        film = Path(own) / "film"
        try:
            if task.listed is not None and (reason := REASON_OF_STATE[task.listed.file_state]):
                raise Ending(reason)
            films.fetch(film, lambda: _resolved(source, task), effort)
            made = thumbnail_of(film)
        except (Ending, NoThumbnail) as error:
            return _row(task, FAILED, reason="empty" if error.reason == "zero_bytes" else error.reason)
    about = (task.media[name] for name in ("interaction_id", "media_id", "recording_id", "file_index"))
    key = thumbnail_key(day, *about)
    media.store.put(key, made.jpeg)
    facts = {name: getattr(made, name) for name in ("frame_ms", "source_width", "source_height")}
    return _row(task, MADE, object_key=key, width=WIDTH, height=HEIGHT, **facts)


def _resolved(source: OrgSource, task: _Task) -> MediaFile:
    """The film's link and facts; of what the day's listing does not have, the link that the interaction names."""
    if task.listed is not None:
        return source.resolve(task.listed)
    found = merged(source.media_of(task.media["interaction_id"], []), [])
    links = [each.found.link for each in found if each.found and each.media_id == task.media["media_id"]]
    return MediaFile(file_name=None, content_type=None, size_bytes=None, md5=None, link=links[0] if links else None)


def _tasks(media: MediaResource, day: dt.date) -> Iterator[_Task]:
    tables = media.tables
    listings = Listings(tables, day)
    rows = ((row["interaction_id"], [row]) for row in tables.rows("interaction_media", day))
    for _, (row,), earlier in beside(rows, tables.rows("recording_thumbnails", day)):
        listed = listings.of(row["recording_id"], row["file_index"]) if row["needs_thumbnail"] else None
        yield _Task(row, listed, earlier.get(row["media_id"]))


def _is_settled(earlier: Row, present: dict[str, int]) -> bool:
    return earlier["object_key"] in present if earlier["status"] == MADE else earlier["reason"] in SETTLED_REASONS


def _films_folder(spool: Path) -> Path:
    """Where films lie while they are looked at; what killed runs left there goes after a day."""
    folder = spool / "films"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.iterdir():
        with suppress(OSError):
            if left.stat().st_mtime < time.time() - STALE_SECONDS:
                shutil.rmtree(left)
    return folder


def _row(task: _Task, status: str, reason: str | None = None, **columns: object) -> Row:
    row: Row = {"interaction_id": task.media["interaction_id"], "media_id": task.media["media_id"]}
    nothing = dict.fromkeys(("object_key", "width", "height", "frame_ms", "source_width", "source_height"))
    return row | {"status": status, "reason": reason} | nothing | columns
