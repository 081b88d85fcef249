"""A WAV file in which stretches of time are silent and every other byte is as it was. Streams, in bounded memory.

Only samples that stand alone: PCM of 8, 16, 24 and 32 bits, and G.711. A sample of silence is one byte repeated: 0x80
in 8-bit PCM, which is unsigned, 0 in wider ones, 0xFF in mu-law, 0xD5 in A-law (ITU-T G.711, tables 1 and 2: the codes
of the smallest positive value).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

PCM, A_LAW, MU_LAW, EXTENSIBLE = 0x0001, 0x0006, 0x0007, 0xFFFE
"""Format tags of RFC 2361 and mmreg.h."""
SILENCE = {(PCM, 8): 0x80, (PCM, 16): 0, (PCM, 24): 0, (PCM, 32): 0, (MU_LAW, 8): 0xFF, (A_LAW, 8): 0xD5}
"""(format tag, bits per sample) to the byte of silence."""
_SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")
"""Of the GUID in an extensible format; its first two bytes are the format tag."""
MAX_HEADER_BYTES = 1024 * 1024
"""What may lie before the samples: larger metadata would have to be held in memory."""
TO_THE_END = (0, 0xFFFF_FFFF)
"""Sizes of a data chunk that was written to a pipe, or never finished: players play all that follows."""
_RIFF_BYTES, _CHUNK_BYTES, _FMT_BYTES, _EXTENSIBLE_BYTES = 12, 8, 16, 40


class CannotSilence(Exception):
    """The file is not one that can be silenced exactly; says why."""


class Span(NamedTuple):
    """[start_ms, end_ms) from the recording's start; in one channel from 0 on, or in all."""

    start_ms: int
    end_ms: int
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the samples are, offset and size in bytes (None: to the file's end), and how they are stored."""

    offset: int
    size: int | None
    channels: int
    frame_bytes: int
    sample_bytes: int
    rate_hz: int
    silence: int

    def frames(self, span: Span) -> range:
        """Frames of a span; one that it only touches is in it."""
        return range(max(0, span.start_ms) * self.rate_hz // 1000, -(-span.end_ms * self.rate_hz // 1000))

    def channel(self, span: Span) -> int | None:
        """The span's channel; None for all, as when the file has not so many."""
        known = span.channel is not None and 0 <= span.channel < self.channels and self.channels > 1
        return span.channel if known else None


def silenced(pieces: Iterable[bytes], spans: Sequence[Span]) -> Iterator[tuple[bytes, bytes]]:
    """The file piece by piece, as it is and with silence in the spans; raises CannotSilence before the first one.

    Each pair was compared byte by byte, in another way than it was made: raises AssertionError should they disagree.
    """
    rest = iter(pieces)
    head, layout = _head(rest)
    offset = 0
    for piece in chain((head,), rest):
        copy = with_silence(piece, offset, layout, spans)
        if not differs_only_in(piece, copy, offset, layout, spans):
            raise AssertionError(f"The silenced copy is wrong within the {len(piece)} bytes from {offset} on.")
        yield piece, copy
        offset += len(piece)


def _head(pieces: Iterator[bytes]) -> tuple[bytes, Layout]:
    head = b""
    for piece in pieces:
        head += piece
        if (layout := read_layout(head)) is not None:
            return head, layout
        if len(head) > MAX_HEADER_BYTES:
            raise CannotSilence("The file has more than 1 MiB before its samples.")
    raise CannotSilence("The file ends before its samples begin.")


def with_silence(piece: bytes, offset: int, layout: Layout, spans: Iterable[Span]) -> bytes:
    """A piece of the file that begins at this offset."""
    changed = bytearray(piece)
    end = layout.offset + layout.size if layout.size is not None else offset + len(piece)
    for span in spans:
        frames, channel = layout.frames(span), layout.channel(span)
        first = layout.offset + frames.start * layout.frame_bytes
        last = min(layout.offset + frames.stop * layout.frame_bytes, end, offset + len(piece))
        if last <= offset or first >= offset + len(piece):
            continue
        if channel is None:
            begin = max(first, offset)
            changed[begin - offset : last - offset] = bytes([layout.silence]) * (last - begin)
            continue
        for byte in range(channel * layout.sample_bytes, (channel + 1) * layout.sample_bytes):
            skipped = max(0, -(-(offset - first - byte) // layout.frame_bytes))
            place = slice(first + byte + skipped * layout.frame_bytes - offset, last - offset, layout.frame_bytes)
            changed[place] = bytes([layout.silence]) * len(range(*place.indices(len(changed))))
    return bytes(changed)


def read_layout(head: bytes | bytearray) -> Layout | None:
    """Where a file's samples are, from its beginning; None when that needs more of it. Raises CannotSilence."""
    if len(head) < _RIFF_BYTES:
        return None
    if head[:4] in (b"RF64", b"BW64", b"RIFX") or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise CannotSilence("It is no WAV file (RIFF/WAVE): other formats have no samples that stand alone.")
    at = _RIFF_BYTES
    described: tuple[int, int, int, int, int] | None = None
    while at + _CHUNK_BYTES <= len(head):
        name, size = bytes(head[at : at + 4]), int.from_bytes(head[at + 4 : at + 8], "little")
        body = at + _CHUNK_BYTES
        if name == b"data":
            if described is None:
                raise CannotSilence("The samples come before their description.")
            return _layout(described, body, size)
        if name == b"LIST" and head[body : body + 4] == b"wavl":
            raise CannotSilence("The samples are a list of waves, not one piece.")
        if name == b"fmt ":
            if body + min(size, _EXTENSIBLE_BYTES) > len(head):
                return None
            described = _described(bytes(head[body : body + size]))
        at = body + size + size % 2
    return None


def _described(fmt: bytes) -> tuple[int, int, int, int, int]:
    """(format tag, channels, frames per second, bytes per frame, bits per sample) of a `fmt ` chunk."""
    if len(fmt) < _FMT_BYTES:
        raise CannotSilence("The description of the samples is cut off.")
    tag, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == EXTENSIBLE:
        if len(fmt) < _EXTENSIBLE_BYTES or fmt[26:_EXTENSIBLE_BYTES] != _SUBFORMAT_TAIL:
            raise CannotSilence("The extensible description of the samples names no known format.")
        tag = int.from_bytes(fmt[24:26], "little")
    return tag, channels, rate, frame, bits


def _layout(described: tuple[int, int, int, int, int], offset: int, size: int) -> Layout:
    tag, channels, rate, frame, bits = described
    silence = SILENCE.get((tag, bits))
    if silence is None:
        raise CannotSilence(
            f"Its samples are of format {tag:#06x} with {bits} bits: only PCM (8, 16, 24, 32 bits) and G.711 are exact."
        )
    if not channels or not rate or frame != channels * bits // 8:
        raise CannotSilence("The description of the samples contradicts itself.")
    return Layout(offset, None if size in TO_THE_END else size, channels, frame, bits // 8, rate, silence)


def differs_only_in(original: bytes, copy: bytes, offset: int, layout: Layout, spans: Sequence[Span]) -> bool:
    """Whether two pieces at this offset of their files are equal outside the spans, and the copy silent inside them.

    Judges byte by byte, by the frame and channel that each belongs to: on purpose not as `silenced` does it.
    """
    if original == copy and not any(_touches(layout, span, offset, len(copy)) for span in spans):
        return True
    places = [
        (layout.frames(span), layout.channel(span)) for span in spans if _touches(layout, span, offset, len(copy))
    ]
    end = float("inf") if layout.size is None else layout.offset + layout.size
    for at, (before, now) in enumerate(zip(original, copy, strict=True), start=offset):
        frame, byte = divmod(at - layout.offset, layout.frame_bytes)
        channel = byte // layout.sample_bytes
        silent = layout.offset <= at < end and any(frame in span and of in (None, channel) for span, of in places)
        if now != (layout.silence if silent else before):
            return False
    return True


def _touches(layout: Layout, span: Span, offset: int, length: int) -> bool:
    frames = layout.frames(span)
    first, last = (layout.offset + frame * layout.frame_bytes for frame in (frames.start, frames.stop))
    return first < offset + length and last > offset
