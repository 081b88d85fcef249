"""How long a voice message plays, measured in a process of its own with limits on time and memory.

A header may say anything: a file that says 5 s may hold 10 minutes. Uncompressed WAV is measured by its bytes, all else
is decoded, at most a second beyond what is allowed; what the header says is told besides, and never believed alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import wave
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from media_pipeline.messaging.audio_types import NotAudio
from media_pipeline.storage.base import StorageError

CHILD = Path(__file__).with_name("audio_child.py")
MOST_SECONDS = 60
"""Of a voice message (guide 003)."""
SLACK_SECONDS = 0.1
"""Encoders pad: a minute of MP3 decodes to 60.05 s."""
OTHER_CHUNKS_BYTES = 64 * 1024
"""Of a WAV, beside its samples: names, cue points."""
TRUNCATED_SECONDS = 1.0
"""Less decoded than the header says, and the file was cut or is damaged."""
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")
"""Of the environment: what finds the decoder, and no secret."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What measuring one file may cost; a minute of audio decodes in 0.1 s, the start takes 0.3 s."""

    seconds: int = 20
    address_bytes: int = 1 << 30


LIMITS = Limits()


class MissingDecoder(StorageError):
    """This machine cannot decode audio."""


def decoder_missing() -> str | None:
    """What to do when the decoder is not installed; None when it is."""
    missing = [name for name in ("av", "mutagen") if not find_spec(name)]
    if not missing:
        return None
    return (
        f"Voice messages need {' and '.join(missing)} to be measured: install the extra messaging "
        "(media-pipeline[messaging])."
    )


def duration_ms(audio: bytes, audio_format: str, folder: Path, limits: Limits = LIMITS) -> int:
    """How long it plays; `folder`: where it may lie while it is decoded, without a name: a kill leaves nothing of it.

    Raises NotAudio with the reason too_long, truncated, broken, no_audio, too_complex or timeout, and MissingDecoder.
    """
    found = _of_samples(audio) if audio_format == "wav" else None
    if found is None:
        if missing := decoder_missing():
            raise MissingDecoder(missing)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(audio)
            file.flush()
            found = _measured(file.fileno(), audio_format, limits)
    if found > (MOST_SECONDS + SLACK_SECONDS) * 1_000:
        raise NotAudio("too_long", f"The audio plays longer than {MOST_SECONDS} s.")
    if found == 0:
        raise NotAudio("no_audio", "The file holds no audio.")
    return found


def _of_samples(audio: bytes) -> int | None:
    """Of uncompressed WAV whose header agrees with its bytes; None for all else."""
    with contextlib.suppress(wave.Error, EOFError, ValueError, OverflowError), wave.open(io.BytesIO(audio)) as file:
        size, frame_bytes = len(audio), file.getnchannels() * file.getsampwidth()
        beside = size - file.getnframes() * frame_bytes
        if 0 <= beside <= OTHER_CHUNKS_BYTES and file.getframerate() > 0:
            return int(file.getnframes() * 1_000 // file.getframerate())
    return None


def _measured(handle: int, audio_format: str, limits: Limits) -> int:
    numbers = (limits.address_bytes, limits.seconds, MOST_SECONDS + 1)
    child = subprocess.Popen(  # noqa: S603  our own interpreter and file
        # -P: the folder of the script is not where modules are looked for
        [sys.executable, "-B", "-P", str(CHILD), str(handle), audio_format, *map(str, numbers)],
        pass_fds=(handle,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # FFmpeg may quote what is in the file
        env={key: value for key in _PASSED_ON if (value := os.environ.get(key)) is not None},
        cwd=CHILD.parent,
    )
    try:
        said, _ = child.communicate(timeout=3 * limits.seconds)  # of a busy machine's time, against the child's own
    except subprocess.TimeoutExpired:
        raise NotAudio("timeout", "The file takes too long to be decoded.") from None
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
    if child.returncode in (-signal.SIGKILL, -signal.SIGXCPU):
        raise NotAudio("timeout", "The file takes too long to be decoded.")
    if child.returncode > 0:
        raise MissingDecoder(
            f"The decoder of voice messages does not work here (exit code {child.returncode}): reinstall the extra "
            "messaging, or free memory. Nothing was rejected."
        )
    return _told(said, audio_format)


def _told(said: bytes, audio_format: str) -> int:
    """What the child says, without trust: a file may have made it say anything."""
    try:
        facts = json.loads(said)
        reason, header, found = facts.get("reason"), facts.get("header_ms"), int(facts.get("decoded_ms", 0))
        longer = facts.get("longer") is True
    except (ValueError, TypeError, AttributeError):
        raise NotAudio("broken", "The file's audio cannot be decoded.") from None
    if reason in ("no_audio", "too_complex"):
        raise NotAudio(reason, "The file holds no audio that can be decoded in the memory of a gigabyte.")
    if reason is not None or found < 0:
        raise NotAudio("broken", "The file's audio cannot be decoded.")
    if longer:
        return found
    promised = audio_format != "wav"  # whose sizes were compared with its bytes, unless it says that it does not know
    if promised and isinstance(header, int) and header - found > TRUNCATED_SECONDS * 1_000:
        raise NotAudio("truncated", f"The file says {header / 1_000:.0f} s and holds {found / 1_000:.1f} s of audio.")
    return found
