"""The process that decodes one film: a hostile file can end it, and nothing else. Run by path.

    python -P frame_child.py FILM FORMAT ADDRESS_BYTES CPU_SECONDS FILE_BYTES WIDTH HEIGHT MOST_PIXELS

Writes one line of JSON to stdout, the JPEG behind it where there is one. Imports nothing of the project: it starts
once per film. It has no secrets in its environment, opens one file, and hands FFmpeg that file instead of a name, so
that no protocol and no second file can be named in it.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from fractions import Fraction
from typing import IO, Any

DEMUXERS = {"mp4": "mov", "m4a": "mov", "mov": "mov", "webm": "matroska", "mkv": "matroska"}
"""Named, not guessed: FFmpeg's other demuxers read playlists, scripts and what they point at."""
GREY_SIZE = (64, 36)
BLANK_DEVIATION = 4.0
"""Standard deviation of the greys (0 to 255) of a frame on 64 x 36 below which it shows nothing: a plain colour has
none, noise of an encoder 1 to 2, a desktop 30 and more."""
BLANK_MEAN = 6.0
"""Mean grey below which a frame is black, whatever little is in it; 16 is the black of limited range, as 0 here."""
JPEG_QUALITY = "3"
"""Of FFmpeg's 2 (best) to 31."""
FILLED_SHARE = 0.75
"""Of the memory it may have; the largest frames take 5 % each."""
TORN_PACKETS = 200
"""So many broken packets in a row, and the rest is not looked at."""


def main(arguments: list[str]) -> None:
    """Limit this process, decode, tell."""
    path, name, *numbers = arguments
    address_bytes, cpu_seconds, file_bytes, width, height, most_pixels = map(int, numbers)
    for limit, value in (
        (resource.RLIMIT_AS, address_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),  # a dump would hold what was on the screen
    ):
        resource.setrlimit(limit, (value, value))
    try:
        with open(path, "rb") as film:  # noqa: PTH123  pathlib would double the start
            facts, jpeg = thumbnail(film, DEMUXERS[name], (width, height), most_pixels)
    except MemoryError:
        facts, jpeg = {"reason": "too_large"}, b""
    except ImportError:  # nothing about the film: a library of PyAV's is gone
        facts, jpeg = {"reason": "no_decoder"}, b""
    if facts.get("reason") == "corrupt" and _filled(address_bytes):
        facts = {"reason": "too_large"}
    sys.stdout.buffer.write(json.dumps(facts).encode() + b"\n" + jpeg)


def _filled(address_bytes: int) -> bool:
    """Whether memory ran short: H.264's decoder calls a frame it found no room for invalid."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
            peak_kb = next(int(line.split()[1]) for line in status if line.startswith("VmPeak:"))
    except (OSError, StopIteration):  # not Linux
        return False
    return peak_kb * 1024 > address_bytes * FILLED_SHARE


def thumbnail(film: IO[bytes], demuxer: str, size: tuple[int, int], most_pixels: int) -> tuple[dict[str, Any], bytes]:
    """The first frame that shows something, letterboxed to `size`, as JPEG; or the reason why there is none."""
    import av
    from av.error import FFmpegError

    av.logging.set_level(av.logging.PANIC)
    try:
        with av.open(film, format=demuxer, metadata_errors="replace") as container:
            if not container.streams.video:
                return {"reason": "no_video"}, b""
            stream = container.streams.video[0]
            codec = stream.codec_context
            if codec.width * codec.height > most_pixels:
                return {"reason": "too_large"}, b""
            codec.options = {"max_pixels": str(most_pixels)}  # a frame may be larger than the head says
            codec.thread_count = 1  # each thread would hold frames of its own
            blank = None
            for frame in _frames(container, stream):
                if not is_blank(frame):
                    started = float((stream.start_time or 0) * (stream.time_base or 0))
                    at = max(0, round(((frame.time or 0) - started) * 1_000))
                    facts = {"frame_ms": at, "source_width": frame.width, "source_height": frame.height}
                    return facts, letterboxed(frame, frame.rotation % 360, stream.sample_aspect_ratio or 1, *size)
                blank = frame
            return {"reason": "corrupt" if blank is None else "all_blank"}, b""
    except (FFmpegError, OSError, ValueError, IndexError) as error:
        # FFmpeg's ENOMEM may come as a FFmpegError that is a MemoryError as well
        return {"reason": "too_large" if isinstance(error, MemoryError) else "corrupt"}, b""


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """Whole frames in order; broken packets are passed over as a player would."""
    from av.error import FFmpegError

    torn = 0
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except FFmpegError as error:
            torn += 1
            if isinstance(error, MemoryError) or torn > TORN_PACKETS:
                raise
            continue
        for frame in frames:
            if not frame.is_corrupt:
                torn = 0
                yield frame


def is_blank(frame: Any) -> bool:
    """Whether a frame is one colour or black, by mean and deviation of its greys."""
    grey = frame.reformat(*GREY_SIZE, format="gray", interpolation="AREA")
    plane = grey.planes[0]
    width, height = GREY_SIZE
    data = bytes(plane)
    values = b"".join(data[row * plane.line_size : row * plane.line_size + width] for row in range(height))
    mean = sum(values) / len(values)
    deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
    return bool(deviation < BLANK_DEVIATION or mean < BLANK_MEAN)


_TURNS = {
    90: (("transpose", "cclock"),),
    180: (("hflip", ""), ("vflip", "")),
    270: (("transpose", "clock"),),
}
"""By the degrees, counter-clockwise, of the film's display matrix; phones write one. FFmpeg's filters."""


def letterboxed(frame: Any, turned: int, pixel_aspect: Fraction | int, width: int, height: int) -> bytes:
    """The frame as a player shows it, turned and in its proportions, on black, as a baseline JPEG without metadata."""
    import av

    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 1_000)
    )
    shown = (frame.width * pixel_aspect, Fraction(frame.height))
    wide, high = shown[::-1] if turned in (90, 270) else shown
    factor = min(width / wide, height / high)
    fitting = [max(2, int(side * factor) // 2 * 2) for side in (wide, high)]
    steps = [
        *_TURNS.get(turned, ()),
        ("scale", f"{fitting[0]}:{fitting[1]}:out_range=pc"),
        ("pad", f"{width}:{height}:(ow-iw)/2:(oh-ih)/2:black"),
        ("setsar", "1"),
        ("format", "yuvj420p"),
    ]
    last = source
    for filter_name, settings in steps:
        node = graph.add(filter_name, settings or None)
        last.link_to(node)
        last = node
    sink = graph.add("buffersink")
    last.link_to(sink)
    graph.configure()
    graph.push(frame)
    picture = graph.pull()
    assert isinstance(picture, av.VideoFrame)
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = picture.time_base or Fraction(1, 1_000)
    encoder.options = {"qmin": JPEG_QUALITY, "qmax": JPEG_QUALITY}
    encoder.flags |= av.codec.context.Flags.bitexact
    picture.pts = None
    packets = [*encoder.encode(picture), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


if __name__ == "__main__":
    main(sys.argv[1:])
