"""The process that measures how long one voice message is: a hostile file can end it, and nothing else. Run by path.

    python -P audio_child.py HANDLE FORMAT ADDRESS_BYTES CPU_SECONDS MOST_SECONDS

Writes one line of JSON to stdout. Imports nothing of the project, has no secrets in its environment, opens no file,
and hands the open one that it was given instead of a name to what reads it.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import IO, Any

DEMUXERS = {"mp3": "mp3", "wav": "wav", "ogg": "ogg"}
"""Named, not guessed: FFmpeg's other demuxers read playlists and what they point at."""
TORN_PACKETS = 200
"""So many broken packets in a row, and the rest is not looked at."""


def main(arguments: list[str]) -> None:
    """Limit this process, measure, tell."""
    import av
    import mutagen.mp3

    assert av
    assert mutagen  # imported before the limits: what Python compiles is written to disk, and must be whole
    handle, name, address_bytes, cpu_seconds, most_seconds = arguments
    for limit, value in (
        (resource.RLIMIT_AS, int(address_bytes)),
        (resource.RLIMIT_CPU, int(cpu_seconds)),
        (resource.RLIMIT_FSIZE, 1 << 16),
        (resource.RLIMIT_CORE, 0),  # a dump would hold what was said
    ):
        resource.setrlimit(limit, (value, value))
    try:
        with open(int(handle), "rb") as audio:  # noqa: PTH123  no path
            audio.seek(0)
            header_ms = stated_ms(audio)
            audio.seek(0)
            facts = decoded(audio, DEMUXERS[name], float(most_seconds)) | {"header_ms": header_ms}
    except MemoryError:
        facts = {"reason": "too_complex"}
    except Exception:  # a file may break what reads it in any way
        facts = {"reason": "broken"}
    sys.stdout.write(json.dumps(facts) + "\n")


def stated_ms(audio: IO[bytes]) -> int | None:
    """What the container's header says, None where it says nothing that can be read."""
    import mutagen
    import mutagen.mp3

    try:
        found = mutagen.File(audio)
        if found is None or getattr(found.info, "bitrate_mode", None) == mutagen.mp3.BitrateMode.UNKNOWN:
            return None  # an MP3 without a header of its own: its length would be a guess by the first frame
        return int(found.info.length * 1_000)
    except MemoryError:
        raise
    except Exception:  # whatever a hostile header makes of it, the decoder has the last word
        return None


def decoded(audio: IO[bytes], demuxer: str, most_seconds: float) -> dict[str, Any]:
    """How long it plays in ms, by decoding; `longer` when it was left at `most_seconds`; or the reason why not."""
    import av
    from av.error import FFmpegError

    av.logging.set_level(av.logging.PANIC)
    seconds, broken, torn = 0.0, 0, 0
    try:
        with av.open(audio, "r", format=demuxer, metadata_errors="replace") as container:
            if not container.streams.audio:
                return {"reason": "no_audio"}
            for packet in container.demux(container.streams.audio[0]):
                try:
                    frames = packet.decode()
                except FFmpegError as error:
                    torn, broken = torn + 1, broken + 1
                    if isinstance(error, MemoryError) or torn > TORN_PACKETS:
                        raise
                    continue
                for frame in frames:
                    torn = 0
                    seconds += frame.samples / frame.sample_rate
                if seconds > most_seconds:
                    return {"decoded_ms": round(seconds * 1_000), "longer": True}
    except (FFmpegError, OSError, ValueError, IndexError, ZeroDivisionError) as error:
        if isinstance(error, MemoryError):
            return {"reason": "too_complex"}
        broken += 1
    if seconds == 0:
        return {"reason": "broken"}
    return {"decoded_ms": round(seconds * 1_000), "broken_packets": broken}


if __name__ == "__main__":
    main(sys.argv[1:])
