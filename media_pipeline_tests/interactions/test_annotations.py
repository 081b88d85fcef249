"""What an annotation may be: keys, lengths, personal data, and what can never be taken for it."""

import hashlib
import json
import random
import uuid

import pytest

from media_pipeline.genesys.source import Annotation
from media_pipeline.interactions.annotations import (
    format_problem,
    is_unfit,
    payload_sha256,
    personal_in,
)
from media_pipeline.interactions.derived import Medium, annotations_of
from media_pipeline.interactions.levels import Figures
from media_pipeline.interactions.sound import Unmeasured
from media_pipeline.privacy import detect
from media_pipeline.tables.interactions import covered_ms

FIGURES = Figures(12.5, (-20.04, float("-inf")), (0.25, 1.0), 0.25, 0.0001)


def medium(number: int = 0, **facts) -> Medium:
    known = {
        "media_id": f"rec-{number}",
        "media_type": "voice",
        "format": "wav",
        "duration_seconds": None,
        "object_key": f"audio/date=2026-11-20/rec-{number}.wav.gz",
        "sha256": hashlib.sha256(str(number).encode()).hexdigest(),
        "covered_ms": None,
    }
    return Medium(**known | facts)


def values(media: list[Medium], earlier=None, measure=lambda key: FIGURES) -> dict[str, str]:
    return {one.key: one.value for one in annotations_of(media, earlier or {}, measure).annotations}


def test_hashes_keys_and_figures_are_no_personal_data():
    chance = random.Random(5)
    for number in range(2_000):
        recording_id = uuid.UUID(int=chance.getrandbits(128))
        for value in (
            hashlib.sha256(str(number).encode()).hexdigest(),
            f"audio/date=2026-11-20/{recording_id}.wav.gz",
            f"{chance.uniform(0, 40_000):.3f}",
            f"-{chance.uniform(0, 90):.1f}",
        ):
            assert detect(value) == []
            assert personal_in("crm.value", value, "system") == []
    for value in ("4155550132.250", "4" * 64, "audio/date=2026-11-20/4155550132.wav.gz", "-inf"):
        annotation = Annotation(key="archive.x", value=value, category="technical")
        assert is_unfit(annotation) is None  # made by us, whatever its digits


def test_what_the_source_calls_things_may_be_personal_or_secret_and_is_looked_at():
    for value, why in (("ann.lee@example.com", "pii"), ("Bearer abcdefghijk", "secret"), ("wav", None)):
        assert is_unfit(Annotation(key="archive.format", value=value, category="technical")) == why


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("callback_phone", "4155550132"),
        ("customer.ssn", "536228145"),
        ("note", "call me at four one five, five five five, oh one three two"),
        ("customerPhone", "4155550132"),
        ("phone.415-555-0132", "x"),
    ],
)
def test_a_key_is_read_as_the_words_before_its_value(key, value):
    assert personal_in(key, value, "system")


def test_formats_are_checked_as_people_write_them():
    for written in ("wav", ".WAV", "audio/wav", "audio/x-wav; codecs=1", "wave", "mp3"):
        assert format_problem("call", written) is None, written
    for written in ("ogg", "", None, "mp4"):
        assert format_problem("voice", written), written
    assert format_problem("fax", "tiff") is None
    assert format_problem(None, "anything") is None


def test_what_the_source_calls_things_may_be_too_long_and_is_not_cut():
    long = annotations_of([medium(media_type="x" * 2_001)], {}, lambda key: FIGURES).annotations
    assert [(one.key, is_unfit(one)) for one in long if is_unfit(one)] == [("archive.media_type", "too_long")]
    assert all(is_unfit(one) is None for one in annotations_of([medium()], {}, lambda key: FIGURES).annotations)


def test_the_hash_is_that_of_the_canonical_payload_whatever_the_order():
    ann, ben = (Annotation(key=key, value="ü", category="system") for key in ("a", "b"))
    assert payload_sha256([ann, ben]) == payload_sha256([ben, ann]) != payload_sha256([ann])
    text = (
        '{"annotations":[{"category":"system","key":"a","value":"ü"},{"category":"system","key":"b","value":"ü"}],'
        '"source":"automated_parser"}'
    )
    assert payload_sha256([ann, ben]) == hashlib.sha256(text.encode()).hexdigest()
    assert json.loads(text)["source"] == "automated_parser"


def test_one_media_object_has_plain_keys_and_several_have_numbers():
    assert values([medium()]) == {
        "archive.media_type": "voice",
        "archive.format": "wav",
        "archive.duration_seconds": "12.500",
        "archive.object_key": "audio/date=2026-11-20/rec-0.wav.gz",
        "archive.sha256": medium().sha256,
        "archive.silence_ratio": "0.2500",
        "archive.clipping_ratio": "0.000100",
        "archive.level_dbfs.0": "-20.0",
        "archive.level_dbfs.1": "-inf",
        "archive.silence_ratio.0": "0.2500",
        "archive.silence_ratio.1": "1.0000",
    }
    several = values([medium(2), medium(1, object_key=None, sha256=None, duration_seconds=3.0)])
    assert (several["archive.1.recording"], several["archive.2.recording"]) == ("rec-1", "rec-2")
    assert several["archive.1.duration_seconds"] == "3.000"
    assert "archive.1.sha256" not in several
    assert "archive.2.level_dbfs.0" in several


def test_what_cannot_be_measured_says_why_and_is_tried_again():
    def fails(key: str) -> Figures:
        raise Unmeasured("no_decoder")

    first = values([medium(duration_seconds=4.0)], measure=fails)
    assert first["archive.quality_unmeasured"] == "no_decoder"
    assert first["archive.duration_seconds"] == "4.000"
    assert "archive.level_dbfs.0" not in first
    assert "archive.level_dbfs.0" in values([medium()], earlier=first)


def test_figures_hold_while_the_bytes_do():
    first = values([medium()])

    def fails(key: str) -> Figures:
        raise AssertionError(key)

    again = annotations_of([medium()], first, fails)
    assert {one.key: one.value for one in again.annotations} == first
    assert (again.measured, again.reused) == (0, 1)
    changed = annotations_of([medium(sha256="0" * 64)], first, lambda key: FIGURES)
    assert (changed.measured, changed.reused) == (1, 0)


def test_coverage_is_the_share_of_the_length_that_segments_cover_once():
    assert covered_ms([(0, 1_000), (500, 2_000), (5_000, 6_000), (-400, 100), (700, 600)]) == 3_000
    assert values([medium(covered_ms=5_000)])["archive.transcript_coverage"] == "0.4000"
    assert values([medium(covered_ms=99_000)])["archive.transcript_coverage"] == "1.0000"
    unknown = values([medium(covered_ms=5_000, object_key=None, sha256=None)])
    assert "archive.transcript_coverage" not in unknown
