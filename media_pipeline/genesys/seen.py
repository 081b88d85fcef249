"""Which ids came already, in 24 to 48 bytes each: a set of 100,000 strings takes 14 MB, and a listing needs two."""

from __future__ import annotations

import re

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_WIDTH = 16
_EMPTY = bytes(_WIDTH)
_FULLEST = 2 / 3
_FIRST_SLOTS = 1 << 10


class Seen:
    """A set of ids; UUIDs lie as 16 bytes in a hash table with linear probing, other ids in an ordinary set."""

    def __init__(self) -> None:
        self._others: set[str] = set()
        self._slots = bytearray(_FIRST_SLOTS * _WIDTH)
        self._count = 0

    def __contains__(self, identifier: str) -> bool:
        raw = _raw(identifier)
        if raw is None:
            return identifier in self._others
        at = self._place(self._slots, raw)
        return self._slots[at : at + _WIDTH] == raw

    def add(self, identifier: str) -> None:
        """Remember an id."""
        raw = _raw(identifier)
        if raw is None:
            self._others.add(identifier)
            return
        at = self._place(self._slots, raw)
        if self._slots[at : at + _WIDTH] == raw:
            return
        self._slots[at : at + _WIDTH] = raw
        self._count += 1
        if self._count * _WIDTH > len(self._slots) * _FULLEST:
            self._grow()

    def _grow(self) -> None:
        slots = bytearray(len(self._slots) * 2)
        for start in range(0, len(self._slots), _WIDTH):
            raw = bytes(self._slots[start : start + _WIDTH])
            if raw != _EMPTY:
                at = self._place(slots, raw)
                slots[at : at + _WIDTH] = raw
        self._slots = slots

    @staticmethod
    def _place(slots: bytearray, raw: bytes) -> int:
        """Where an id lies, or may be put; `hash` is salted, so that no sender of ids can make them collide."""
        at = hash(raw) % (len(slots) // _WIDTH) * _WIDTH
        while (found := slots[at : at + _WIDTH]) != _EMPTY and found != raw:
            at = (at + _WIDTH) % len(slots)
        return at


def _raw(identifier: str) -> bytes | None:
    """The bytes of a UUID in its usual form; None for anything else, and for the one that looks like an empty slot."""
    if not _UUID.fullmatch(identifier):
        return None
    raw = bytes.fromhex(identifier.replace("-", ""))
    return None if raw == _EMPTY else raw
