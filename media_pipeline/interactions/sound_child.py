"""The process that decodes one recording: a hostile file can end it, and nothing else. Run by path.

    python -P sound_child.py FORMAT ADDRESS_BYTES CPU_SECONDS

Reads the file from stdin; writes one line of JSON to stdout, and the samples of its first audio stream behind it:
32-bit floats, little endian, channels side by side. Imports nothing of the project. It has no secrets in its
environment, opens no file, and hands FFmpeg a stream instead of a name, so that nothing else can be named in it.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import IO, Any

DEMUXERS = {
    "wav": "wav",
    "mp3": "mp3",
    "aac": "aac",
    "ogg": "ogg",
    "m4a": "mov",
    "mp4": "mov",
    "webm": "matroska",
    "mkv": "matroska",
}
"""Named, not guessed: FFmpeg's other demuxers read playlists, scripts and what they point at."""
TORN_PACKETS = 200
"""So many broken packets in a row, and the rest is not decoded."""


class _Stream:
    """Standard input without seeking, so that FFmpeg reads it once from start to end."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        return self._file.read(size)


def main(arguments: list[str]) -> int:
    """Limit this process, decode, tell; the exit status is 0 only when the whole stream was decoded."""
    name, *numbers = arguments
    address_bytes, cpu_seconds = map(int, numbers)
    for limit, value in (
        (resource.RLIMIT_AS, address_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),  # a dump would hold what was said
    ):
        resource.setrlimit(limit, (value, value))
    return decode(_Stream(sys.stdin.buffer), DEMUXERS[name], sys.stdout.buffer)


def decode(source: Any, demuxer: str, sink: IO[bytes]) -> int:
    """Write the samples of the first audio stream; 1 when there is none or it cannot be decoded."""
    import av
    from av.error import FFmpegError

    av.logging.set_level(av.logging.PANIC)
    try:
        with av.open(source, format=demuxer, metadata_errors="replace") as container:
            if not container.streams.audio:
                return 1
            stream = container.streams.audio[0]
            stream.codec_context.thread_count = 1
            resampler = None
            torn = 0
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except FFmpegError as error:
                    torn += 1
                    if isinstance(error, MemoryError) or torn > TORN_PACKETS:
                        return 1
                    continue
                torn = 0
                for frame in frames:
                    if resampler is None:  # what comes later may have another rate
                        resampler = av.AudioResampler("flt", frame.layout, frame.sample_rate)
                        facts = {"rate_hz": frame.sample_rate, "channels": frame.layout.nb_channels}
                        sink.write(json.dumps(facts).encode() + b"\n")
                    _write(resampler.resample(frame), sink)
            if resampler is None:
                return 1
            _write(resampler.resample(None), sink)
            sink.flush()
            return 0
    except (FFmpegError, OSError, ValueError, IndexError, MemoryError):
        return 1


def _write(frames: list[Any], sink: IO[bytes]) -> None:
    for frame in frames:
        length = frame.samples * frame.layout.nb_channels * 4
        sink.write(memoryview(frame.planes[0])[:length])  # planes are padded


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
