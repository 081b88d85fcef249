"""metadata_annotations: what is said of each interaction, by users and by us, and what of it the org was told."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import dagster as dg
from pydantic import Field

from media_pipeline.assets.interactions import GROUP
from media_pipeline.assets.step import Step, working
from media_pipeline.genesys.source import Annotation, AnnotationTarget
from media_pipeline.interactions.annotations import is_unfit, payload_sha256
from media_pipeline.interactions.derived import MEASURE_VERSION, Derived, Measure, Medium, annotations_of
from media_pipeline.interactions.inbox import REJECTED, USER, Inbox, Intake, Row, settled
from media_pipeline.interactions.media import by_interaction
from media_pipeline.interactions.sound import measured_object
from media_pipeline.interactions.write_back import SECONDS_BETWEEN, Outcome, WriteBack
from media_pipeline.metadata import SAMPLE_ROWS, calls, sample, schema_metadata, written
from media_pipeline.ownership import GENESYS_POOL
from media_pipeline.resources.genesys import GenesysResource
from media_pipeline.resources.media import MediaResource
from media_pipeline.tables.interactions import COVERED, Following, day_of_interactions
from media_pipeline.tables.partition import TableMissing
from media_pipeline.tables.sorting import SortedRows
from media_pipeline.transfer.parallel import ordered_map

TABLE = "metadata_annotations"
DERIVED = "derived"
NOTE = {"measure_version": MEASURE_VERSION}
"""Of the day's file: which figures may be taken from it."""
UNFIT = {
    "too_long": "The source's name for it is longer than an annotation may be.",
    "pii": "Personal data was found in the value, which comes from the source; it is not told.",
    "secret": "A token, a signature or a password was found in the value, which comes from the source; it is not told.",
}


class AnnotationsConfig(dg.Config):
    """How annotations are written back."""

    seconds_between: float = Field(SECONDS_BETWEEN, description="Seconds between two submissions.", ge=0)


@dataclass(frozen=True, slots=True)
class _Task:
    interaction_id: str
    media: list[Medium]
    handed_in: list[Row]
    earlier: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Result:
    rows: list[Row]
    outcome: str
    measured: int
    reused: int


@dataclass(slots=True)
class _Totals:
    annotations: Counter[str] = field(default_factory=Counter)
    interactions: Counter[str] = field(default_factory=Counter)
    measured: int = 0
    reused: int = 0
    to_do: list[Row] = field(default_factory=list)

    def add(self, result: _Result) -> None:
        self.interactions[result.outcome] += 1
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
        pool=GENESYS_POOL,
    )
    def metadata_annotations(
        context: dg.AssetExecutionContext, config: AnnotationsConfig, genesys: GenesysResource, media: MediaResource
    ) -> dg.MaterializeResult:
        """What is to be known of each of the day's interactions: what users handed in (annotations/*.jsonl of the
        inbox), and length, format, place, quality and transcript coverage of its media as the archive has them.

        All annotations of an interaction are one payload, written back to the org with MEDIA_ALLOW_WRITE_BACK=1 only:
        as metadata (guides) or participant attributes (published API). What the org holds already is not sent again.
        Personal data in one annotation that was handed in rejects all that was handed in for its interaction.
        """
        with working(context, TABLE, genesys, media, work=GROUP) as step:
            inbox = _inbox(step, media)
            handed_in = _handed_in(inbox, step, media)
            totals = _Totals()
            with (
                media.written_back(f"annotations.{genesys.dialect}", step.day) as ledger,
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
                work = partial(_annotated, step.session.source, write_back, partial(measured_object, media.store))
                tasks = _tasks(media, step, handed_in, inbox.intake)
                for result in ordered_map(work, tasks, threads=genesys.concurrency):
                    for row in result.rows:
                        writer.add(row)
                    totals.add(result)
                step.still_ours()
            return dg.MaterializeResult(
                metadata=_described(totals, inbox.intake)
                | written(media.tables, TABLE, step.day, writer.count)
                | calls(step.stats)
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


def _tasks(media: MediaResource, step: Step, handed_in: SortedRows, intake: Intake) -> Iterator[_Task]:
    tables, day = media.tables, step.day
    known = Following(_with_interaction(day_of_interactions(tables, day, transcripts=True).interactions()))
    users, earlier = Following(handed_in), Following(_earlier(media, step))
    for interaction_id, rows in by_interaction(tables.rows("interaction_media", day)):
        values = {row["annotation_key"]: row["value"] for row in earlier.of(interaction_id) if row["value"] is not None}
        yield _Task(
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


def _annotated(target: AnnotationTarget, write_back: WriteBack, measure: Measure, task: _Task) -> _Result:
    """One interaction: its annotations, those that cannot be told sorted out, the others written back as one."""
    own: Derived = annotations_of(task.media, task.earlier, measure)
    rows = [row for row in task.handed_in if row["outcome"] == REJECTED]
    payload: list[tuple[str, Annotation]] = []
    for annotation in own.annotations:
        if unfit := is_unfit(annotation):
            rows.append(_rejected(task, DERIVED, annotation, unfit, UNFIT[unfit]))
        else:
            payload.append((DERIVED, annotation))
    for row in task.handed_in:
        if row["outcome"] != REJECTED:
            annotation = Annotation(key=row["annotation_key"], value=row["value"], category=row["category"])
            payload.append((USER, annotation))
    not_carried = target.not_carried([annotation for _, annotation in payload])
    rows += [_rejected(task, who, one, *not_carried[one.key]) for who, one in payload if one.key in not_carried]
    payload = [(who, one) for who, one in payload if one.key not in not_carried]
    told = sorted((one for _, one in payload), key=lambda annotation: annotation.key)
    sha256 = payload_sha256(told)
    outcome = write_back.write(task.interaction_id, told, sha256) if told else Outcome("rejected")
    rows += [_row(task, who, one, sha256, outcome) for who, one in payload]
    rows.sort(key=lambda row: row["annotation_key"])
    return _Result(rows, outcome.name, own.measured, own.reused)


def _row(task: _Task, origin: str, annotation: Annotation, sha256: str | None, outcome: Outcome) -> Row:
    return {
        "interaction_id": task.interaction_id,
        "annotation_key": annotation.key,
        "value": annotation.value,
        "category": annotation.category,
        "origin": origin,
        "payload_sha256": sha256,
        "outcome": outcome.name,
        "reason": outcome.reason,
        "detail": outcome.detail,
    }


def _rejected(task: _Task, origin: str, annotation: Annotation, reason: str, detail: str) -> Row:
    return _row(task, origin, annotation, None, Outcome("rejected", reason, detail)) | {"value": None}


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
