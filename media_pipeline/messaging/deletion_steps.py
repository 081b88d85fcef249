"""One step with one entry: what is asked of the source, and what the entry says afterwards.

    mark (durable) ── verify our copy ── look at the holds ── delete ── confirm ── certificate

The mark comes before the holds are read, and whoever adds a hold looks for marks after it is written: one of the two
sees the other. The look at the holds is the last thing before a request goes out, behind all waiting for the rate
budget, and before each try.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from media_pipeline.genesys.errors import GenesysError, NotFound, PermissionMissing, RateLimited, Refused
from media_pipeline.genesys.messaging_source import Doomed, RetentionTarget
from media_pipeline.messaging.copies import OnlyCopy, sha256_of, verified
from media_pipeline.messaging.deciding import (
    DELETED,
    FAILED,
    GONE,
    HELD,
    MARKED,
    NOT_OFFERED,
    REFUSED,
    RETENTION_SET,
    SCHEDULED,
    TRIES,
    WITHDRAWN,
    WOULD_DELETE,
    Step,
    told,
)
from media_pipeline.messaging.holds import Hold, Holds
from media_pipeline.messaging.retention import ATTACHMENT, LOCAL, RECORDING
from media_pipeline.storage.base import ObjectStore, StorageError
from media_pipeline.tables.partition import Row

IN_DOUBT = "in_doubt"


class Kept(Exception):
    """A hold, or a later deadline, came between the choice of an entry and its request."""

    def __init__(self, hold: Hold | None) -> None:
        super().__init__("kept")
        self.hold = hold


class Steps:
    """The steps of one run; `later`: deadlines that were put off since it began."""

    def __init__(
        self,
        store: ObjectStore,
        target: RetentionTarget | None,
        holds: Holds,
        *,
        now: Callable[[], dt.datetime],
        still_ours: Callable[[], None],
        later: Callable[[str], dt.datetime | None],
    ) -> None:
        self._store, self._target, self._holds = store, target, holds
        self._now, self._still_ours, self._later = now, still_ours, later
        self.failures_in_a_row = 0
        """Of the source, not of single entries."""

    def marked(self, row: Row, step: Step) -> Row:
        """What must be durable before a request: that it may be sent, and what it would tell the source."""
        if step == "set":
            lifetimes = self._source.lifetimes
            said = lifetimes.retention_of(doomed(row), row["ttl_seconds"]) if lifetimes else None
            return row | {"source_retention": said or NOT_OFFERED, "source": self._source.dialect}
        if step != "delete":
            return row
        if row["kind"] == LOCAL:
            return row | {"state": MARKED, "source": "local"}
        marked = row | {"state": MARKED, "source": self._source.dialect}
        deletion = self._source.deletion_of(doomed(row), max(row["due"], self._now()))
        if deletion is not None:
            marked |= {"source_retention": deletion[0], "source_delete_date": deletion[1]}
        return marked

    def done(self, before: Row, row: Row, step: Step) -> Row:
        """The entry after its step; errors about it become part of it, other errors are raised."""
        try:
            after = self._do(before, row, step)
        except Kept as kept:
            return before if kept.hold is None else self._kept(before, kept.hold)
        except OnlyCopy as problem:
            return _again(before, problem.reason, str(problem), FAILED)
        except NotFound:
            after = self._gone(before, row, None)
        except (PermissionMissing, Refused) as error:
            reason = "forbidden" if isinstance(error, PermissionMissing) else "refused"
            return _again(before, reason, str(error), FAILED)
        except GenesysError as error:
            if error.permanent:
                raise
            self.failures_in_a_row += 1
            known = before if isinstance(error, RateLimited) else row  # after a 429 the source knows nothing of it
            return _again(known | {"state": before["state"]}, error.reason, str(error))
        self.failures_in_a_row = 0
        return after

    def _do(self, before: Row, row: Row, step: Step) -> Row:
        match step:
            case "set":
                return self._set(row)
            case "delete":
                return self._delete_object(before, row) if row["kind"] == LOCAL else self._delete(before, row)
            case "confirm":
                return self._confirm(row)
            case "hold" | "withdraw":
                hold = self._holds.covering(row, self._now())
                return row if hold is None else self._kept(row, hold)
            case "free":
                return _freed(row)
            case "would_delete":
                detail = "MEDIA_ALLOW_REMOTE_DELETE is not 1: nothing is deleted at Genesys Cloud."
                changes = {"state": WOULD_DELETE, "reason": "switched_off", "detail": detail}
            case "not_offered":
                detail = "Genesys Cloud deletes no attachment of a message, and no recording without its conversation."
                changes = {"state": NOT_OFFERED, "reason": "not_offered", "detail": detail}
                changes["source_retention"] = NOT_OFFERED
        return row | changes | {"source": self._target.dialect if self._target else None}

    def _set(self, row: Row) -> Row:
        """Tell the source when to let go of it by itself: a safety net below our own deletion."""
        lifetimes = self._source.lifetimes
        if lifetimes is None or row["source_retention"] == NOT_OFFERED:
            return row
        verified(self._store, row)
        try:
            lifetimes.set_retention(doomed(row), row["source_retention"], self._look(row))
        except Refused as error:
            return row | {"source_retention": REFUSED, "reason": "bad_retention", "detail": str(error), "attempts": 0}
        return row | {"state": RETENTION_SET, "attempts": 0, "reason": None, "detail": None}

    def _delete(self, before: Row, row: Row) -> Row:
        sha256 = verified(self._store, row)
        media, look = doomed(row), self._look(row)
        date = row["source_delete_date"] if row["kind"] == RECORDING else None
        try:
            self._source.delete(media, None if date is None else (row["source_retention"], date), look)
        except NotFound:
            return self._gone(before, row, sha256)
        if date is not None:
            return row | {"state": RETENTION_SET, "attempts": 0, "reason": "ordered", "detail": None}
        try:
            if not self._source.is_gone(media, look):
                return _again(before, "not_confirmed", "The source still has what it said was deleted.")
        except Kept:
            pass  # the deletion was answered before the hold came
        return _certified(row, "deleted", sha256)

    def _delete_object(self, before: Row, row: Row) -> Row:
        copy = verified(self._store, row)
        key = row["subject_id"]
        sha256 = sha256_of(self._store, key, gzip=False)
        if sha256 is None:
            return self._gone(before, row, copy)
        if row["copy_key"] is None and row["sha256"] not in (None, sha256):
            raise OnlyCopy("changed", f"The object {key} is not what was scheduled: look at it, then schedule it anew.")
        self._look(row)()
        self._store.remove(key)
        return _certified(row, "deleted", sha256) | {"hash_basis": "read_before"}

    def _confirm(self, row: Row) -> Row:
        if not self._source.is_gone(doomed(row), self._look(row)):
            return _again(row, "not_yet", "The source has not deleted it on its date.")
        return _certified(row, "deleted_by_source", row["sha256"] if row["keeps_copy"] else None)

    def _kept(self, before: Row, hold: Hold) -> Row:
        """Held; and taken back from a source that would delete it by itself."""
        held = _held(before, hold)
        if not (told(before) or before["source_retention"] == WITHDRAWN) or before["kind"] == LOCAL:
            return held
        try:
            until = self._source.keep_until(doomed(before), before["due"], self._now())
        except NotFound:
            sentence = f"It was gone when the hold {hold.hold_id} asked for it back."
            return self._gone(before, before, None) | {"reason": "gone_before_hold", "detail": sentence}
        except GenesysError as error:
            if error.permanent and not isinstance(error, PermissionMissing):
                raise
            self.failures_in_a_row += 1
            return held | {"reason": "not_withdrawn", "detail": str(error)}
        return held | {"source_retention": WITHDRAWN, "source_delete_date": until}

    def _gone(self, before: Row, row: Row, verified_sha256: str | None) -> Row:
        """The source does not have it: by us, by what we told it, or before we came."""
        if before["state"] == MARKED or before["attempts"]:
            return _certified(row, "deleted", verified_sha256)
        if told(before) and self._now() >= before["due"]:
            return _certified(row, "deleted_by_source", verified_sha256)
        return row | {
            "state": GONE,
            "reason": "gone_before",
            "detail": None,
            "hold_id": None,
            "certificate": "gone_before",
        }

    def _look(self, row: Row) -> Callable[[], None]:
        """The last look: raises Kept where a hold or a later deadline came since the entry was chosen."""

        def look() -> None:
            self._still_ours()
            self._holds.look()
            now = self._now()
            hold = self._holds.covering(row, now)
            due = self._later(row["entry_id"])
            if hold is not None or (due is not None and due > now):
                raise Kept(hold)

        return look

    @property
    def _source(self) -> RetentionTarget:
        if self._target is None:
            raise StorageError("Nothing can be changed at Genesys Cloud without a connection to it.")
        return self._target


def doomed(row: Row) -> Doomed:
    """The entry's thing as the source knows it."""
    return Doomed(
        kind="attachment" if row["kind"] == ATTACHMENT else "recording",
        id=row["subject_id"],
        conversation_id=row["conversation_id"],
    )


