"""The guides' dialect and the published one tell the same story of the same org, but for one list of differences."""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.running import running
from media_pipeline_tests.harness import DAY, Export, Org

MIDDLE = DAY - dt.timedelta(days=1)
DAYS = (MIDDLE - dt.timedelta(days=1), MIDDLE, DAY)

Row = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Difference:
    """Where the two may differ, and what then holds of the guide's and the platform's row."""

    table: str
    columns: tuple[str, ...]
    holds: Callable[[Row, Row], bool]
    why: str


def _gone(guide: Row, platform: Row) -> bool:
    """The published API says why there is no file; the guides answer 404 or a null link."""
    return (guide["reason"], platform["reason"]) in {("no_file", "archived"), ("no_file", "deleted")}


def _speaker(guide: Row, platform: Row) -> bool:
    purpose = platform["participant_purpose"]
    if guide["speaker"] == "agent":
        return platform["channel"] == 1 and (platform["speaker"] == "internal" or purpose == "agent")
    side = {"customer": (0, "customer"), "unknown": (None, None)}[guide["speaker"]]
    return platform["speaker"] == guide["speaker"] and (platform["channel"], purpose) == side


NO_PUBLISHED = "the published API names neither file, size, checksum nor length before the download"
DIFFERENCES = [
    Difference(
        "*",
        ("conversation_id",),
        lambda g, p: g["conversation_id"] is None and p["conversation_id"] is not None,
        "the guides leave some recordings without a conversation; the published API keys every one by it",
    ),
    Difference(
        "recording_inventory",
        ("started_at",),
        lambda g, p: p["started_at"] < g["started_at"],
        "the platform's clock is the conversation's start, the guides' the recording's creation",
    ),
    Difference("recording_inventory", ("duration_seconds",), lambda g, p: p["duration_seconds"] is None, NO_PUBLISHED),
    Difference(
        "recording_inventory",
        ("communication_ids", "agent_ids", "queue_ids"),
        lambda g, p: g["agent_ids"] is None and len(p["agent_ids"]) >= 1,
        "the guides do not say who took part",
    ),
    Difference(
        "recording_inventory",
        ("source_file", "source_files"),
        lambda g, p: g["source_file"] is None and (p["source_file"] is None) == (p["source_files"] is None),
        "the guides have one file a recording; the published API tells several apart by their links",
    ),
    Difference(
        "recording_inventory",
        ("format", "codec_supported"),
        lambda g, p: p["format"] is None and not p["codec_supported"] and p["file_state"] != "available",
        "the published API gives a format with the link only",
    ),
    Difference(
        "recording_inventory",
        ("file_state",),
        lambda g, p: g["file_state"] == "available" and p["file_state"] in ("archived", "deleted"),
        "the guides' listing does not know that a file is gone",
    ),
    Difference("recording_audio", ("file_name",), lambda g, p: p["file_name"] is None, NO_PUBLISHED),
    Difference(
        "recording_audio",
        ("content_type",),
        lambda g, p: (p["content_type"] is None and _gone(g, p)) or "codecs=opus" in p["content_type"],
        "nothing is said of a file that is gone, and more of an Ogg that is opus",
    ),
    Difference("recording_audio", ("source_md5",), lambda g, p: p["source_md5"] is None, NO_PUBLISHED),
    Difference(
        "recording_audio",
        ("source_size_bytes",),
        lambda g, p: p["source_size_bytes"] is None and p["status"] != "stored",
        NO_PUBLISHED,
    ),
    Difference(
        "recording_audio",
        ("integrity_basis",),
        lambda g, p: (g["integrity_basis"], p["integrity_basis"]) == ("source_md5", "length_and_range"),
        NO_PUBLISHED,
    ),
    Difference(
        "recording_audio",
        ("object_key",),
        lambda g, p: g["object_key"].split("/")[2] in (p["object_key"].split("/")[2].replace(".0.", "."),),
        "another partition at midnight; `.0` where the published API knows two files",
    ),
    Difference("recording_audio", ("reason", "detail", "listed_state"), _gone, "it says why a file is gone"),
    Difference(
        "availability_report",
        ("file_name", "size_bytes"),
        lambda g, p: p["file_name"] is None and p["size_bytes"] in (None, g["size_bytes"]),
        NO_PUBLISHED,
    ),
    Difference("availability_report", ("reason",), _gone, "it says why a file is gone"),
    Difference(
        "availability_report",
        ("created_at",),
        lambda g, p: p["created_at"] < g["created_at"],
        "the platform's clock is the conversation's start",
    ),
    Difference(
        "diarized_transcripts",
        ("speaker", "channel", "participant_purpose"),
        _speaker,
        "the published document tells sides and participants apart; the guides name a speaker",
    ),
    Difference(
        "diarized_transcripts",
        ("confidence",),
        lambda g, p: abs(g["confidence"] - p["confidence"]) < 1e-9,
        "the mean of the words' confidence, in floating point",
    ),
]
"""All there are; README and docs repeat this list."""

