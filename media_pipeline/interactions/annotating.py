"""One interaction's annotations: derived and handed in, those that cannot be told sorted out, the others written back.

Rows are those of the table metadata_annotations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from media_pipeline.genesys.source import Annotation, AnnotationTarget
from media_pipeline.interactions.annotations import is_unfit, payload_sha256
from media_pipeline.interactions.derived import Measure, Medium, annotations_of
from media_pipeline.interactions.inbox import REJECTED, USER, Row
from media_pipeline.interactions.write_back import Outcome, WriteBack

DERIVED = "derived"
NOTHING_TO_TELL = Outcome(REJECTED)
_UNFIT = {
    "too_long": "The source's name for it is longer than an annotation may be.",
    "pii": "Personal data was found in the value, which comes from the source; it is not told.",
    "secret": "A token, a signature or a password was found in the value, which comes from the source; it is not told.",
}


@dataclass(frozen=True, slots=True)
class Task:
    """An interaction with its media, the inbox's rows about it, and the values by key that an earlier run derived."""

    interaction_id: str
    media: list[Medium]
    handed_in: list[Row]
    earlier: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Result:
    """Rows sorted by key, and the payload that was made of `told` of them; objects measured now and before."""

    interaction_id: str
    rows: list[Row]
    told: int
    sha256: str
    outcome: Outcome
    measured: int
    reused: int


def annotated(target: AnnotationTarget, write_back: WriteBack, measure: Measure, task: Task) -> Result:
    """Annotate one interaction; raises permanent GenesysErrors that are not about it."""
    own = annotations_of(task.media, task.earlier, measure)
    rows = [row for row in task.handed_in if row["outcome"] == REJECTED]
    payload: list[tuple[str, Annotation]] = []
    for annotation in own.annotations:
        if unfit := is_unfit(annotation):
            rows.append(_rejected(task, DERIVED, annotation, unfit, _UNFIT[unfit]))
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
    outcome = write_back.write(task.interaction_id, told, sha256) if told else NOTHING_TO_TELL
    rows += [_row(task, who, one, sha256, outcome) for who, one in payload]
    rows.sort(key=lambda row: row["annotation_key"])
    return Result(task.interaction_id, rows, len(told), sha256, outcome, own.measured, own.reused)


def _row(task: Task, origin: str, annotation: Annotation, sha256: str | None, outcome: Outcome) -> Row:
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


def _rejected(task: Task, origin: str, annotation: Annotation, reason: str, detail: str) -> Row:
    return _row(task, origin, annotation, None, Outcome(REJECTED, reason, detail)) | {"value": None}
