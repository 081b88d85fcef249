"""What verify, explain and redact show: for a person in 80 columns, or as JSON. What came from outside is escaped."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from media_pipeline.audit.attempts import ONLY_COSTS, SETTLED, Attempt
from media_pipeline.audit.story import DayStory, FileStory, Story
from media_pipeline.escaping import printable
from media_pipeline.redaction import Outcome, Silenced
from media_pipeline.tables.partition import Row
from media_pipeline.tables.verification import Verification
from media_pipeline.transfer.outcome import STORED

SHOWN_FINDINGS = 20


def as_json(facts: dict[str, Any]) -> str:
    """One JSON document in ASCII."""
    return json.dumps(facts, indent=1, default=str)


def verification_facts(result: Verification) -> dict[str, Any]:
    """The result for machines."""
    findings = [asdict(finding) | {"loss": finding.is_loss} for finding in result.worst_first()]
    return {
        "ok": not result.losses,
        "days": result.days,
        "objects": result.objects,
        "bytes_read": result.bytes_read,
        "seconds": round(result.seconds, 3),
        "seed": result.seed,
        "counts": dict(sorted(result.counts.items())),
        "days_under_way": [str(day) for day in result.under_way],
        "findings": findings,
    }


def show_verification(out: Console, result: Verification) -> None:
    """At most 20 findings, how many more there are, and one closing sentence."""
    total = result.counts.total()
    if total:
        table = Table("kind", "what", box=None, padding=(0, 2, 0, 0))
        for finding in result.worst_first()[:SHOWN_FINDINGS]:
            about = Text(printable(finding.sentence))
            about.append("\n" + printable(finding.key), style="dim")
            if finding.recording_id is not None and finding.recording_id not in finding.key:
                about.append("\nrecording " + printable(finding.recording_id), style="dim")
            table.add_row(Text(finding.kind, style="red" if finding.is_loss else "yellow"), about)
        out.print(table)
    if total > SHOWN_FINDINGS:
        _line(out, f"... and {total - SHOWN_FINDINGS:,} more; --json lists up to 1,000.")
    for day in result.under_way:
        _line(out, f"A run works on {day}, or broke off: findings of that day may be of its making; run it, then look.")
    if result.seed is not None:
        _line(out, f"The sample's seed is {result.seed}: --seed {result.seed} draws the same again.")
    _line(out, result.sentence)


def show_redaction(out: Console, outcome: Outcome) -> None:
    """A line for each day that was redacted or left, and a closing sentence."""
    for done in outcome.redacted:
        _line(out, f"{done.day}: {done.touched:,} of {done.segments:,} segments redacted, {done.sidecars:,} sidecars.")
    for day in outcome.held:
        _line(out, f"{day}: a run works on it; it was left as it is.")
    sentence = f"{len(outcome.redacted)} day(s) redacted, {outcome.already} already were."
    if outcome.copies_removed:
        sentence += f" The unredacted copies of {outcome.copies_removed} day(s) were removed."
    _line(out, sentence)


def show_silenced(out: Console, silenced: Silenced) -> None:
    """Where the copies are, and how many stretches are silent."""
    if not silenced.copies:
        _line(out, "Nothing was redacted in its transcript, if it has one: there is nothing to silence, and no copy.")
    for copy in silenced.copies:
        _line(out, f"{copy.key}: {silenced.spans} stretch(es) silent, {copy.source_size_bytes:,} bytes, verified.")


def story_facts(story: Story) -> dict[str, Any]:
    """The story for machines."""
    return asdict(story) | {"searched": [str(day) for day in story.searched], "known": bool(story.days)}


def show_story(out: Console, story: Story) -> None:
    """The story as a timeline."""
    _line(out, f"Recording {printable(story.recording_id)}", style="bold")
    for day in story.days:
        _show_day(out, day)


def _show_day(out: Console, told: DayStory) -> None:
    grid = _grid()
    for file in told.files:
        _row(grid, f"day {told.day}", _prefix(file, told) + _listed(file))
    for attempt in told.attempts:
        _row(grid, _clock(attempt.timestamp), _attempted(attempt), attempt.detail)
    out.print(grid)
    _show_state(out, told)


def _show_state(out: Console, told: DayStory) -> None:
    grid = _grid()  # of its own: beside times there is no room for a SHA-256
    for file in told.files:
        _row(grid, "now", _prefix(file, told) + _now(file), (file.outcome or {}).get("detail"))
        for label, text in _facts(file):
            _row(grid, label, text)
    if told.transcript is not None:
        _row(grid, "transcript", _transcript(told.transcript["status"], told.transcript))
    if told.run_at_work:
        _row(grid, "under way", f"the run {told.run_at_work} holds this day")
    for file in told.files:
        _row(grid, "next", file.next_step)
    out.print(grid)


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _prefix(file: FileStory, told: DayStory) -> str:
    return f"file {file.file_index}: " if len(told.files) > 1 else ""


def _listed(file: FileStory) -> str:
    if file.listed is None:
        return f"not in the inventory; the newest listing says {file.listed_lately or 'nothing of it either'}"
    row = file.listed
    seconds = "unknown length" if row["duration_seconds"] is None else f"{row['duration_seconds']:,.1f} s"
    text = f"listed as {row['file_state']}: {row['media_type'] or 'no media type'}, {row['format'] or 'no format'}, "
    text += seconds
    if row["started_at"] is not None:
        text += f", started {row['started_at']:%Y-%m-%d %H:%M:%S} UTC"
    if file.listed_lately not in (None, row["file_state"]):
        text += f"; listed as {file.listed_lately} since"
    return text


def _clock(timestamp: str) -> str:
    """Day and time to the second: runs of later days touch a recording too."""
    return timestamp[:19].replace("T", " ")


def _attempted(attempt: Attempt) -> str:
    run = f"run {attempt.run_id[:8]}"
    if attempt.event == SETTLED:
        return f"{run}: {_outcome(attempt.status, attempt.reason)}; {_cost(attempt)}"
    if attempt.event == ONLY_COSTS:
        return f"{run}: {_cost(attempt)}; its audit log is not there (time: when its figures were written)"
    if attempt.event.startswith("object_"):
        return f"archive_drift: object {attempt.event.removeprefix('object_')} outside a run"
    return f"{run}: transcript {_transcript(attempt.status, asdict(attempt))}"


def _cost(attempt: Attempt) -> str:
    if attempt.adopted:
        return "found published by a killed run and proved, nothing fetched"
    text = f"{_number(attempt.attempts or 0, 'request')} for its bytes, {attempt.bytes_fetched or 0:,} B"
    if attempt.bytes_resumed:
        text += f", {attempt.bytes_resumed:,} B kept of an earlier run"
    return text + ("" if attempt.seconds is None else f", {attempt.seconds:.1f} s")


def _outcome(status: object, reason: object) -> str:
    return f"{status} ({reason})" if reason else f"{status}"


def _transcript(status: object, facts: Row) -> str:
    segments = f", {_number(facts['segments'], 'segment')}" if facts.get("segments") else ""
    return _outcome(status, facts.get("reason")) + segments


def _now(file: FileStory) -> str:
    if file.outcome is None:
        return "no outcome in a finished table"
    text = _outcome(file.outcome["status"], file.outcome["reason"])
    if file.outcome["status"] != STORED:
        return text
    if file.object_bytes is None:
        return text + ", and its object is NOT there"
    if file.object_bytes != file.outcome["stored_size_bytes"]:
        return text + f", and its object has OTHER {file.object_bytes:,} B"
    return text + f", and its object is there with {file.object_bytes:,} B"


def _facts(file: FileStory) -> list[tuple[str, str]]:
    facts, row = [], file.outcome
    if row is not None and row["status"] == STORED:
        sizes = f"{row['source_size_bytes']:,} B, as gzip {row['stored_size_bytes']:,} B"
        facts = [
            ("object", row["object_key"]),
            ("size", f"{sizes}; proved by {row['integrity_basis']}"),
            ("sha256", row["sha256"]),
            ("md5", row["md5"]),
        ]
    if file.settled_since is not None:
        since = _outcome(file.settled_since["status"], file.settled_since["reason"])
        facts.append(("under way", f"{since}, settled by a run that has not written its table yet"))
    if file.partial_bytes is not None:
        facts.append(("under way", f"a partial download in MEDIA_SPOOL: {file.partial_bytes:,} B, compressed"))
    return facts


def _row(grid: Table, label: str, text: str, detail: str | None = None) -> None:
    grid.add_row(Text(printable(label), style="bold"), Text(printable(text)))
    if detail:
        grid.add_row("", Text(printable(detail), style="dim"))


def _line(out: Console, text: str, style: str = "") -> None:
    out.print(Text(text, style=style))


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")
