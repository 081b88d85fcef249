"""Calls are found by what was said, whatever is typed; an index is whole, current or said to be old."""

from __future__ import annotations

import datetime as dt
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_pipeline.playback.day_index import build_index
from media_pipeline.playback.days import Days
from media_pipeline.playback.redacted import PLACEHOLDER
from media_pipeline.playback.searching import MAX_TERMS, PAGE_CALLS, Found, Wanted, find, has_too_many, opened, terms_of
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import search_key
from media_pipeline.tables.redaction import NOTE
from media_pipeline_tests.harness import DAY

START = dt.datetime.combine(DAY, dt.time(9), dt.UTC)
SAID = {
    "r-0": ["Hello, I want a refund.", "The invoice from Zürich is wrong."],
    "r-1": ["A refund is on its way", 'She said "never mind" AND left; NOT me'],
    "r-2": ["my number is [PHONE_NUMBER]", "refunded already"],
}


def listed(recording_id: str, number: int) -> dict[str, object]:
    return {
        "recording_id": recording_id,
        "conversation_id": f"c-{recording_id}",
        "file_index": 0,
        "media_type": "call",
        "format": "wav",
        "codec_supported": True,
        "started_at": START + dt.timedelta(minutes=number),
        "duration_seconds": 60.0 * (number + 1),
        "file_state": "available",
        "agent_ids": ["Agent-7", f"agent-{recording_id}"],
        "queue_ids": [] if number else ["billing_%"],
    }


def outcome(recording_id: str, status: str) -> dict[str, object]:
    return {"recording_id": recording_id, "file_index": 0, "status": status, "listed_state": "available"}


def segment(recording_id: str, index: int, text: str) -> dict[str, object]:
    pii = {f"pii_{each}": 0 for each in ("redacted", "credit_card", "email_address", "phone_number", "us_ssn")}
    place = {"segment_index": index, "start_ms": 1000 * index, "end_ms": 1000 * index + 900}
    return {"recording_id": recording_id, **place, "speaker": "customer", "text": text} | pii


def write(
    tables: Tables, said: dict[str, list[str]] = SAID, day: dt.date = DAY, note: dict[str, str] | None = NOTE
) -> None:
    tables.write("recording_inventory", day, [listed(each, number) for number, each in enumerate(said)])
    statuses = ["stored", "failed", "stored"]
    tables.write("recording_audio", day, [outcome(each, statuses[n % 3]) for n, each in enumerate(said)])
    rows = [segment(each, index, text) for each, texts in said.items() for index, text in enumerate(texts)]
    with tables.writer("diarized_transcripts", day, note=note) as writer:
        for row in rows:
            writer.add(row)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    tables = Tables(LocalStore(folder / "root"))
    write(tables)
    build_index(tables, DAY, folder / "index")
    return folder / "index"


def search(index: Path, **wanted: object) -> Found:
    with opened(index) as connection:
        return find(connection, Wanted(**wanted))  # type: ignore[arg-type]


def ids(found: Found) -> list[str]:
    return [call.recording_id for call in found.calls]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("refund", ["r-0", "r-1", "r-2"]),
        ('"refund"', ["r-0", "r-1"]),
        ("REFUND invoice", ["r-0"]),
        ("zurich", ["r-0"]),
        ('"never mind"', ["r-1"]),
        ('"mind never"', []),
        ("refund NOT way", ["r-1"]),
        ("refund OR invoice", []),
        ("left me", ["r-1"]),
        ("NEAR(refund way)", []),
        ("text:refund", []),
        ("phone_number", []),
        ("redacted", ["r-2"]),
        ('"', []),
        ("***", []),
        ('refund "', ["r-0", "r-1", "r-2"]),
        ("re", ["r-0", "r-1", "r-2"]),
        ("“never mind”", ["r-1"]),
        ("„mind never“", []),
    ],
)
def test_words_are_found_and_no_word_is_an_operator(index: Path, words: str, expected: list[str]):
    assert ids(search(index, words=words)) == expected


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="\"*:(){}^-+ ANDORTE\x00\x02'", max_size=40))
def test_nothing_that_is_typed_is_an_error(index: Path, text: str):
    search(index, words=text.encode("utf-8", "replace").decode(), agent=text.encode("utf-8", "replace").decode())
    assert len(terms_of(text)) <= 10


def test_found_words_are_marked_where_they_were_said(index: Path):
    (call,) = search(index, words="refund invoice").calls
    assert [place.start_ms for place in call.places] == [0, 1000]
    assert [text for place in call.places for text, hit in place.pieces if hit] == ["refund", "invoice"]
    assert "".join(text for text, _ in call.places[0].pieces) == SAID["r-0"][0]


def test_calls_are_found_by_agent_queue_outcome_and_length(index: Path):
    assert ids(search(index, agent="AGENT-R-1")) == ["r-1"]
    assert ids(search(index, agent="agent-7", outcome="stored")) == ["r-0", "r-2"]
    assert ids(search(index, queue="_%")) == ["r-0"]
    assert ids(search(index, queue="b%g")) == []
    assert ids(search(index, shortest=61, longest=120)) == ["r-1"]
    assert search(index, words="zurich").outcomes == {"stored": 2, "failed": 1}


