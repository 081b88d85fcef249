"""interaction_media: what each interaction of a day consists of, and whether its files are what they should be."""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import dagster as dg

from media_pipeline.assets.announcing import announcing
from media_pipeline.assets.step import Step, working
from media_pipeline.audit.log import GOVERNANCE_TAG
from media_pipeline.genesys.errors import GenesysError, PermissionMissing
from media_pipeline.genesys.source import ListedRecording, OrgSource
from media_pipeline.interactions.beginning import Beginnings
from media_pipeline.interactions.media import NOT_CHECKED, Examiner, Known, Row, merged, payload_hash
from media_pipeline.metadata import SAMPLE_ROWS, calls, sample, schema_metadata, validations, written
from media_pipeline.notify.announcer import Announcer
from media_pipeline.notify.callbacks import Callbacks
from media_pipeline.notify.events import METADATA_PARSED
from media_pipeline.ownership import GENESYS_POOL
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.resources.webhooks import WebhooksResource
from media_pipeline.tables.interactions import beside, day_of_interactions, inventory_row
from media_pipeline.tables.inventory import listed
from media_pipeline.transfer.parallel import ordered_map

GROUP = "interactions"
INTERACTIONS_ANNOUNCED = 100
"""Interactions that the source hears of at once: as many links as one request brings."""
GROUPS_AHEAD = 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Task:
    interaction_id: str
    known: list[Known]
    earlier: dict[str, Row]


@dataclass(frozen=True, slots=True)
class _Result:
    rows: list[Row]
    reused: int
    problem: str | None
    detail: str
    hash: str
    verdicts: Counter[str]


@dataclass(slots=True)
class _Totals:
    interactions: int = 0
    reused: int = 0
    types: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    to_do: list[Row] = field(default_factory=list)

    def add(self, interaction_id: str, result: _Result) -> None:
        self.interactions += 1
        self.reused += result.reused
        self.verdicts += result.verdicts
        for row in result.rows:
            self.types[row["media_type"] or "unknown"] += 1
        if result.problem is not None:
            self.problems[result.problem] += 1
            if len(self.to_do) < SAMPLE_ROWS:
                self.to_do.append({"interaction_id": interaction_id, "reason": result.problem, "detail": result.detail})


