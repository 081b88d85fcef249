"""Samples to file bytes: WAV by hand, mp3, ogg and opus by libsndfile, the same bytes every time. No dialogue here."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Literal

from media_pipeline.sandbox.speech import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Codec = Literal["wav", "mp3", "ogg", "opus"]

WAV_HEADER_BYTES = 44
OGG_SERIAL = 0x53414E44
"""Any constant will do: libsndfile draws a random one for each file."""

_SNDFILE = {"mp3": ("MP3", "MPEG_LAYER_III"), "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS")}
_BLOCK_FRAMES = 4_096  # libsndfile's vorbis writer overflows its stack on very large single writes
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def encode(samples: npt.NDArray[np.int16], codec: Codec) -> bytes:
    """A complete file of 8 kHz samples, shape (frames, channels); 44-byte header for wav."""
    if codec == "wav":
        pcm = samples.astype("<i2").tobytes()
        return wav_header(len(pcm), channels=samples.shape[1]) + pcm
    import numpy as np
    import soundfile

    file_format, subtype = _SNDFILE[codec]
    wave = samples.astype(np.float32) / 32_768  # libsndfile 1.2.2 writes other mp3 bytes on each start from int16
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", SAMPLE_RATE_HZ, samples.shape[1], subtype=subtype, format=file_format) as sound:
        for start in range(0, len(wave), _BLOCK_FRAMES):
            sound.write(wave[start : start + _BLOCK_FRAMES])
    encoded = file.getvalue()
    return encoded if file_format == "MP3" else with_serial(encoded, OGG_SERIAL)


def wav_header(data_bytes: int, *, channels: int, rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """RIFF header of 16-bit PCM."""
    frame_bytes = 2 * channels
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", WAV_HEADER_BYTES - 8 + data_bytes, b"WAVE"),
        *(b"fmt ", 16, 1, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, 16),
        *(b"data", data_bytes),
    )


def with_serial(ogg: bytes, serial: int) -> bytes:
    """The same Ogg stream under another serial number, each page's checksum renewed (RFC 3533, section 6)."""
    pages = bytearray(ogg)
    start = 0
    while start < len(pages):
        segments = pages[start + 26]
        end = start + 27 + segments + sum(pages[start + 27 : start + 27 + segments])
        struct.pack_into("<I", pages, start + 14, serial)
        struct.pack_into("<I", pages, start + 22, 0)
        struct.pack_into("<I", pages, start + 22, _ogg_crc(pages[start:end]))
        start = end
    return bytes(pages)


def _ogg_crc(page: bytearray) -> int:
    """CRC-32 with zlib's polynomial, most significant bit first, no inversions: zlib's on mirrored bits."""
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
