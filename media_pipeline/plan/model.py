"""The plan of a backfill as data: figures with their basis, one row a day, totals. Written to and read from JSON."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

VERSION = 1
BYTES_PER_GB = 1_000_000_000

DayState = Literal["complete", "partly", "to_export"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One addend of the formula for API calls: the operation costs `factor` calls per `unit`.

    Units: day, page (of the listing), batch (of 100 conversations), entry (a listed conversation or recording), file.
    """

    operation: str
    unit: str
    factor: float
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one entry of a listing comes to: measured over `files` files, `basis` says where."""

    files_per_entry: float
    bytes_per_file: float
    stored_share: float | None
    """Bytes of the gzip object per byte of the source; None where it was never measured."""
    largest_bytes: int
    seconds_per_file: float | None
    """Of a run's whole time; None where no run was measured."""
    files: int
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """One day of the range; a complete one is not counted, of one exported in part what is open."""

    day: dt.date
    state: DayState
    entries: int = 0
    recordings: float = 0.0
    source_bytes: float = 0.0
    calls: float = 0.0
    transcript_calls: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Space needed and free in bytes; None free: not limited."""

    variable: str
    where: str
    needed: float
    free: int | None
    reserved: int

    @property
    def suffices(self) -> bool:
        """Whether the space gate would still be open at the end."""
        return self.free is None or self.free - self.needed >= self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A backfill before it is begun."""

    made_at: dt.datetime
    first: dt.date
    last: dt.date
    dialect: str
    counted_by: str
    calls_per_minute: int
    rate_basis: str
    figures: Figures
    terms: tuple[Term, ...]
    days: tuple[DayPlan, ...]
    places: tuple[Place, ...]
    concurrency: int
    calls_spent: int
    """API calls that the plan itself took."""

    @property
    def open_days(self) -> list[DayPlan]:
        """The days that are not complete."""
        return [day for day in self.days if day.state != "complete"]

    @property
    def recordings(self) -> float:
        """Recordings to fetch."""
        return sum(day.recordings for day in self.days)

    @property
    def source_bytes(self) -> float:
        """Bytes to download."""
        return sum(day.source_bytes for day in self.days)

    @property
    def calls(self) -> float:
        """API calls without transcripts."""
        return sum(day.calls for day in self.days)

    @property
    def transcript_calls(self) -> float:
        """API calls for transcripts."""
        return sum(day.transcript_calls for day in self.days)

    @property
    def rate_minutes(self) -> float:
        """How long the calls take at the allowed rate."""
        return (self.calls + self.transcript_calls) / self.calls_per_minute

    @property
    def run_minutes(self) -> float | None:
        """How long runs take by what earlier ones took; None where none was measured."""
        seconds = self.figures.seconds_per_file
        return None if seconds is None else self.recordings * seconds / 60

    @property
    def minutes(self) -> float:
        """Whichever is longer."""
        return max(self.rate_minutes, self.run_minutes or 0.0)

    def totals(self) -> dict[str, float | None]:
        """The sums, for machines."""
        return {
            "days_to_export": len(self.open_days),
            "recordings": round(self.recordings),
            "source_bytes": round(self.source_bytes),
            "api_calls": round(self.calls),
            "transcript_api_calls": round(self.transcript_calls),
            "rate_minutes": round(self.rate_minutes, 2),
            "run_minutes": None if self.run_minutes is None else round(self.run_minutes, 2),
        }


def as_document(plan: Plan) -> dict[str, Any]:
    """The plan as it is written; totals are there for readers and not read back."""
    return {"version": VERSION, **asdict(plan), "totals": plan.totals()}


def to_json(plan: Plan) -> bytes:
    """The plan as one JSON document."""
    return json.dumps(as_document(plan), indent=1, default=str).encode()


def from_json(data: bytes) -> Plan | None:
    """A plan that was written; None for what is none, or of another version."""
    try:
        document = json.loads(data)
        if document.pop("version") != VERSION:
            return None
        document.pop("totals")
        changes = {
            "made_at": dt.datetime.fromisoformat(document["made_at"]),
            "first": dt.date.fromisoformat(document["first"]),
            "last": dt.date.fromisoformat(document["last"]),
            "figures": Figures(**document["figures"]),
            "terms": tuple(Term(**term) for term in document["terms"]),
            "days": tuple(_days(document["days"])),
            "places": tuple(Place(**place) for place in document["places"]),
        }
        return Plan(**document | changes)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _days(rows: Iterable[dict[str, Any]]) -> Iterable[DayPlan]:
    for row in rows:
        yield DayPlan(**row | {"day": dt.date.fromisoformat(row["day"])})
