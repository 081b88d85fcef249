"""What a conversation is told of its guest's files: the keys of guide 002 and the object's key, never a URL.

The context is replaced as a whole in the guides' dialect and cannot be read there, so a conversation is always told of
all its files. One file has the plain keys; of several the newest has them (the last to expire, then by id), and each
has its own as `<key>.<file id>`, so that none takes another's facts away. What is confirmed is not sent again; a run
killed between a call and its record sends the same facts once more, which changes nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from media_pipeline.genesys.errors import GenesysError, PermissionMissing
from media_pipeline.genesys.messaging_source import MessagingSource
from media_pipeline.messaging.pending import STORED, UPLOADS
from media_pipeline.tables.partition import Row, TableMissing, Tables, rows_of
from media_pipeline.tables.paths import safe_name
from media_pipeline.tables.written_back import WrittenBack
from media_pipeline.transfer.parallel import ordered_map

DAYS_AROUND = 7
"""A conversation's files of so many days before and after are told of, too."""
SENT, WOULD_SEND, FAILED = "sent", "would_send", "failed"
MOST_ROUNDS = 5
"""How often files that another run stored meanwhile are taken in before the next run has to."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_COLUMNS = ["file_id", "conversation_id", "file_name", "detected_type", "size_bytes", "sha256", "object_key"]

Facts = dict[str, str | int | bool]


@dataclass(frozen=True, slots=True)
class Told:
    """What came of telling a conversation; `detail` where it failed."""

    context: str
    detail: str | None = None


def facts_of(files: Iterable[Row]) -> Facts:
    """The facts of a conversation's stored files, each with the `date` of its table."""
    ordered = sorted(files, key=lambda row: (row["date"], row["expires_at"] or _EPOCH, row["file_id"]))
    facts: Facts = {}
    if len(ordered) > 1:
        for row in ordered:
            facts |= {f"{key}.{safe_name(row['file_id'])}": value for key, value in _facts(row).items()}
    return facts | _facts(ordered[-1])


def _facts(row: Row) -> Facts:
    facts: Facts = {
        "media_processed": True,
        "content_type": row["detected_type"],
        "file_size": row["size_bytes"],
        "sha256_checksum": row["sha256"],
        "object_key": row["object_key"],
    }
    return facts | ({"original_filename": row["file_name"]} if row["file_name"] else {})


class Contexts:
    """Tells conversations of their files, for the run of one day; safe to use from threads."""

    def __init__(
        self,
        source: MessagingSource,
        tables: Tables,
        ledger: WrittenBack,
        day: dt.date,
        *,
        allowed: bool,
        still_ours: Callable[[], None],
        heard: Callable[[str, str, Told, float], None],
    ) -> None:
        """`heard` learns of each call: conversation, hash of the facts, what came of it, seconds."""
        self._source, self._tables, self._ledger, self._day = source, tables, ledger, day
        self._allowed, self._still_ours, self._heard = allowed, still_ours, heard

    def known(self, conversations: Collection[str]) -> dict[str, Facts]:
        """What is to be told now, by the tables: read after the run's own rows are there."""
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for n in range(-DAYS_AROUND, DAYS_AROUND + 1):
            day = self._day + dt.timedelta(days=n)
            for row in _stored(self._tables, day, conversations):
                found[row["conversation_id"]].append(row | {"date": day})
        return {conversation_id: facts_of(files) for conversation_id, files in found.items()}

    def tell(self, conversation_id: str, facts: Mapping[str, str | int | bool]) -> Told:
        """Tell one conversation, unless it knows; raises permanent GenesysErrors that are not about it alone."""
        if not self._allowed:
            return Told(WOULD_SEND)
        sha256 = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        if self._ledger.is_confirmed(conversation_id, sha256):
            return Told(SENT)
        self._still_ours()
        self._ledger.intend(conversation_id, sha256)
        began = time.monotonic()
        told = self._sent(conversation_id, facts)
        if told.context == SENT:
            self._ledger.confirm(conversation_id, sha256)
        self._heard(conversation_id, sha256, told, time.monotonic() - began)
        return told

    def _sent(self, conversation_id: str, facts: Mapping[str, str | int | bool]) -> Told:
        try:
            self._source.tell_context(conversation_id, facts)
        except GenesysError as error:
            if error.permanent and not isinstance(error, PermissionMissing):
                raise
            return Told(FAILED, f"Its conversation was not told of it: {error}")
        return Told(SENT)


def tell_all(contexts: Contexts, conversations: Collection[str], threads: int) -> dict[str, Told]:
    """Tell these conversations, and once more those that another day's run stored a file of meanwhile."""
    told: dict[str, Told] = {}
    facts_told: dict[str, Facts] = {}
    for _ in range(MOST_ROUNDS):
        known = contexts.known(conversations)
        todo = [pair for pair in sorted(known.items()) if facts_told.get(pair[0]) != pair[1]]
        if not todo:
            break
        results = ordered_map(lambda pair: contexts.tell(*pair), todo, threads=threads)
        for (conversation_id, facts), result in zip(todo, results, strict=True):
            told[conversation_id], facts_told[conversation_id] = result, facts
    return told


def _stored(tables: Tables, day: dt.date, conversations: Collection[str]) -> Iterator[Row]:
    try:
        table = tables.read(UPLOADS, day, [*_COLUMNS, "status", "expires_at"])
    except TableMissing:
        return
    of_these = pc.is_in(table["conversation_id"], value_set=pa.array(list(conversations), pa.string()))
    yield from rows_of(table.filter(pc.and_(of_these, pc.equal(table["status"], STORED))))
