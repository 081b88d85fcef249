"""Which files of guests are about to die without an outcome, and how many have; by the tables alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from media_pipeline.messaging.pending import UPLOADS
from media_pipeline.messaging.uploads import EXPIRED, Wanted, wanted_files
from media_pipeline.tables.partition import Tables


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How many files have no outcome, those of them that die soon (the first first), and how many are lost."""

    open: int
    soon: list[Wanted]
    lost: int


def guest_deadlines(tables: Tables, now: dt.datetime, warning: dt.timedelta) -> Deadlines:
    """Of today and the two days before: what may die within so long from now.

    A file whose message has no time may be a minute old or as old as its day. Such a one counts once a try has failed,
    and from its day's end on; else every new file would raise an alarm in the evening.
    """
    days = [now.date() - dt.timedelta(days=n) for n in (2, 1, 0)]
    count, lost, soon = 0, 0, []
    for day in days:
        statuses = {row["file_id"]: row["status"] for row in tables.rows(UPLOADS, day, ["file_id", "status"])}
        lost += sum(status == EXPIRED for status in statuses.values())
        for wanted in wanted_files(tables, day):
            count += 1
            is_known = wanted.event["sent_at"] is not None or wanted.file_id in statuses or day < now.date()
            if is_known and wanted.dies_at - now < warning:
                soon.append(wanted)
    return Deadlines(count, sorted(soon, key=lambda one: one.dies_at), lost)
