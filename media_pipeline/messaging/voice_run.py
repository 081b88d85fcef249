"""One run over the inbox: a day's messages, conversation by conversation in the order they were received.

A message's files leave the inbox after its row is durable, and what is remembered of its way goes last: a run that is
killed anywhere leaves the next one enough to go on.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from media_pipeline.genesys.messaging_source import VoiceTarget
from media_pipeline.messaging.inbox import METADATA_SUFFIX, Inbox, NotReady, Pair
from media_pipeline.messaging.retention import Ledger
from media_pipeline.messaging.voice_aside import expire, settle_pair
from media_pipeline.messaging.voice_intake import Ready, day_of, judged, rejected, unreadable
from media_pipeline.messaging.voice_sending import Delivery
from media_pipeline.messaging.voice_state import DONE, READY, WAITING, WOULD_SEND, Progress, States
from media_pipeline.messaging.voice_table import VoiceTable
from media_pipeline.tables.partition import Row, Tables
from media_pipeline.transfer.parallel import ordered_map

RUN_SECONDS = 300.0
SAVE_SECONDS = 2.0
"""How often settled messages get their rows: a day's table is written whole."""
SICK = 5
"""So many messages in a row that had to wait, and the rest waits for the next run."""


class Emit(Protocol):
    """The audit log's `emit`."""

    def __call__(self, event: str, recording_id: str | None = None, **facts: object) -> None:
        """Append one event."""


@dataclass(slots=True)
class Tally:
    """What a run did: messages by status, what was there twice, files that make no pair yet, and who needs a person."""

    statuses: Counter[str] = field(default_factory=Counter)
    again: int = 0
    incomplete: int = 0
    expired: int = 0
    left: int = 0
    """Messages that were not begun: time was over, or the source failed one after the other."""
    troubled: list[Row] = field(default_factory=list)
    rows: int = 0


@dataclass(slots=True)
class _Task:
    """A pair, or what is left of a message whose pair is gone; `unreadable`: files that make no pair."""

    pair: Pair | None = None
    left: Progress | None = None
    unreadable: NotReady | None = None
    result: Progress | None = None
    same: bool = False
    """It was settled before."""

    @property
    def order(self) -> tuple[dt.datetime, str]:
        if self.pair is not None:
            return self.pair.received_at, self.pair.name
        return (self.left.received_at, self.left.name) if self.left else (dt.datetime.min.replace(tzinfo=dt.UTC), "")


def utc_now() -> dt.datetime:
    """This machine's clock."""
    return dt.datetime.now(dt.UTC)


