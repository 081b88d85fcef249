"""metadata_annotations: what is said of each interaction, by users and by us, and what of it the org was told."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import dagster as dg
from pydantic import Field

from media_pipeline.assets.announcing import announcing
from media_pipeline.assets.interactions import GROUP
from media_pipeline.assets.step import Step, working
from media_pipeline.checks.annotations_settled import ANNOTATIONS_SETTLED, Unsettled, annotations_settled_result
from media_pipeline.interactions.annotating import DERIVED, Result, Task, annotated
from media_pipeline.interactions.derived import MEASURE_VERSION, Medium
from media_pipeline.interactions.inbox import REJECTED, Inbox, Intake, Row, settled
from media_pipeline.interactions.media import by_interaction
from media_pipeline.interactions.sound import measured_object
from media_pipeline.interactions.write_back import SECONDS_BETWEEN, SENT, UNCHANGED, Outcome, WriteBack
from media_pipeline.metadata import SAMPLE_ROWS, calls, sample, schema_metadata, written
from media_pipeline.notify.announcer import Announcer
from media_pipeline.notify.callbacks import Callbacks
from media_pipeline.notify.events import METADATA_ANNOTATED
from media_pipeline.ownership import GENESYS_POOL
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.resources.webhooks import WebhooksResource
from media_pipeline.tables.interactions import COVERED, Following, day_of_interactions
from media_pipeline.tables.partition import TableMissing
from media_pipeline.tables.sorting import SortedRows
from media_pipeline.transfer.parallel import ordered_map

TABLE = "metadata_annotations"
NOTE = {"measure_version": MEASURE_VERSION}
"""Of the day's file: which figures may be taken from it."""


class AnnotationsConfig(dg.Config):
    """How annotations are written back."""

    seconds_between: float = Field(SECONDS_BETWEEN, description="Seconds between two submissions.", ge=0)


@dataclass(slots=True)
class _Totals:
    annotations: Counter[str] = field(default_factory=Counter)
    interactions: Counter[str] = field(default_factory=Counter)
    measured: int = 0
    reused: int = 0
    unsettled: Unsettled = field(default_factory=Unsettled)
    to_do: list[Row] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.interactions[result.outcome.name] += 1
        self.unsettled.add(result.interaction_id, result.outcome)
        self.measured += result.measured
        self.reused += result.reused
        for row in result.rows:
            self.annotations[row["outcome"]] += 1
            if row["outcome"] in (REJECTED, "conflict", "failed") and len(self.to_do) < SAMPLE_ROWS:
                self.to_do.append(row)


def metadata_annotations_asset(partitions: dg.PartitionsDefinition, retry: dg.RetryPolicy) -> dg.AssetsDefinition:
    """The asset that annotates interactions."""

    @dg.asset(
        partitions_def=partitions,
        deps=["recording_inventory", "recording_audio", "diarized_transcripts", "interaction_media"],
        group_name=GROUP,
        kinds={"parquet", "python"},
        retry_policy=retry,
        metadata=schema_metadata(TABLE),
        check_specs=[
            dg.AssetCheckSpec(
                ANNOTATIONS_SETTLED,
                asset=TABLE,
                description="The org holds what it was to be told of the day's interactions; names those it does not.",
            )
        ],
        pool=GENESYS_POOL,
    )
    def metadata_annotations(
        context: dg.AssetExecutionContext,
        config: AnnotationsConfig,
        genesys: GenesysResource,
        media: MediaResource,
        webhooks: WebhooksResource,
        callbacks: dg.ResourceParam[Callbacks],
    ) -> dg.MaterializeResult:
        """What is to be known of each of the day's interactions: what users handed in (annotations/*.jsonl of the
        inbox), and length, format, place, quality and transcript coverage of its media as the archive has them.

        All annotations of an interaction are one payload, written back to the org with MEDIA_ALLOW_WRITE_BACK=1 only:
        as metadata (guides) or participant attributes (published API). What the org holds already is not sent again.
        Personal data in one annotation that was handed in rejects all that was handed in for its interaction. Archive
        systems hear of an interaction (metadata_annotated) once the org holds its annotations.
        """
        with working(context, TABLE, genesys, media, work=GROUP) as step:
            inbox = _inbox(step, media)
            handed_in = _handed_in(inbox, step, media)
            totals = _Totals()
            with (
                media.written_back(f"annotations.{genesys.dialect}", step.day) as ledger,
                announcing(context, METADATA_ANNOTATED, step.day, media, webhooks, callbacks) as announcer,
                media.tables.writer(TABLE, step.day, note=NOTE) as writer,
            ):
                write_back = WriteBack(
                    step.session.source,
                    ledger,
                    allowed=genesys.allow_write_back,
                    still_ours=step.still_ours,
                    told=partial(_told, step),
                    seconds_between=config.seconds_between,
                )
                work = partial(annotated, step.session.source, write_back, partial(measured_object, media.store))
                tasks = _tasks(media, step, handed_in, inbox.intake)
                for result in ordered_map(work, tasks, threads=genesys.concurrency):
                    for row in result.rows:
                        writer.add(row)
                    totals.add(result)
                    _announce(announcer, result)
                step.still_ours()
            return dg.MaterializeResult(
                metadata=_described(totals, inbox.intake)
                | written(media.tables, TABLE, step.day, writer.count)
                | calls(step.stats),
                check_results=[annotations_settled_result(totals.unsettled, totals.interactions.total())],
            )

    return metadata_annotations