KEYS = {
    "recording_inventory": ("recording_id", "file_index"),
    "recording_audio": ("recording_id", "file_index"),
    "availability_report": ("recording_id", "file_index"),
    "transcript_status": ("recording_id",),
    "diarized_transcripts": ("recording_id", "segment_index"),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Export]]]:
    """Three days of an org that has every kind of recording, exported through each dialect."""
    with running(SandboxOptions(port=0, bodies="tiny", per_day=180, days=5, end=DAY + dt.timedelta(days=1))) as sandbox:
        folders = {dialect: tmp_path_factory.mktemp(dialect) for dialect in ("guide", "platform")}
        yield {
            dialect: [Export.run(Org(sandbox), folder, day=day, dialect=dialect) for day in DAYS]
            for dialect, folder in folders.items()
        }


def rows_of(exports: list[Export], table: str) -> dict[Key, Row]:
    rows = [row for export in exports for row in export.rows(table)]
    keyed = {tuple(row[name] for name in KEYS[table]): row for row in rows}
    assert len(keyed) == len(rows)
    return keyed


def recordings_of_the_middle(both: dict[str, list[Export]]) -> set[str]:
    return {row["recording_id"] for row in both["guide"][1].rows("recording_inventory")}


@pytest.mark.parametrize("table", KEYS)
def test_the_day_is_the_same_in_both_but_for_the_list(both, table):
    ids = recordings_of_the_middle(both)
    guide, platform = (rows_of(both[dialect], table) for dialect in ("guide", "platform"))
    guide = {key: row for key, row in guide.items() if key[0] in ids}
    second_files = {key for key in platform if table not in ("transcript_status", "diarized_transcripts") and key[1]}
    assert guide.keys() == {key for key in platform if key[0] in ids} - second_files
    seen = set()
    allowed = {name: d for d in DIFFERENCES if d.table in (table, "*") for name in d.columns}
    for key, ours in guide.items():
        theirs = platform[key]
        for name in ours:
            if ours[name] != theirs[name]:
                assert name in allowed, (name, ours[name], theirs[name], key)
                assert allowed[name].holds(ours, theirs), (name, ours, theirs)
                seen.add(name)
    unseen = {n for n, d in allowed.items() if d.table == table} - seen - {"detail", "confidence"}
    assert not unseen, f"no longer a difference: {unseen}"


def test_every_byte_is_the_same_and_a_second_file_is_the_only_one_more(both):
    ids = recordings_of_the_middle(both)
    guide, platform = (rows_of(both[dialect], "recording_audio") for dialect in ("guide", "platform"))
    stored = {key: row for key, row in guide.items() if key[0] in ids and row["status"] == "stored"}
    assert len(stored) > 160
    for key, row in stored.items():
        assert platform[key]["sha256"] == row["sha256"]
    more = [row for key, row in platform.items() if key[1] and key[0] in ids]
    assert [(row["file_index"], row["status"]) for row in more] == [(1, "stored")]


def test_the_two_clocks_differ_around_midnight_only(both):
    """A day's first conversation began before midnight: another partition, no recording lost."""
    guide, platform = ([{r["recording_id"] for r in e.rows("recording_audio")} for e in both[d]] for d in both)
    (moved,) = guide[1] - platform[1]
    assert moved in platform[0]
    (came,) = platform[1] - guide[1]
    assert came in guide[2]


def test_utilization_is_computed_alike(both):
    for day in range(3):
        audio = both["platform"][day].rows("recording_audio")
        used = both["platform"][day].rows("storage_utilization")
        assert sum(row["recordings"] for row in used) == len(audio)
        stored = [row for row in audio if row["status"] == "stored"]
        assert sum(row["source_bytes"] for row in used) == sum(row["source_size_bytes"] for row in stored)
    (quota,) = both["platform"][2].rows("storage_quota")
    assert (quota["limit_mb"], quota["available_mb"]) == (None, None)
    assert quota["basis"] == "contentmanagement_usage"
    assert quota["used_mb"] > 0
