"""Links held in little memory, about 280 bytes each whatever their length; who gets which is not decided here.

Links of one batch differ in the path and the signature only; host, credential and security token (1,000 characters of
1,500) repeat. Each is deflated with the batch's first link as dictionary, to 120 bytes in 10 us. The dictionaries of
Python cost as much again: keys are digests, and what is the same for a batch is kept once.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from media_pipeline.genesys.platform_batches import DeliveredFile, Key

HELD_BYTES = 24_000_000
"""Memory for links: about 85,000 of them; beyond, the oldest batches go, which die first, and are asked for anew."""
LINK_BYTES = 170
"""What a link costs besides its deflated text; measured over 100,000."""
_KEY_BYTES = 16
"""A digest of this length does not come twice: another recording's link would be another recording's voice."""
_LEVEL, _WINDOW_BITS, _MEMORY_LEVEL = 1, -12, 4
"""Raw deflate with a window of 4 KiB: the fastest to set up, at 1 % of the size."""
_NUMBER_BYTES = 4


@dataclass(slots=True)
class _Batch:
    """What links that were delivered together have in common; times on the waiter's clock."""

    signed_after: float
    best_before: float
    pattern: bytes
    keys: list[bytes] = field(default_factory=list)
    left: int = 0


class HeldLinks:
    """Files by recording, oldest delivery first; not safe to use from threads without a lock."""

    def __init__(self) -> None:
        self._links: dict[bytes, dict[int, bytes] | bytes] = {}
        """Per recording its only file 0, or files by index: the batch's number and the deflated link."""
        self._batches: dict[int, _Batch] = {}
        self._next = 0
        self.size = 0
        """Bytes of memory, about."""

    def add(
        self,
        files: Mapping[Key, Iterable[DeliveredFile]],
        signed_after: float,
        best_before: float,
        partial: Collection[Key] = (),
    ) -> None:
        """Keep what was delivered together, in place of what was held of these recordings.

        `partial`: recordings of which a file is missing, so that a single one is not the only one.
        """
        batch: _Batch | None = None
        number = self._next = (self._next + 1) % 2 ** (8 * _NUMBER_BYTES)
        prefix = number.to_bytes(_NUMBER_BYTES)
        for key, found in files.items():
            texts = [_text(file) for file in found]
            if not texts:
                continue
            if batch is None:
                batch = self._batches[number] = _Batch(signed_after, best_before, texts[0])
                self.size += len(texts[0])
            short = _short(key)
            self._discard(short)  # never the last of this batch: a recording is delivered once in it
            links = {index: prefix + _deflated(text, batch.pattern) for index, text in enumerate(texts)}
            self._links[short] = links if len(links) > 1 or key in partial else links[0]
            batch.keys.append(short)
            batch.left += len(links)
            self.size += sum(len(link) + LINK_BYTES for link in links.values())
        while self.size > HELD_BYTES and self._batches:
            number, oldest = next(iter(self._batches.items()))
            for short in oldest.keys:
                if any(_number(link) == number for link in self._of(short).values()):
                    self._discard(short)

    def life_of(self, key: Key) -> tuple[float, float] | None:
        """When held links of the recording were signed at the earliest and grow too old; None without any."""
        for link in self._of(_short(key)).values():
            batch = self._batches[_number(link)]
            return batch.signed_after, batch.best_before
        return None

    def files_of(self, key: Key) -> tuple[dict[int, DeliveredFile], bool]:
        """What is held of a recording, and whether it was delivered as the only file."""
        short = _short(key)
        files = {index: _file(link, self._batches[_number(link)].pattern) for index, link in self._of(short).items()}
        return files, isinstance(self._links.get(short), bytes)

    def take(self, key: Key, file_index: int) -> DeliveredFile | None:
        """Hand out one file's link; it is held no longer."""
        short = _short(key)
        links = self._of(short)
        link = links.pop(file_index, None)
        if link is None:
            return None
        if links:
            self._links[short] = links
        else:
            del self._links[short]
        file = _file(link, self._batches[_number(link)].pattern)
        self._let_go(link)
        return file

    def drop(self, key: Key) -> None:
        """Forget all links of a recording."""
        self._discard(_short(key))

    def _of(self, short: bytes) -> dict[int, bytes]:
        links = self._links.get(short, {})
        return {0: links} if isinstance(links, bytes) else links

    def _discard(self, short: bytes) -> None:
        for link in self._of(short).values():
            self._let_go(link)
        self._links.pop(short, None)

    def _let_go(self, link: bytes) -> None:
        """A link is held no longer, nor is its batch with the last of them."""
        number = _number(link)
        batch = self._batches[number]
        batch.left -= 1
        self.size -= len(link) + LINK_BYTES
        if not batch.left:
            del self._batches[number]
            self.size -= len(batch.pattern)


def _short(key: Key) -> bytes:
    return hashlib.blake2b("\0".join(key).encode(), digest_size=_KEY_BYTES).digest()


def _number(link: bytes) -> int:
    return int.from_bytes(link[:_NUMBER_BYTES])


def _text(file: DeliveredFile) -> bytes:
    kind = file.content_type or ""
    return f"{len(kind)} {kind}{file.link}".encode()


def _file(link: bytes, pattern: bytes) -> DeliveredFile:
    inflate = zlib.decompressobj(_WINDOW_BITS, pattern)
    length, _, both = (inflate.decompress(link[_NUMBER_BYTES:]) + inflate.flush()).decode().partition(" ")
    return DeliveredFile(both[int(length) :], both[: int(length)] or None)


def _deflated(text: bytes, pattern: bytes) -> bytes:
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zlib.Z_DEFAULT_STRATEGY, pattern)
    return deflate.compress(text) + deflate.flush()