def interaction_media_asset(partitions: dg.PartitionsDefinition, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The asset that asks what interactions consist of."""

    @dg.asset(
        partitions_def=partitions,
        deps=["recording_inventory", "recording_audio"],
        group_name=GROUP,
        kinds={"parquet", "python"},
        retry_policy=retry,
        metadata=schema_metadata("interaction_media"),
        pool=GENESYS_POOL,
    )
    def interaction_media(
        context: dg.AssetExecutionContext,
        genesys: GenesysResource,
        media: MediaResource,
        webhooks: WebhooksResource,
        callbacks: dg.ResourceParam[Callbacks],
    ) -> dg.MaterializeResult:
        """Every media object of the day's interactions with its row of the media matrix and a verdict on its format.

        Interactions are the distinct conversations of the day's recording_inventory, of all media types. The format is
        judged by content: the first 64 KB, of the archive's object where it is stored, else of the source. A place is
        host and path, never a link that opens it. An interaction that cannot be seen keeps the rows of its recordings.
        """
        with working(context, "interaction_media", genesys, media, work=GROUP) as step:
            day, totals = day_of_interactions(media.tables, step.day), _Totals()
            tasks = (
                _Task(interaction_id, [_known(row) for row in rows], earlier)
                for interaction_id, rows, earlier in beside(
                    day.interactions(), media.tables.rows("interaction_media", step.day)
                )
            )
            with (
                announcing(context, METADATA_PARSED, step.day, media, webhooks, callbacks) as announcer,
                media.tables.writer("interaction_media", step.day) as writer,
            ):
                for interaction_id, result in _results(step, media, tasks, genesys.concurrency):
                    for row in result.rows:
                        writer.add(row)
                    totals.add(interaction_id, result)
                    _announce(announcer, interaction_id, result)
                step.still_ours()
            return dg.MaterializeResult(
                metadata=_described(totals, day.without_id)
                | written(media.tables, "interaction_media", step.day, writer.count)
                | calls(step.stats)
            )

    return interaction_media


def _results(step: Step, media: MediaResource, tasks: Iterator[_Task], threads: int) -> Iterator[tuple[str, _Result]]:
    session = step.session
    examiner = Examiner(session.source, Beginnings(media.store, session.http, session.patience, session.stats))

    def examine(task: _Task) -> tuple[str, _Result]:
        began = time.monotonic()
        result = _examined(session.source, examiner, task)
        _tell(step, task.interaction_id, result, time.monotonic() - began)
        return task.interaction_id, result

    def needed(task: _Task) -> list[ListedRecording]:
        return [known.listed for known in task.known]

    yield from ordered_map(examine, announced(tasks, session.source, needed), threads=threads)


def _examined(source: OrgSource, examiner: Examiner, task: _Task) -> _Result:
    found, problem, detail = [], None, ""
    try:
        found = source.media_of(task.interaction_id, [known.listed for known in task.known])
    except GenesysError as error:
        if error.permanent and not isinstance(error, PermissionMissing):
            raise
        problem, detail = error.reason, str(error)
    rows, reused = [], 0
    for one in merged(found, task.known):
        earlier = task.earlier.get(one.media_id)
        row = examiner.row(task.interaction_id, one, earlier)
        reused += row is earlier
        rows.append(row)
    verdicts = Counter(row["format_verdict"] for row in rows)
    return _Result(rows, reused, problem, detail, payload_hash(rows), verdicts)


def _tell(step: Step, interaction_id: str, result: _Result, seconds: float) -> None:
    matched, checked = _accuracy(result.verdicts)
    step.audit.emit(
        METADATA_PARSED if result.problem is None else "interaction_unreadable",
        interaction_id=interaction_id,
        reason=result.problem,
        media=len(result.rows),
        payload_hash=result.hash,
        latency_ms=round(seconds * 1000),
        validations_matched=matched,
        validations_checked=checked,
        governance_tag=GOVERNANCE_TAG,
    )


def _announce(announcer: Announcer | None, interaction_id: str, result: _Result) -> None:
    """An interaction whose metadata is other than when it was announced last; one that cannot be seen is none."""
    if announcer is None or result.problem is not None:
        return
    types = Counter(row["media_type"] or "unknown" for row in result.rows)
    announcer.announce(
        interaction_id,
        result.hash,
        {
            "interaction_id": interaction_id,
            "media": len(result.rows),
            "media_types": dict(sorted(types.items())),
            "format_verdicts": dict(sorted(result.verdicts.items())),
            "thumbnails_needed": sum(row["needs_thumbnail"] for row in result.rows),
            "payload_sha256": result.hash,
        },
    )


def _accuracy(verdicts: Counter[str]) -> tuple[int, int]:
    """Formats that are as declared and expected, of those that were looked at."""
    return verdicts["matches"], verdicts.total() - verdicts[NOT_CHECKED]


def announced(tasks: Iterator[T], source: OrgSource, needed: Callable[[T], Iterable[ListedRecording]]) -> Iterator[T]:
    """The tasks, each after the source has heard which links it will be asked for: some are cheap by the hundred."""
    groups: deque[list[T]] = deque()
    while group := list(islice(tasks, INTERACTIONS_ANNOUNCED)):
        recordings = (recording for task in group for recording in needed(task))
        source.expect([recording for recording in recordings if recording.file_state == "available"])
        groups.append(group)
        if len(groups) > GROUPS_AHEAD:
            yield from groups.popleft()
    for group in groups:
        yield from group


def _known(row: Row) -> Known:
    return Known(listed(inventory_row(row)), row["object_key"], row["source_size_bytes"])


def _described(totals: _Totals, without_id: int) -> dict[str, object]:
    described: dict[str, object] = {
        "interactions": totals.interactions,
        "no_conversation_id": without_id,
        "interactions_unreadable": totals.problems.total(),
        "reused_from_earlier_runs": totals.reused,
    }
    if totals.to_do:
        described["to_do"] = sample(totals.to_do, ["interaction_id", "reason", "detail"])
    described |= {f"media_{name}": count for name, count in sorted(totals.types.items())}
    described |= {f"format_{name}": count for name, count in sorted(totals.verdicts.items())}
    return described | validations({"format by content with the declared and the expected": _accuracy(totals.verdicts)})
