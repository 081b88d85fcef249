"""Held links and seen ids: exactly what was put in, in little memory."""

import secrets
import tracemalloc
import uuid

import pytest

from media_pipeline.genesys import platform_held
from media_pipeline.genesys.platform_batches import DeliveredFile
from media_pipeline.genesys.platform_held import LINK_BYTES, HeldLinks
from media_pipeline.genesys.seen import Seen

TOKEN = secrets.token_urlsafe(800)


def presigned():
    """A link as long as S3's with temporary credentials."""
    return (
        f"https://recordings.s3.eu-central-1.amazonaws.com/{uuid.uuid4()}/{uuid.uuid4()}.wav?X-Amz-Security-Token={TOKEN}"
        "&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261120T101010Z&X-Amz-SignedHeaders=host&X-Amz-Expires=3600"
        "&X-Amz-Credential=ASIAEXAMPLE%2F20261120%2Feu-central-1%2Fs3%2Faws4_request"
        f"&X-Amz-Signature={secrets.token_hex(32)}"
    )


def batch(size=100, files=1):
    keys = [(str(uuid.uuid4()), str(uuid.uuid4())) for _ in range(size)]
    return {key: [DeliveredFile(presigned(), "audio/wav") for _ in range(files)] for key in keys}


@pytest.mark.parametrize("content_type", ["audio/ogg; codecs=opus", "a b\nhttps://x", "", "ä", None])
@pytest.mark.parametrize("link", [presigned(), "https://host/ü?a=b c", "7 seven", "x" * 70_000])
def test_a_link_comes_back_as_it_went_in(link, content_type):
    held = HeldLinks()
    files = {("c", "first"): [DeliveredFile(presigned(), "audio/wav")], ("c", "r"): [DeliveredFile(link, content_type)]}
    held.add(files, 1.0, 2.0)
    assert held.life_of(("c", "r")) == (1.0, 2.0)
    assert held.take(("c", "r"), 0) == DeliveredFile(link, content_type or None)
    assert held.take(("c", "r"), 0) is None
    assert held.life_of(("c", "r")) is None


def test_files_of_a_recording_are_handed_out_one_by_one_and_nothing_is_left_behind():
    held = HeldLinks()
    files = batch(size=3, files=2)
    held.add(files, 0.0, 9.0)
    for key, (first, second) in files.items():
        assert held.take(key, 1) == second
        assert held.take(key, 1) is None
        assert held.take(key, 0) == first
    assert (held.size, held._links, held._batches) == (0, {}, {})


def test_a_newer_delivery_takes_the_place_of_an_older():
    held = HeldLinks()
    first, key = batch(size=2), ("c", "r")
    held.add(first | {key: [DeliveredFile("https://old/", None)]}, 1.0, 5.0)
    held.add({key: [DeliveredFile("https://new/", None)]}, 2.0, 6.0)
    assert held.life_of(key) == (2.0, 6.0)
    for old in first:
        held.drop(old)
    assert len(held._batches) == 1, "the older batch has no links left"
    assert held.take(key, 0) == DeliveredFile("https://new/", None)
    assert held.size == 0


def test_the_oldest_go_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(platform_held, "HELD_BYTES", 100_000)
    held, batches = HeldLinks(), [batch() for _ in range(8)]
    for number, files in enumerate(batches):
        held.add(files, float(number), 99.0)
        assert held.size <= 100_000
    gone = [all(held.life_of(key) is None for key in files) for files in batches]
    assert gone == sorted(gone, reverse=True)
    assert any(gone)
    assert held.take(next(iter(batches[-1])), 0) is not None
    for key in next(files for files, is_gone in zip(batches, gone, strict=True) if not is_gone):
        held.drop(key)
    held.add(batch(), 9.0, 99.0)


def test_links_take_little_memory_whatever_their_length():
    """1,500 characters each; 20,000 of them as strings are 31 MB."""
    held = HeldLinks()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            held.add(batch(), 0.0, 9.0)
        each = (tracemalloc.get_traced_memory()[0] - before) / 20_000
    finally:
        tracemalloc.stop()
    assert each < 350
    assert abs(held.size / 20_000 - each) < 0.2 * each, f"{LINK_BYTES} is what a link costs besides its text"


def test_ids_are_seen_once_they_were_added():
    seen, ids = Seen(), [str(uuid.uuid4()) for _ in range(5_000)]
    ids += ["00000000-0000-0000-0000-000000000000", "", "c1", ids[0].upper(), ids[1].replace("-", ""), ids[2] + "\n"]
    for number, identifier in enumerate(ids):
        assert identifier not in seen
        seen.add(identifier)
        seen.add(identifier)
        assert identifier in seen, number
    assert all(identifier in seen for identifier in ids)
    assert not any(str(uuid.uuid4()) in seen for _ in range(5_000))


def test_seen_ids_take_little_memory():
    ids = [str(uuid.uuid4()) for _ in range(50_000)]
    tracemalloc.start()
    try:
        seen = Seen()
        for identifier in ids:
            seen.add(identifier)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held / len(ids) < 60
    assert ids[0] in seen
