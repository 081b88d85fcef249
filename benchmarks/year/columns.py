"""Columns of many values at a time, as Arrow: ids, digests, lists, picks. What they mean is known elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np  # noqa: TID253  no code server imports a benchmark
import pyarrow as pa
import pyarrow.compute as pc

HEX = np.array([f"{byte:02x}".encode() for byte in range(256)])
UUID_BYTES = 16
_DASHES = (8, 13, 18, 23)

Rng = np.random.Generator
Numbers = np.ndarray[Any, Any]


def digests(rng: Rng, count: int, size: int) -> pa.StringArray:
    """Random bytes in lower hex."""
    return _strings(_hex(rng.integers(0, 256, (count, size), dtype=np.uint8)))


def uuids(rng: Rng, count: int) -> pa.StringArray:
    """Random ids, sorted."""
    halves = rng.integers(0, 2**64, (count, 2), dtype=np.uint64)
    halves = halves[np.lexsort((halves[:, 1], halves[:, 0]))]
    digits = _hex(halves.astype(">u8").view(np.uint8).reshape(count, UUID_BYTES))
    text = np.full((count, 36), ord("-"), dtype=np.uint8)
    text[:, [place for place in range(36) if place not in _DASHES]] = digits
    return _strings(text)


def picked(values: list[Any], index: Numbers, kind: pa.DataType | None = None) -> pa.Array:
    """For each index its value; None becomes null."""
    return pa.array(values, kind or pa.string()).take(pa.array(index))


def drawn(rng: Rng, weights: dict[Any, float], count: int) -> Numbers:
    """Indexes into the keys of `weights`, by their share."""
    shares = np.array(list(weights.values()))
    return rng.choice(len(shares), count, p=shares / shares.sum()).astype(np.int64)


def lists(values: pa.StringArray, lengths: Numbers) -> pa.ListArray:
    """Consecutive values as lists of these lengths."""
    return pa.ListArray.from_arrays(pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32()), values)


def where(mask: Numbers, value: Any, other: Any = None) -> pa.Array:
    """Arrow's if_else for numpy's masks; null instead of `other` when that is left out."""
    return pc.if_else(pa.array(mask), value, other if other is not None else pa.scalar(None, value.type))


def numbers(values: Numbers, kind: pa.DataType, known: Numbers | None = None) -> pa.Array:
    """Numbers as a column, null where they are not known."""
    return pa.array(values, kind, mask=None if known is None else ~known)


def _hex(data: Numbers) -> Numbers:
    return HEX[data].view(np.uint8).reshape(len(data), -1)


def _strings(text: Numbers) -> pa.StringArray:
    count, length = text.shape
    offsets = np.arange(count + 1, dtype=np.int32) * length
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text)))