def test_a_page_that_is_not_there_is_the_last_one(tmp_path: Path):
    tables = Tables(LocalStore(tmp_path / "root"))
    write(tables, {f"r-{n:04}": [] for n in range(PAGE_CALLS + 3)})
    build_index(tables, DAY, tmp_path / "index")
    first, last = search(tmp_path / "index"), search(tmp_path / "index", page=99)
    assert (first.total, first.pages, len(first.calls)) == (PAGE_CALLS + 3, 2, PAGE_CALLS)
    assert (last.page, ids(last)) == (2, [f"r-{n:04}" for n in range(PAGE_CALLS, PAGE_CALLS + 3)])


def test_nobody_writes_into_an_index_that_is_searched(index: Path):
    with opened(index) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM calls")


def _published(tables: Tables, folder: Path) -> None:
    build_index(tables, DAY, folder / "own")
    tables.store.publish(folder / "own", search_key(DAY))


def _indexes(tables: Tables, folder: Path) -> Days:
    return Days(tables, folder / "days")


@pytest.mark.parametrize("place", ["local", "s3"])
def test_an_index_is_fetched_listed_without_words_until_then_and_old_when_the_tables_changed(
    tmp_path: Path, place: str, request: pytest.FixtureRequest
):
    root = str(tmp_path / "root") if place == "local" else request.getfixturevalue("s3_root")
    tables = Tables(open_store(root, tmp_path / "spool", 2))
    assert _indexes(tables, tmp_path).get(DAY) is None
    write(tables)
    file = _indexes(tables, tmp_path).get(DAY)
    assert file is not None
    assert (file.with_text, file.is_old) == (False, False)
    assert ids(search(file.path)) == list(SAID)
    _published(tables, tmp_path)
    file = _indexes(tables, tmp_path).get(DAY)
    assert file is not None
    assert (file.with_text, file.is_old) == (True, False)
    assert ids(search(file.path, words="zurich")) == ["r-0"]
    write(tables, SAID | {"r-3": ["more"]})
    file = _indexes(tables, tmp_path).get(DAY)
    assert file is not None
    assert (file.with_text, file.is_old) == (True, True)
    assert len(list((tmp_path / "days").glob("*.sqlite"))) == 1


def test_a_damaged_index_is_as_good_as_none(tmp_path: Path):
    tables = Tables(LocalStore(tmp_path / "root"))
    write(tables)
    tables.store.put(search_key(DAY), b"SQLite format 3\0" + bytes(5000))
    file = _indexes(tables, tmp_path).get(DAY)
    assert file is not None
    assert not file.with_text
    assert ids(search(file.path)) == list(SAID)


def test_the_asset_indexes_what_the_org_said_and_redacted_text_only(drawn):
    file = drawn.tables.store.open(search_key(DAY))
    assert file is not None
    path = drawn.settings.spool / "copy.sqlite"
    with file:
        path.write_bytes(file.read())
    rows = drawn.rows("diarized_transcripts")
    with opened(path) as connection:
        texts = [text for (text,) in connection.execute("SELECT text FROM said ORDER BY rowid")]
    assert texts == [PLACEHOLDER.sub("[redacted]", row["text"]) for row in rows]
    assert any("_NUMBER]" in row["text"] for row in rows)
    assert not any("_NUMBER]" in text for text in texts)
    said = next(row for row in rows if "[" not in row["text"] and len(row["text"].split()) > 3)
    found = search(path, words=f'"{said["text"]}"'.replace("'", " "))
    assert said["recording_id"] in ids(found)


def test_what_was_redacted_is_not_found_by_its_kind(tmp_path):
    tables = Tables(LocalStore(tmp_path))
    write(tables, {"r-0": ["the card is [CREDIT_CARD] then", "[CREDIT_CARD]", "[SIC]"], "r-1": ["credit where due"]})
    file = tmp_path / "index.sqlite"
    build_index(tables, DAY, file)
    with opened(file) as connection:
        (call,) = find(connection, Wanted(words="card")).calls
        assert ["".join(text for text, _ in place.pieces) for place in call.places] == ["the card is [redacted] then"]
        assert [each.recording_id for each in find(connection, Wanted(words="credit")).calls] == ["r-1"]
        assert find(connection, Wanted(words="sic")).total == 1


def test_raw_transcripts_are_not_indexed_and_that_is_said(tmp_path: Path):
    tables = Tables(LocalStore(tmp_path / "root"))
    write(tables, note={"redactor_version": "an earlier one"})
    built = build_index(tables, DAY, tmp_path / "index")
    assert (built.calls, built.utterances, built.is_raw) == (3, 0, True)
    assert b"invoice" not in (tmp_path / "index").read_bytes()
    tables.store.publish(tmp_path / "index", search_key(DAY))
    file = Days(tables, tmp_path / "spool").get(DAY)
    assert file is not None
    assert (file.with_text, file.is_raw, file.is_old) == (False, True, False)


def test_words_beyond_the_most_are_said_not_to_be_looked_for():
    assert has_too_many(" ".join(f"w{n}" for n in range(MAX_TERMS + 1)))
    assert not has_too_many(" ".join(f"w{n}" for n in range(MAX_TERMS)))
