"""A hundred films, good and hostile: no crash, no hang, bounded memory, and the next film is made all the same."""

import io
import multiprocessing
import os
import random
import resource
import subprocess
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from media_pipeline.assets.thumbnails import SETTLED_REASONS
from media_pipeline.interactions import thumbnail
from media_pipeline.interactions.frame_child import letterboxed
from media_pipeline.interactions.thumbnail import LIMITS, Limits, NoThumbnail, Thumbnail, thumbnail_of
from media_pipeline.sandbox import video

FILMS = 100
EXPECTED = {
    "ordinary": "made",
    "portrait": "made",
    "all_black": "all_blank",
    "audio_only": "no_video",
    "corrupt": "corrupt",
    "truncated": "corrupt",
    "zero_length": "empty",
}
CHILD_MB = 400
"""A small film's child takes 50; even one that lies about its size must stay far below the limit of 1 GiB."""


def outcome(path: Path, limits: Limits = LIMITS) -> str:
    try:
        made = thumbnail_of(path, limits)
    except NoThumbnail as none:
        return none.reason
    assert isinstance(made, Thumbnail)
    assert made.jpeg[:2] == b"\xff\xd8"
    return "made"


def fuzzed(number: int, container: video.Container) -> bytes:
    """A whole film with some bytes changed anywhere."""
    chance = random.Random(number)
    data = bytearray(video.screen(container, number % video.LOOKS))
    for _ in range(chance.choice((1, 10, 100))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def outcomes(files):
    """What becomes of each; how much this process grew, and how large a child became, in KB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(outcome, files))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return found, grown, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def test_a_hundred_films_each_have_their_outcome_in_bounded_memory(tmp_path):
    files, expected = [], []
    for number in range(FILMS):
        container = ("mp4", "webm")[number % 2]
        kind = number // 2 % (len(video.VARIANTS) + 3)  # three in ten are fuzzed
        known = kind < len(video.VARIANTS)
        data = (
            video.screen(container, number % video.LOOKS, video.VARIANTS[kind]) if known else fuzzed(number, container)
        )
        path = tmp_path / f"{number}"
        path.write_bytes(data)
        files.append(path)
        expected.append(EXPECTED[video.VARIANTS[kind]] if known else None)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:  # this one is large from other tests
        found, grown_kb, child_kb = apart.submit(outcomes, files).result()
    assert [f for f, e in zip(found, expected, strict=True) if e] == [e for e in expected if e]
    seen = Counter(f for f, e in zip(found, expected, strict=True) if e is None)
    assert set(seen) <= {"made", "corrupt", "too_large", "all_blank", "no_video", "timeout"}
    assert child_kb < CHILD_MB * 1024
    assert grown_kb < 50 * 1024
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_a_film_that_hangs_its_process_is_given_up_in_time(tmp_path, monkeypatch):
    child = tmp_path / "child.py"
    child.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(thumbnail, "CHILD", child)
    film = tmp_path / "film"
    film.write_bytes(video.screen("mp4", 1))
    started = time.monotonic()
    assert outcome(film, Limits(seconds=1)) == "timeout"
    assert time.monotonic() - started < 10


LIE = """
import sys
facts = '{"frame_ms": %s, "source_width": 1, "source_height": 1}'
sys.stdout.buffer.write(facts.encode() + bytes([10, 255, 216, 255, 217]))
"""


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.abort()",
        "raise SystemExit(3)",
        "print('{}')",
        "print('no json' * 10**6)",
        "print('[1]')",
        "print('[' * 100_000)",
        *(LIE % number for number in ("Infinity", "1" + "0" * 30, "-1", "true", '"1"')),
    ],
)
def test_a_film_that_ends_its_process_or_makes_it_lie_is_corrupt(tmp_path, monkeypatch, code):
    assert outcome_of_child(code, tmp_path, monkeypatch) == "corrupt"


def test_a_child_that_tells_the_truth_is_believed(tmp_path, monkeypatch):
    assert outcome_of_child(LIE % "40", tmp_path, monkeypatch) == "made"


def test_a_decoder_that_cannot_be_loaded_says_nothing_of_the_film(tmp_path, monkeypatch):
    (tmp_path / "av.py").write_text("raise ImportError('libavcodec.so.61: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    film = tmp_path / "film"
    film.write_bytes(video.screen("mp4", 1))
    assert outcome(film) == "no_decoder"
    assert "no_decoder" not in SETTLED_REASONS


def outcome_of_child(code: str, folder: Path, monkeypatch) -> str:
    child = folder / "child.py"
    child.write_text(code)
    monkeypatch.setattr(thumbnail, "CHILD", child)
    film = folder / "film"
    film.write_bytes(video.screen("mp4", 1))
    return outcome(film)


@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_a_film_that_wants_more_memory_or_pixels_than_it_may_is_too_large(tmp_path, container):
    film = tmp_path / "film"
    film.write_bytes(video.screen(container, 1))
    assert outcome(film, Limits(pixels=1_000)) == "too_large"
    assert outcome(film, Limits(film_bytes=100)) == "too_large"


def large_film(path: Path, side: int) -> Path:
    import av
    import numpy as np

    with av.open(str(path), "w", format="mp4") as file:
        stream = file.add_stream("libx264", rate=1, options={"preset": "ultrafast", "threads": "1"})
        stream.width = stream.height = side
        stream.pix_fmt = "yuv420p"
        greys = np.tile(np.arange(side, dtype=np.uint32) * 255 // side, (side * 3 // 2, 1)).astype(np.uint8)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(greys, format="yuv420p")))
        file.mux(stream.encode())
    return path


def test_the_process_gets_no_more_memory_than_it_may_have(tmp_path):
    film = large_film(tmp_path / "film", 4_096)
    assert outcome(film) == "made"
    assert outcome(film, Limits(address_bytes=220 << 20)) == "too_large"


def test_a_playlist_that_names_another_file_is_no_film(tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(video.screen("mp4", 1))
    for number, text in enumerate((f"#EXTM3U\n#EXTINF:1,\n{secret}\n", f"ffconcat version 1.0\nfile {secret}\n")):
        film = tmp_path / f"film{number}"
        film.write_text(text)
        assert outcome(film) == "corrupt"


def test_the_process_has_no_secret_in_its_environment(tmp_path, monkeypatch):
    for name in ("GENESYS_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "topsecret")
    started = []
    real = subprocess.Popen

    def watched(*arguments, **options):
        started.append(options["env"])
        return real(*arguments, **options)

    monkeypatch.setattr(thumbnail.subprocess, "Popen", watched)
    film = tmp_path / "film"
    film.write_bytes(video.screen("webm", 1))
    assert outcome(film) == "made"
    assert started
    assert "topsecret" not in str(started)
    assert set(started[0]) <= {"PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG"}
    assert os.environ["GENESYS_CLIENT_SECRET"] == "topsecret"


@pytest.mark.parametrize(
    ("turned", "aspect", "shown"), [(0, 1, (0, 30)), (90, 1, (93, 0)), (180, 1, (0, 30)), (0, 2, (0, 75))]
)
def test_a_picture_is_turned_and_as_wide_as_players_show_it(turned, aspect, shown):
    """320 x 180, its upper left quarter white: on 320 x 240 with bars of so many pixels left and above."""
    drawn = Image.new("RGB", (320, 180), (60, 60, 60))
    drawn.paste((255, 255, 255), (0, 0, 160, 90))
    jpeg = letterboxed(av.VideoFrame.from_image(drawn), turned, Fraction(aspect), 320, 240)
    grey = Image.open(io.BytesIO(jpeg)).convert("L")
    left, above = shown
    for bar in ((0, 0, left - 3, 240), (0, 0, 320, above - 3)):
        assert bar[2] <= 0 or bar[3] <= 0 or grey.crop(bar).getextrema()[1] < 30
    corners = {
        "upper left": (left + 8, above + 8),
        "upper right": (311 - left, above + 8),
        "lower left": (left + 8, 231 - above),
        "lower right": (311 - left, 231 - above),
    }
    white = [name for name, place in corners.items() if grey.getpixel(place) > 200]
    assert white == [{0: "upper left", 90: "lower left", 180: "lower right"}[turned]]