class VoiceRun:
    """A run of one day, by whoever has the lease."""

    def __init__(
        self,
        tables: Tables,
        inbox: Inbox,
        target: VoiceTarget,
        day: dt.date,
        *,
        first: dt.date,
        allowed: bool,
        spool: Path,
        emit: Emit,
        still_ours: Callable[[], None],
        threads: int,
        now: Callable[[], dt.datetime] = utc_now,
        seconds: float = RUN_SECONDS,
    ) -> None:
        """`allowed`: MEDIA_ALLOW_WRITE_BACK; `first`: the first day there is."""
        self._inbox, self._target, self._day, self._first, self._allowed = inbox, target, day, first, allowed
        self._spool, self._emit, self._still_ours, self._threads, self._now = spool, emit, still_ours, threads, now
        self._ends = time.monotonic() + seconds
        self._today = now().date()
        self._table = VoiceTable(tables, day, self._today)
        self._states, self._ledger = States(tables.store), Ledger(tables.store)
        self._under_way = {progress.message_key: progress for progress in self._states.all()}
        self._claimed: set[str] = set()
        self._lock = threading.Lock()
        self._waits = 0
        self._unsaved: list[_Task] = []
        self._saved_at = time.monotonic()
        self.tally = Tally()

    def run(self) -> Tally:
        """Work the inbox; raises permanent GenesysErrors and StorageError after what was settled has its rows."""
        try:
            for done in ordered_map(self._conversation, self._conversations(), threads=self._threads):
                self._unsaved += done
                if time.monotonic() - self._saved_at >= SAVE_SECONDS:
                    self._save()
            for done in ordered_map(self._conversation, self._left_over(), threads=self._threads):
                self._unsaved += done
        finally:
            self._save()
        self.tally.expired = expire(self._inbox)
        self.tally.troubled, self.tally.rows = self._table.troubled(), self._table.count(self._day)
        return self.tally

    def _conversations(self) -> list[list[_Task]]:
        """What waits in the inbox for this day; each conversation's in order."""
        groups: defaultdict[str, list[_Task]] = defaultdict(list)
        for found in self._inbox.scan():
            if isinstance(found, Pair):
                if day_of(found.received_at, self._first, self._today) == self._day:
                    groups[found.message.conversation_id].append(_Task(pair=found))
            elif found.waiting:
                self.tally.incomplete += 1
            else:
                groups[""].append(_Task(unreadable=found))
        for tasks in groups.values():
            tasks.sort(key=lambda task: task.order)
        return list(groups.values())

    def _left_over(self) -> Iterator[list[_Task]]:
        """Messages on their way whose pair is not in the inbox any more."""
        waiting = {found.name for found in self._inbox.scan()}
        for progress in self._under_way.values():
            ours = progress.day == self._day and progress.message_key not in self._claimed
            if ours and (progress.settled or progress.name not in waiting):
                yield [_Task(left=progress)]

    def _conversation(self, tasks: list[_Task]) -> list[_Task]:
        """The messages of one conversation, until one has to wait: those behind it must not overtake it."""
        done: list[_Task] = []
        for task in tasks:
            if time.monotonic() >= self._ends or self._waits >= SICK:
                with self._lock:
                    self.tally.left += 1
                continue
            self._work(task)
            if task.result is not None:
                done.append(task)
                if task.result.status == WAITING:
                    break
        return done

    def _work(self, task: _Task) -> None:
        if task.left is not None:
            task.result = self._delivered(task.left, None)
        elif task.unreadable is not None:
            metadata = self._inbox.folder / f"{task.unreadable.name}{METADATA_SUFFIX}"
            task.result = unreadable(task.unreadable, metadata, self._day)
            if task.result is not None:
                self._states.put(task.result)
        elif task.pair is not None:
            self._work_pair(task, task.pair)

    def _work_pair(self, task: _Task, pair: Pair) -> None:
        found = judged(pair, self._day, self._table.rows, self._spool)
        if found is None:
            with self._lock:
                self.tally.incomplete += 1
            return
        ready, progress = (found, found.progress) if isinstance(found, Ready) else (None, found)
        with self._lock:
            if progress.message_key in self._claimed:
                return  # another pair of the same key is at work: looked at again with the next run
            self._claimed.add(progress.message_key)
        known, settled = self._under_way.get(progress.message_key), self._table.settled(progress.message_key)
        before = known.row() if known is not None else settled
        if before is not None and not _same(before, progress):
            key = progress.message_key[:16] + (progress.sha256 or progress.message_key)[:16]
            sentence = "Its key is that of another message, which had other audio or another conversation."
            task.result = dataclasses.replace(rejected(progress, "key_taken", sentence), message_key=key)
            self._states.put(task.result)
        elif known is not None and (ready is not None or known.step != READY):
            task.result = self._delivered(dataclasses.replace(known, name=pair.name), ready)
        elif settled is not None and known is None:
            task.result, task.same = _as_it_was(progress, settled), True
        elif ready is None:
            self._states.put(progress)
            task.result = progress
        else:
            task.result = self._delivered(progress, ready)

    def _delivered(self, progress: Progress, ready: Ready | None) -> Progress:
        """As far as it comes now."""
        if progress.settled:
            return progress
        if not self._allowed:
            begun = progress.attempts > 0
            return dataclasses.replace(
                progress,
                status=WAITING if begun else WOULD_SEND,
                reason="switched_off",
                detail="MEDIA_ALLOW_WRITE_BACK is not 1: nothing is sent.",
            )
        texts = self._table.texts[progress.conversation_id or ""]
        delivery = Delivery(
            progress,
            ready.voice if ready else None,
            ready.audio if ready else None,
            target=self._target,
            states=self._states,
            ledger=self._ledger,
            texts=texts,
            still_ours=self._still_ours,
            now=self._now,
        )
        result = delivery.run()
        if result.transcript_message_id:
            texts.add(result.transcript_message_id)
        self._waits = self._waits + 1 if delivery.is_source_sick else 0
        return result

    def _save(self) -> None:
        """Rows first, then the files, then what is remembered of the way."""
        tasks, self._unsaved = self._unsaved, []
        for task in tasks:
            if task.result is not None and not task.same:
                self._table.add(task.result)
        self._still_ours()
        self._table.save()
        for task in tasks:
            progress = task.result
            if progress is None:
                continue
            self.tally.statuses[progress.status] += not task.same
            self.tally.again += task.same
            if progress.settled:
                settle_pair(self._inbox, progress, task.pair.message if task.pair else None)
                self._states.remove(progress.message_key)
            if not task.same and progress.status != WOULD_SEND:
                self._emit(
                    f"voice_message_{progress.status}",
                    message_key=progress.message_key,
                    conversation_id=progress.conversation_id,
                    reason=progress.reason,
                    media_id=progress.media_id,
                    message_id=progress.message_id,
                    attempts=progress.attempts,
                )
        self._saved_at = time.monotonic()


def _same(before: Row, progress: Progress) -> bool:
    """Whether a key that was seen is the same message's."""
    names = ("conversation_id", "sha256")
    return all(before[name] == getattr(progress, name) for name in names)


def _as_it_was(progress: Progress, row: Row) -> Progress:
    """A message that was settled before and is here again."""
    return dataclasses.replace(progress, step=DONE, status=row["status"], reason=row["reason"])
