"""Screen recordings: a desktop drawn frame by frame, as real mp4 (H.264) and webm (VP8), the same bytes every time.

Also what a recorder gets wrong: the variants of the fault `screen_variant`. Which recording is one belongs to `org`.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Picture = npt.NDArray[np.uint8]

Container = Literal["mp4", "webm"]
Variant = Literal["ordinary", "portrait", "all_black", "audio_only", "corrupt", "truncated", "zero_length"]
VARIANTS: tuple[Variant, ...] = (
    "ordinary",
    "portrait",
    "all_black",
    "audio_only",
    "corrupt",
    "truncated",
    "zero_length",
)

ORDINARY: Variant = "ordinary"

LOOKS = 8
"""So many different desktops; recordings share them, so that each is encoded once a process (20 to 60 ms)."""
FRAMES_PER_SECOND = 5
SECONDS = 3
BLANK_FRAMES = 5
"""A recorder starts before the screen is there: the first second is black."""
BLANK_MS = BLANK_FRAMES * 1_000 // FRAMES_PER_SECOND
SIZES = {"portrait": (270, 480)}
LANDSCAPE = (480, 270)
_ENCODERS = {"mp4": ("libx264", "aac"), "webm": ("libvpx", "libopus")}
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "threads": "1", "crf": "30"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "threads": "1", "crf": "30"},
}
_AUDIO_RATE_HZ = 48_000
_AUDIO_FRAMES = 50


@functools.cache
def screen(container: Container, look: int, variant: Variant = "ordinary") -> bytes:
    """A whole file: a black second and a desktop for two more, or the variant of it; `look` is 0 to LOOKS - 1."""
    if variant == "zero_length":
        return b""
    if variant == "audio_only":
        return _written(container, _add_silence)
    if variant == "corrupt":  # the container's head is whole, what follows is noise
        whole = screen(container, look)
        return whole[:64] + bytes((byte * 167 + place * 31) & 0xFF for place, byte in enumerate(whole[64:]))
    if variant == "truncated":
        whole = screen(container, look)
        return whole[: len(whole) // 8]
    return _written(container, lambda file, codecs: _add_pictures(file, codecs[0], look, variant))


def _written(container: Container, fill: Callable[[Any, tuple[str, str]], None]) -> bytes:
    import av

    buffer = io.BytesIO()
    # bitexact: without it the muxers write their version, and Matroska a random segment id
    options = {"fflags": "+bitexact"}
    with av.open(buffer, "w", format=container, container_options=options) as file:
        fill(file, _ENCODERS[container])
    return buffer.getvalue()


def _add_pictures(file: Any, codec: str, look: int, variant: Variant) -> None:
    import av
    import numpy as np

    width, height = SIZES.get(variant, LANDSCAPE)
    stream = file.add_stream(codec, rate=FRAMES_PER_SECOND, options=_OPTIONS[codec])
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    black = np.zeros((height, width, 3), np.uint8)
    desktop = _desktop(width, height, look)
    for number in range(FRAMES_PER_SECOND * SECONDS):
        picture = black if number < BLANK_FRAMES or variant == "all_black" else _pointed_at(desktop, number)
        file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
    file.mux(stream.encode())


def _add_silence(file: Any, codecs: tuple[str, str]) -> None:
    import av
    import numpy as np

    codec = codecs[1]
    stream = file.add_stream(codec, rate=_AUDIO_RATE_HZ)
    stream.layout = "mono"
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    form, sample = ("fltp", np.float32) if codec == "aac" else ("s16", np.int16)
    for number in range(_AUDIO_FRAMES):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), sample), format=form, layout="mono")
        frame.sample_rate, frame.pts = _AUDIO_RATE_HZ, number * 960
        file.mux(stream.encode(frame))
    file.mux(stream.encode())


def _desktop(width: int, height: int, look: int) -> Picture:
    """A coloured background, a task bar, two windows with title bars and lines of text."""
    import numpy as np

    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = (40 + 25 * look % 120, 90 + 40 * look % 100, 120 + 15 * look % 90)
    picture[-height // 14 :] = (28, 30, 36)
    for left, top, right, bottom in ((0.06, 0.08, 0.62, 0.72), (0.45 + 0.01 * look, 0.34, 0.94, 0.88)):
        box = picture[int(top * height) : int(bottom * height), int(left * width) : int(right * width)]
        box[:] = (244, 244, 240)
        box[: max(height // 18, 4)] = (52 + 20 * look % 150, 70, 160)
        for line in range(height // 10, box.shape[0] - 6, 12):
            length = (line * 37 + look * 53) % (box.shape[1] - 24) + 8
            box[line : line + 4, 8 : 8 + length] = (70, 70, 76)
    return picture


def _pointed_at(desktop: Picture, number: int) -> Picture:
    """The desktop with the mouse somewhere."""
    picture = desktop.copy()
    height, width = picture.shape[:2]
    top, left = (number * 11) % (height - 10), (number * 23) % (width - 8)
    picture[top : top + 9, left : left + 6] = (250, 200, 40)
    return picture