def _inbox(step: Step, media: MediaResource) -> Inbox:
    def refused(file: str, line: int | None, why: str) -> None:
        step.audit.emit("annotation_line_refused", inbox_file=file, line=line, detail=why)

    return Inbox(*media.handed_in("annotations"), refused)


def _handed_in(inbox: Inbox, step: Step, media: MediaResource) -> SortedRows:
    """The inbox's rows about the day's interactions; raises TableMissing when those are not known."""
    # says what to materialize when it is missing
    ids = media.tables.read("interaction_media", step.day, ["interaction_id"])["interaction_id"]
    interactions = set(ids.unique().to_pylist())
    return SortedRows(TABLE, inbox.rows(interactions), key=("interaction_id", "annotation_key"))


def _tasks(media: MediaResource, step: Step, handed_in: SortedRows, intake: Intake) -> Iterator[Task]:
    tables, day = media.tables, step.day
    known = Following(_with_interaction(day_of_interactions(tables, day, transcripts=True).interactions()))
    users, earlier = Following(handed_in), Following(_earlier(media, step))
    for interaction_id, rows in by_interaction(tables.rows("interaction_media", day)):
        values = {row["annotation_key"]: row["value"] for row in earlier.of(interaction_id) if row["value"] is not None}
        yield Task(
            interaction_id,
            _media_of(rows, known.of(interaction_id)),
            settled(users.of(interaction_id), intake),
            values,
        )


def _with_interaction(interactions: Iterator[tuple[str, list[Row]]]) -> Iterator[Row]:
    for interaction_id, rows in interactions:
        for row in rows:
            yield row | {"interaction_id": interaction_id}


def _earlier(media: MediaResource, step: Step) -> Iterator[Row]:
    """What an earlier run derived; nothing where it measured otherwise."""
    try:
        is_alike = media.tables.note(TABLE, step.day).items() >= NOTE.items()
    except TableMissing:
        return
    if is_alike:
        yield from (row for row in media.tables.rows(TABLE, step.day) if row["origin"] == DERIVED)


def _media_of(rows: list[Row], known: list[Row]) -> list[Medium]:
    files = Counter(row["recording_id"] for row in known)
    by_file = {(row["recording_id"], row["file_index"]): row for row in known}
    found = []
    for row in rows:
        listed = by_file.get((row["recording_id"], row["file_index"]), {})
        found.append(
            Medium(
                media_id=row["media_id"],
                media_type=row["media_type"],
                format=row["detected_format"] or row["declared_format"],
                duration_seconds=listed.get("duration_seconds"),
                object_key=listed.get("object_key"),
                sha256=listed.get("sha256"),
                covered_ms=listed.get(COVERED) if files[row["recording_id"]] == 1 else None,
            )
        )
    return found


def _announce(announcer: Announcer | None, result: Result) -> None:
    """An interaction of which the org holds other annotations than when that was announced last."""
    if announcer is None or result.outcome not in (SENT, UNCHANGED):
        return
    announcer.announce(
        result.interaction_id,
        result.sha256,
        {
            "interaction_id": result.interaction_id,
            "annotations": result.told,
            "annotations_rejected": len(result.rows) - result.told,
            "payload_sha256": result.sha256,
        },
    )


def _told(step: Step, interaction_id: str, sha256: str, outcome: Outcome, seconds: float) -> None:
    step.audit.emit(
        "annotations_submitted",
        interaction_id=interaction_id,
        payload_sha256=sha256,
        outcome=outcome.name,
        reason=outcome.reason,
        latency_ms=round(seconds * 1000),
    )


def _described(totals: _Totals, intake: Intake) -> dict[str, object]:
    described: dict[str, object] = {
        "interactions": totals.interactions.total(),
        "objects_measured": totals.measured,
        "objects_measured_earlier": totals.reused,
        "inbox_files": intake.files,
        "inbox_lines": intake.lines,
        "inbox_lines_of_other_interactions": intake.of_others,
        "inbox_lines_superseded": intake.superseded,
        "inbox_refused": intake.refused,
    }
    if intake.sentences:
        described["inbox_problems"] = sample([{"problem": each} for each in intake.sentences], ["problem"])
    if totals.to_do:
        described["to_do"] = sample(totals.to_do, ["interaction_id", "annotation_key", "outcome", "reason", "detail"])
    described |= {f"annotations_{name}": count for name, count in sorted(totals.annotations.items())}
    return described | {f"interactions_{name}": count for name, count in sorted(totals.interactions.items())}
