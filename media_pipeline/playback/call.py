"""What the page of a call shows: facts, who speaks, the lines, and what is to be silent. From the tables only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from media_pipeline.playback.catalogue import Entry
from media_pipeline.playback.peaks import Waveform
from media_pipeline.playback.redacted import PLACEHOLDER, joined
from media_pipeline.playback.waveforms import kept
from media_pipeline.tables.partition import Row, Tables
from media_pipeline.tables.redaction import is_redacted, tells_of_one_file
from media_pipeline.transfer.outcome import STORED

MAX_LINES = 20_000
"""A day-long call; what is beyond is not shown, and said so."""
COLOURS = 6
_INVENTORY = ["started_at", "duration_seconds", "media_type", "format", "agent_ids", "queue_ids", "file_index"]
_SEGMENTS = ["start_ms", "end_ms", "speaker", "channel", "participant_purpose", "text", "confidence", "pii_redacted"]
_SIDES = {"external": "Customer", "internal": "Agent", "unknown": "Unknown"}
_OWN_COLOURS = {"Customer": 0, "Agent": 1, "Unknown": 2}
_PURPOSES = {"ivr": "IVR", "acd": "ACD", "api": "API"}


@dataclass(frozen=True, slots=True)
class Speaker:
    """Somebody of the call; `colour` from 0 on, `identity` what tells apart who has the same name."""

    name: str
    identity: str
    colour: int


@dataclass(frozen=True, slots=True)
class Line:
    """An utterance; pieces of text, those that stand for something redacted with its kind."""

    start_ms: int
    end_ms: int
    speaker: Speaker
    pieces: tuple[tuple[str, str | None], ...]
    is_redacted: bool
    confidence: float | None
    channel: int | None


@dataclass(frozen=True, slots=True)
class CallPage:
    """One file of a recording. `silent`: [start_ms, end_ms) that are not to be heard.

    `words`: what there is of them: `here`; `of_several_files`, whose times are nobody knows whose, so that nothing is
    known to be silent; `raw`, and so kept back from who may have redacted text only.
    """

    entry: Entry
    listed: Row
    seconds: float | None
    waveform: Waveform | None
    lines: tuple[Line, ...]
    speakers: tuple[Speaker, ...]
    silent: tuple[tuple[int, int], ...]
    lines_in_all: int
    words: str = "here"

    @property
    def length(self) -> float:
        """Seconds that its pictures span: as long as it is, or as far as words are known to go."""
        return self.seconds or max((line.end_ms / 1000 for line in self.lines), default=0.0)

    def speaker_of(self, channel: int) -> Speaker | None:
        """Who speaks most on a channel."""
        found = Counter(line.speaker for line in self.lines if self._channel_of(line) == channel)
        return found.most_common(1)[0][0] if found else None

    def _channel_of(self, line: Line) -> int | None:
        """What the source says, else where it is loudest while they speak."""
        if line.channel is not None or self.waveform is None or not self.seconds:
            return line.channel
        levels = self.waveform.channels
        stretches = len(levels[0]) / self.seconds / 1000
        place = slice(int(line.start_ms * stretches), int(line.end_ms * stretches) + 1)
        sums = [sum(each[place]) for each in levels]
        return sums.index(max(sums)) if max(sums) > 2 * min(sums) else None


def call_page(tables: Tables, entry: Entry, *, redacted_only: bool = False) -> CallPage:
    """All of it, some row groups of three tables and an object; raises StorageError.

    With `redacted_only`, words that did not go through the redactor's present version are kept back.
    """
    about = (entry.day, entry.recording_id)
    listed = [
        row
        for row in tables.rows_about("recording_inventory", *about, _INVENTORY)
        if row["file_index"] == entry.file_index
    ]
    rows = tables.rows_about("diarized_transcripts", *about, _SEGMENTS)
    words = "here"
    if rows and redacted_only and not is_redacted(tables, entry.day):
        rows, words = [], "raw"
    elif rows and not tells_of_one_file(tables, *about):
        words = "of_several_files"
    silent = joined((row["start_ms"], row["end_ms"]) for row in rows if row["pii_redacted"])
    waveform = None
    if entry.status == STORED:
        known = {"recording_id": entry.recording_id, "file_index": entry.file_index, "sha256": entry.sha256}
        waveform = kept(tables.store, entry.day, known)
    lines = tuple(_lines(rows[:MAX_LINES]))
    facts = listed[0] if listed else {}
    seconds = waveform.seconds if waveform is not None else None
    if seconds is None:
        seconds = facts.get("duration_seconds")
    return CallPage(
        entry=entry,
        listed=facts,
        seconds=seconds,
        waveform=waveform if waveform is not None and waveform.channels else None,
        lines=lines,
        speakers=tuple(dict.fromkeys(line.speaker for line in lines)),
        silent=tuple(silent) if words == "here" else (),
        lines_in_all=len(rows),
        words=words,
    )


def _lines(rows: Sequence[Row]) -> Iterator[Line]:
    speakers = _speakers(rows)
    for row in rows:
        yield Line(
            start_ms=row["start_ms"],
            end_ms=row["end_ms"],
            speaker=speakers[_who(row)],
            pieces=tuple(_pieces(row["text"])),
            is_redacted=row["pii_redacted"] > 0,
            confidence=row["confidence"],
            channel=row["channel"],
        )


def _who(row: Row) -> tuple[str, str | None]:
    return row["speaker"], row["participant_purpose"]


def _speakers(rows: Sequence[Row]) -> dict[tuple[str, str | None], Speaker]:
    """Named by what they are for, numbered where several are for the same; customer, agent and unknown have colours of
    their own."""
    people = list(dict.fromkeys(map(_who, rows)))
    names = {who: _name(*who) for who in people}
    several = {name for name, count in Counter(names.values()).items() if count > 1}
    numbers, found = Counter[str](), {}
    others = 0
    for who in people:
        name = names[who]
        numbers[name] += 1
        colour = _OWN_COLOURS.get(name) if numbers[name] == 1 else None
        if colour is None:
            colour, others = len(_OWN_COLOURS) + others % (COLOURS - len(_OWN_COLOURS)), others + 1
        shown = f"{name} {numbers[name]}" if name in several else name
        found[who] = Speaker(shown, "" if who[0].lower() in (name.lower(), *_SIDES) else who[0], colour)
    return found


def _name(speaker: str, purpose: str | None) -> str:
    word = (purpose or speaker).strip() or "unknown"
    return _SIDES.get(word.lower()) or _PURPOSES.get(word.lower(), word[:1].upper() + word[1:])


def _pieces(text: str) -> Iterator[tuple[str, str | None]]:
    at = 0
    for found in PLACEHOLDER.finditer(text):
        if found.start() > at:
            yield text[at : found.start()], None
        yield found[1].replace("_", " ").lower(), found[1]
        at = found.end()
    if at < len(text):
        yield text[at:], None
