"""Of which days voice messages wait in the inbox: for schedules, which read the folder and nothing else."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from itertools import islice
from pathlib import Path

from media_pipeline.messaging.inbox import Inbox, Pair
from media_pipeline.messaging.voice_intake import day_of

MOST_LOOKED_AT = 2_000
"""Files' names; what is behind them waits its turn."""


def waiting_days(folder: Path, first: dt.date) -> dict[dt.date, str]:
    """By day, a digest of which messages wait; files that will never make a pair are today's."""

    today = dt.datetime.now(dt.UTC).date()
    names: defaultdict[dt.date, list[str]] = defaultdict(list)
    for found in islice(Inbox(folder).scan(), MOST_LOOKED_AT):
        if isinstance(found, Pair):
            names[day_of(found.received_at, first, today)].append(found.name)
        elif not found.waiting:
            names[today].append(found.name)
    return {day: hashlib.sha256("\0".join(found).encode()).hexdigest()[:16] for day, found in names.items()}