def _again(row: Row, reason: str, sentence: str, state: str | None = None) -> Row:
    """To be tried again later; `failed` once it was tried often."""
    attempts = row["attempts"] + 1
    state = state or (SCHEDULED if row["state"] == MARKED else row["state"])
    changes = {"state": FAILED if attempts >= TRIES else state, "reason": reason, "detail": sentence}
    return row | changes | {"attempts": attempts}


def _held(before: Row, hold: Hold) -> Row:
    """Kept by a hold; what a run that died had marked may be gone already, which only the source knows."""
    doubt = before["state"] == MARKED or before["certificate"] == IN_DOUBT
    return before | {
        "state": HELD,
        "hold_id": hold.hold_id,
        "reason": "marked_before_hold" if doubt else "hold",
        "detail": f"{hold.who}: {hold.why}",
        "certificate": IN_DOUBT if doubt else None,
    }


def _freed(row: Row) -> Row:
    """As it was scheduled; a deletion in doubt counts as a try, so that a 404 is not taken for somebody else's."""
    doubt = row["certificate"] == IN_DOUBT
    changes = {"state": SCHEDULED, "reason": None, "detail": None, "hold_id": None, "certificate": None}
    return row | changes | {"source_retention": None, "source_delete_date": None, "attempts": int(doubt)}


def _certified(row: Row, certificate: str, verified_sha256: str | None) -> Row:
    """Gone for good, and what is known of what went."""
    sha256 = verified_sha256 or row["sha256"]
    basis = "verified_copy" if verified_sha256 else "declared"
    return row | {
        "state": DELETED,
        "reason": None,
        "detail": None,
        "hold_id": None,
        "certificate": certificate,
        "destroyed_sha256": sha256,
        "hash_basis": basis if sha256 else None,
    }
