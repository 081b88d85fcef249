"""Waveforms of stored recordings: made once for each content, kept beside the archive."""

from __future__ import annotations

import datetime as dt

from media_pipeline.interactions.sound import Unmeasured, heard_object
from media_pipeline.playback.peaks import MAX_BYTES, Peaks, Waveform, decoded
from media_pipeline.storage.base import ObjectStore
from media_pipeline.tables.partition import Row
from media_pipeline.tables.paths import waveform_key

AGAIN = ("no_object", "damaged", "no_decoder", "timeout")
"""Reasons that are not about the recording itself: the next run tries again."""


def kept(store: ObjectStore, day: dt.date, row: Row) -> Waveform | None:
    """The waveform of a stored row's content; None where there is none (any more). Raises StorageError."""
    try:
        small = store.get_small(waveform_key(day, row["recording_id"], row["file_index"]), MAX_BYTES)
    except ValueError:
        return None
    waveform = None if small is None else decoded(small.data)
    return waveform if waveform is not None and waveform.sha256 == row["sha256"] else None


def made(store: ObjectStore, day: dt.date, row: Row, *, again: bool = False) -> tuple[Waveform, bool]:
    """The waveform of a stored row, and whether it had to be made: then it was stored. Raises StorageError."""
    known = None if again else kept(store, day, row)
    if known is not None and known.reason not in AGAIN:
        return known, False
    try:
        waveform = heard_object(store, row["object_key"], Peaks).waveform(row["sha256"])
    except Unmeasured as error:
        waveform = Waveform(row["sha256"], None, error.reason, ())
    except ValueError:  # a header with a rate or channels that cannot be
        waveform = Waveform(row["sha256"], None, "undecodable", ())
    key = waveform_key(day, row["recording_id"], row["file_index"])
    store.put(key, waveform.encode(), durable=False)  # torn by a power cut, it is no waveform, and made again
    return waveform, True
