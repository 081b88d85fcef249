"""recording_thumbnails over real HTTP: real films in, real JPEGs out, in both dialects; and each reason for none."""

import datetime as dt
from functools import partial
from pathlib import Path

import av
import pytest

from media_pipeline.interactions.thumbnail import decoder_missing
from media_pipeline.sandbox.video import BLANK_MS
from media_pipeline_tests.harness import DAY, Export

BEFORE = DAY - dt.timedelta(days=1)


@pytest.fixture
def thumbnails(tmp_path):
    """Export a day, then run interactions_daily for it; gives the latter."""
    run = partial(Export.run, folder=tmp_path, job="interactions_daily", step="recording_thumbnails")

    def both(org, config=None, **options):
        Export.run(org, tmp_path, **options)
        return run(org, config=config, **options)

    return both


def the_screen(org, day=DAY) -> str:
    (screen_id,) = [i for i, record in org.truth(day).items() if record["kind"] == "screen"]
    return screen_id


def row_of(done: Export, media_id: str) -> dict:
    (row,) = [row for row in done.rows("recording_thumbnails") if row["media_id"] == media_id]
    return row


def picture(jpeg: bytes):
    """The JPEG decoded as greys, shape (height, width)."""
    decoder = av.CodecContext.create("mjpeg", "r")
    frames = [*decoder.decode(av.Packet(jpeg)), *decoder.decode(None)]
    return frames[0].to_ndarray(format="gray")


@pytest.mark.parametrize("dialect", ["guide", "platform"])
@pytest.mark.parametrize("day", [DAY, BEFORE], ids=["one format", "the other"])
def test_a_screen_recording_gets_its_first_visible_frame(org, thumbnails, dialect, day):
    done = thumbnails(org, dialect=dialect, day=day)
    assert done.result.success
    screen_id = the_screen(org, day)
    row = row_of(done, screen_id)
    assert (row["status"], row["reason"]) == ("made", None)
    assert row["object_key"] == f"thumbnails/date={day}/{screen_id}.jpg"
    assert (row["width"], row["height"]) == (320, 240)
    assert (row["source_width"], row["source_height"]) == (480, 270)
    assert row["frame_ms"] == BLANK_MS
    grey = picture(done.bytes_of(row["object_key"]))
    assert grey.shape == (240, 320)
    assert grey[:28].max() < 30  # 480 x 270 on 320 x 240: bars of 30 above and below
    assert grey[-28:].max() < 30
    assert grey[40:200].std() > 20
    others = [each for each in done.rows("recording_thumbnails") if each["media_id"] != screen_id]
    assert {each["status"] for each in others} == {"not_needed"}
    media = done.rows("interaction_media")
    assert [(r["interaction_id"], r["media_id"]) for r in media] == [
        (r["interaction_id"], r["media_id"]) for r in done.rows("recording_thumbnails")
    ]
    assert list((Path(done.settings.spool) / "films").iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("corrupt", "corrupt"),
        ("truncated", "corrupt"),
        ("zero_length", "empty"),
        ("audio_only", "no_video"),
        ("all_black", "all_blank"),
    ],
)
def test_a_film_without_a_picture_has_a_reason(org, thumbnails, kind, reason):
    screen_id = the_screen(org)
    org.break_with({"fault": "screen_variant", "kind": kind, "ids": [screen_id]})
    done = thumbnails(org)
    assert done.result.success
    row = row_of(done, screen_id)
    assert (row["status"], row["reason"], row["object_key"]) == ("failed", reason, None)
    assert not done.tables.store.sizes(f"thumbnails/date={DAY}/")


def test_a_portrait_film_stands_between_bars(org, thumbnails):
    screen_id = the_screen(org)
    org.break_with({"fault": "screen_variant", "kind": "portrait", "ids": [screen_id]})
    row = row_of(done := thumbnails(org), screen_id)
    grey = picture(done.bytes_of(row["object_key"]))
    assert grey.shape == (240, 320)
    assert grey[:, :88].max() < 30
    assert grey[:, -88:].max() < 30
    assert grey[:, 100:220].std() > 20


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"fault": "not_found", "on": "media"}, "no_file"),
        ({"fault": "forbidden", "on": "media"}, "forbidden"),
        ({"fault": "wrong_md5"}, "md5_mismatch"),
        ({"fault": "html"}, "not_media"),
        ({"fault": "bad_url"}, "bad_url"),
        ({"fault": "short_body"}, "short_body"),
    ],
)
def test_a_film_that_cannot_be_had_is_asked_for_again_by_the_next_run(org, thumbnails, rule, reason):
    screen_id = the_screen(org)
    org.break_with(rule | {"ids": [screen_id]})
    assert row_of(thumbnails(org), screen_id)["reason"] == reason
    org.break_with()
    assert row_of(thumbnails(org), screen_id)["status"] == "made"


def test_a_broken_connection_is_continued(org, thumbnails):
    screen_id = the_screen(org)
    org.break_with({"fault": "reset", "ids": [screen_id], "after_bytes": 2_000, "times": 2})
    assert row_of(thumbnails(org), screen_id)["status"] == "made"


def test_a_second_run_fetches_no_film_again_unless_told(org, thumbnails):
    screen_id = the_screen(org)
    first = thumbnails(org)
    org.forget_stats()
    assert row_of(thumbnails(org), screen_id) == row_of(first, screen_id)
    assert "file" not in org.stats()["requests"]
    thumbnails(org, config={"again": True})
    assert org.stats()["recordings"][screen_id]["file"] == 1


def test_thumbnails_are_published_to_s3(org, thumbnails, s3_root):
    done = thumbnails(org, root=s3_root)
    assert picture(done.bytes_of(row_of(done, the_screen(org))["object_key"])).shape == (240, 320)


def test_no_name_of_the_film_and_no_link_is_written(org, thumbnails):
    text = thumbnails(org).all_text
    for secret in ("sandbox-secret", "X-Amz-", "Bearer "):
        assert secret not in text


def test_without_the_decoder_one_sentence_says_what_to_install(monkeypatch):
    assert decoder_missing() is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "install the extra interactions" in decoder_missing()
