"""interaction_media over real HTTP, in both dialects: whose media, the matrix, the verdict on formats, no secret."""

from collections import Counter
from functools import partial

import pytest

from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.harness import DAY, Export

CODECS = {"wav": "pcm", "upper_case": "pcm"}
EXPECTED = {"voice": "wav|mp3", "chat": "json", "email": "eml|html", "screen": "mp4|webm", "message": "any"}
CHECKED_AS = {
    "ordinary": ("matches", None),
    "upper_case": ("matches", None),
    "dotted": ("matches", None),
    "mp3": ("matches", None),
    "screen": ("matches", None),
    "chat": ("matches", None),
    "email": ("matches", None),
    "message": ("matches", None),
    "no_format": ("matches", None),
    "ogg": ("differs", "not_expected"),
    "mixed_case": ("differs", "not_expected"),
    "opus": ("differs", "not_expected"),
    "empty": ("unreadable", "empty"),
    "processing": ("not_checked", "not_ready"),
}
"""Verdict and reason by the sandbox's kind: the matrix wants wav or mp3 of a call, so Ogg is none of it."""


@pytest.fixture
def interactions(tmp_path):
    """Run interactions_daily for one day in the root that `export` writes."""
    return partial(Export.run, folder=tmp_path, job="interactions_daily", step="recording_thumbnails")


def rows_by_recording(done: Export) -> dict:
    return {(row["recording_id"], row["file_index"]): row for row in done.rows("interaction_media")}


@pytest.mark.parametrize("dialect", ["guide", "platform"])
def test_every_interaction_has_its_media_with_a_verdict_by_content(speaking_org, export, interactions, dialect):
    export(speaking_org, dialect=dialect)
    done = interactions(speaking_org, dialect=dialect)
    assert done.result.success
    inventory = {(r["recording_id"], r["file_index"]): r for r in done.rows("recording_inventory")}
    truth, rows = speaking_org.truth(), rows_by_recording(done)
    assert set(rows) == {key for key, listed in inventory.items() if listed["conversation_id"]}
    keys = [(row["interaction_id"], row["media_id"]) for row in done.rows("interaction_media")]
    assert keys == sorted(set(keys))
    for key, row in rows.items():
        record = truth.get(key[0])
        if record is None:  # of a conversation that began on this day and was recorded on the next
            continue
        assert row["interaction_id"] == inventory[key]["conversation_id"]
        assert row["media_type"] == {"call": "voice"}.get(record["media_type"], record["media_type"])
        assert row["expected_formats"] == EXPECTED[row["media_type"]]
        assert row["needs_transcription"] == (row["media_type"] in ("voice", "email"))
        assert row["needs_thumbnail"] == (row["media_type"] == "screen")
        gone = {"archived": "archived", "deleted": "deleted"}.get(inventory[key]["file_state"], "no_file")
        wanted = CHECKED_AS.get(record["kind"], ("not_checked", gone))
        assert (row["format_verdict"], row["reason"]) == wanted, record["kind"]
        assert (row["storage_host"] == "127.0.0.1") == (row["storage_key"] is not None) == record["has_file"]


def test_rows_without_a_conversation_are_counted_and_not_guessed(org, export, interactions):
    export(org)
    done = interactions(org)
    nameless = [record for record in org.truth().values() if record["conversation_id"] is None]
    metadata = done.result.asset_materializations_for_node("interaction_media")[0].metadata
    assert metadata["no_conversation_id"].value == len(nameless) > 0
    assert metadata["interactions"].value == len({r["interaction_id"] for r in done.rows("interaction_media")})
    assert metadata["interactions_unreadable"].value == 0
    verdicts = Counter(row["format_verdict"] for row in done.rows("interaction_media"))
    assert metadata["validation_checked"].value == verdicts.total() - verdicts["not_checked"]
    assert metadata["validation_matched"].value == verdicts["matches"]
    assert metadata["validation_accuracy"].value < 1.0


def test_what_is_stored_is_read_from_the_archive_and_the_rest_by_64_kb(speaking_org, export, interactions):
    export(speaking_org)
    speaking_org.forget_stats()
    done = interactions(speaking_org)
    stats = speaking_org.stats()
    stored = {i for i, row in done.audio.items() if row["status"] == "stored"}
    asked = {i for i, counts in stats["recordings"].items() if counts.get("file")}
    assert asked
    assert not asked & stored
    codecs = Counter(row["detected_codec"] for row in done.rows("interaction_media"))
    assert {"pcm", "mp3", "vorbis", "opus"} < set(codecs)
    assert codecs["avc1"] + codecs["v_vp8"] == 1


def test_a_second_run_looks_into_nothing_again_and_writes_the_same_bytes(org, export, interactions, tmp_path):
    export(org)
    interactions(org)
    files = [*tmp_path.glob("media/tables/interaction_media/*/*"), *tmp_path.glob("media/tables/recording_th*/*/*")]
    before = {path: path.read_bytes() for path in files}
    org.forget_stats()
    assert interactions(org).result.success
    assert "file" not in org.stats()["requests"]
    assert {path: path.read_bytes() for path in files} == before
    assert len(before) == 2


def test_no_link_and_no_secret_is_written(org, export, interactions):
    export(org)
    (victim,) = [r["conversation_id"] for r in org.truth().values() if r["kind"] == "chat"]
    org.break_with({"fault": "bad_location", "ids": [victim]})
    done = interactions(org)
    text = done.all_text
    for secret in ("sandbox-secret", "X-Amz-", "Bearer ", "topsecret", "?"):
        assert secret not in "".join(str(row) for row in done.rows("interaction_media"))
    for secret in ("sandbox-secret", "X-Amz-", "Bearer ", "topsecret"):
        assert secret not in text
    chats = [row for row in done.rows("interaction_media") if row["media_type"] == "chat"]
    (row,) = [row for row in chats if row["interaction_id"] == victim]
    assert (row["storage_host"], row["storage_key"]) == ("169.254.169.254", "latest")
    assert (row["format_verdict"], row["reason"]) == ("not_checked", "bad_url")


@pytest.mark.parametrize(
    ("fault", "problem"), [("forbidden", "forbidden"), ("server_error", "server_error"), ("not_found", "no_file")]
)
def test_an_interaction_that_cannot_be_seen_keeps_the_rows_of_its_recordings(org, export, interactions, fault, problem):
    export(org)
    victim = org.truth()[org.ordinary(1)[0]]
    org.break_with({"fault": fault, "on": "interaction_media", "ids": [victim["conversation_id"]]})
    done = interactions(org)
    assert done.result.success
    metadata = done.result.asset_materializations_for_node("interaction_media")[0].metadata
    assert metadata["interactions_unreadable"].value == 1
    assert problem in str(metadata["to_do"].value)
    row = rows_by_recording(done)[victim["id"], 0]
    assert row["format_verdict"] != "not_checked"
    assert row["storage_host"] is None


def test_a_day_without_an_inventory_says_what_to_materialize(org, interactions):
    assert "materialize recording_inventory for that day first" in interactions(org).failure


def test_the_tables_have_exactly_the_published_columns(org, export, interactions):
    export(org)
    done = interactions(org)
    for name in ("interaction_media", "recording_thumbnails"):
        assert done.tables.read(name, DAY).schema.equals(TABLES[name])


def test_the_schedule_of_interactions_is_off_and_at_a_quarter_past_three():
    import dagster as dg

    from media_pipeline.build import build_definitions
    from media_pipeline.settings import Settings

    schedule = build_definitions(Settings()).resolve_schedule_def("interactions_daily_schedule")
    assert schedule.cron_schedule == "15 3 * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
