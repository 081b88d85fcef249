"""Where things lie below MEDIA_ROOT: the public layout, as functions of day and ids."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from urllib.parse import quote

MAX_KEY_BYTES = 120
OBJECT_SUFFIX = ".gz"
_DIGEST_CHARACTERS = 16
_PLAIN = re.compile(r"[A-Za-z0-9_-]*\Z")


TABLES_FOLDER = "tables"
MARTS_FOLDER = "marts"
COMPACTED_FOLDER = "compacted"
ONE_PART = "part-0"
ONE_FILE = f"{ONE_PART}.parquet"
"""A day's file of every table and mart but export_runs."""
UNREDACTED_FOLDER = "unredacted"
"""Beside all that is shared: so that a bucket's policy can keep it from everybody who reads the rest."""


def newest_finished_day() -> dt.date:
    """Yesterday, in UTC."""
    return dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)


def days_to_export(first: dt.date, last: dt.date, start: dt.date, newest: dt.date) -> list[dt.date]:
    """The days of a range, both included; raises ValueError with what to change unless each can be exported."""
    if last < first:
        raise ValueError(f"The range ends ({last}) before it begins ({first}); swap the two days.")
    if last > newest:
        raise ValueError(f"{last} is not finished: the newest day that can be exported is {newest} (UTC).")
    if first < start:
        raise ValueError(f"{first} is before MEDIA_START_DATE={start}; set it to {first} or earlier to export it.")
    return [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]


def table_key(table: str, day: dt.date, part: str = ONE_PART, folder: str = TABLES_FOLDER) -> str:
    """The Parquet file of one table's day."""
    return f"{folder}/{table}/date={day}/{part}.parquet"


def audio_prefix(day: dt.date) -> str:
    """The folder of a day's objects, with a trailing slash."""
    return f"audio/date={day}/"


def silenced_key(object_key: str) -> str:
    """Where the copy of an object lies in which redacted segments are silent."""
    return f"redacted/{object_key}"


def thumbnail_key(day: dt.date, interaction_id: str, media_id: str, recording_id: str | None, file_index: int) -> str:
    """The JPEG of one media object; an id that was made up is only its interaction's."""
    if recording_id is None:
        stem = f"{safe_name(interaction_id)}.{safe_name(media_id)}"
    else:
        stem = safe_name(recording_id) + ("" if media_id == recording_id else f".{file_index}")
    return f"{thumbnail_prefix(day)}{stem}.jpg"


def thumbnail_prefix(day: dt.date) -> str:
    """The folder of a day's thumbnails, with a trailing slash."""
    return f"thumbnails/date={day}/"


def waveform_key(day: dt.date, recording_id: str, file_index: int) -> str:
    """What a page draws of a recording's file; recordings with one file have index 0."""
    return f"waveforms/date={day}/{safe_name(recording_id)}.{file_index}.json"


def search_key(day: dt.date) -> str:
    """The full-text index of a day's calls."""
    return f"{search_prefix(day)}calls.sqlite"


def search_prefix(day: dt.date) -> str:
    """The folder of a day's full-text index, with a trailing slash."""
    return f"search/date={day}/"


def uploads_prefix(day: dt.date) -> str:
    """The folder of the files that guests sent, by the day they were noticed, with a trailing slash."""
    return f"uploads/date={day}/"


def upload_stem(day: dt.date, file_id: str) -> str:
    """What the keys of a guest's file begin with, and no other's."""
    return f"{uploads_prefix(day)}{safe_name(file_id)}."


def upload_key(day: dt.date, file_id: str, sha256: str, extension: str) -> str:
    """The object of a guest's file: its id and the hash of its bytes, nothing that the guest chose."""
    return f"{upload_stem(day, file_id)}{sha256}.{extension}"


def report_key(day: dt.date, name: str) -> str:
    """A day's report file."""
    return f"reports/date={day}/{name}"


REPORTS_PREFIX = "reports/"
REPORT_PAGE = "index.html"
CALENDAR_KEY = REPORTS_PREFIX + REPORT_PAGE
"""The page of all days."""
CALENDAR_DAYS_KEY = REPORTS_PREFIX + "days.json"
"""What that page says of each day."""


def audit_key(day: dt.date, run_id: str) -> str:
    """The audit log of one run of one day."""
    return f"audit/date={day}/{safe_name(run_id)}.jsonl"


def ledger_prefix(day: dt.date) -> str:
    """The folder of what runs of a day have settled and no table has yet, with a trailing slash."""
    return f"ledger/date={day}/"


RETENTION_NEW = "retention/new/"
"""What was scheduled for deletion and is not in its table yet."""
RETENTION_HOLDS = "retention/holds/"
RETENTION_DAYS = "retention/days.json"
"""Which days of media_retention have something to do, and from when on."""
RETENTION_LEASE = "leases/retention.json"


VOICE_STATES = "voice/"
"""How far each voice message that is on its way has come."""


def voice_state_key(message_key: str) -> str:
    """The object that says how far a voice message has come."""
    return f"{VOICE_STATES}{safe_name(message_key)}.json"


def written_back_key(what: str, day: dt.date) -> str:
    """What is known of an org's copy of what we wrote back."""
    return f"write_back/date={day}/{what}.jsonl"


OUTBOX_PREFIX = "outbox/"
"""Events that runs have announced and that no deliverer has taken yet."""
CHECKING_PREFIX = "announced/checking/"
"""Days whose report is being written: whether they are complete is announced right after."""


def outbox_key(day: dt.date, run_id: str, number: int) -> str:
    """One batch of announced events; `number` in ns since 1970 puts batches in order."""
    return f"{OUTBOX_PREFIX}{number:020d}.{day}.{safe_name(run_id)}.jsonl"


def announced_key(day: dt.date, event_type: str) -> str:
    """What was announced of a day, so that it is announced again only when it changed."""
    return f"announced/date={day}/{event_type}.json"


def checking_key(day: dt.date) -> str:
    """The note that a day's completeness is about to be announced."""
    return f"{CHECKING_PREFIX}date={day}.json"


def plan_key(first: dt.date, last: dt.date) -> str:
    """The plan of a backfill of these days, both included."""
    return f"plans/{first}_{last}.json"


def lease_key(day: dt.date, work: str = "") -> str:
    """The object that says which run works on a day: exports it, or does other work that keeps out of its way."""
    return f"leases/date={day}{work and '.' + work}.json"


def cursor_key(name: str) -> str:
    """The object that says how far something was read."""
    return f"cursors/{safe_name(name)}.json"


def work_lease_key(work: str) -> str:
    """The object that says which run does work that belongs to no day."""
    return f"leases/{safe_name(work)}.json"


def safe_name(identifier: str) -> str:
    """An id as a file name: bytes outside [A-Za-z0-9_-] become %XX; over 120 bytes, a prefix and a digest."""
    # quote() leaves '.' and '~' alone
    name = (
        identifier if _PLAIN.match(identifier) else quote(identifier, safe="").replace(".", "%2E").replace("~", "%7E")
    )
    if len(name) <= MAX_KEY_BYTES:
        return name
    digest = hashlib.sha256(identifier.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    prefix = re.sub(r"%.?\Z", "", name[: MAX_KEY_BYTES - _DIGEST_CHARACTERS - 1])  # never half an escape
    return f"{prefix}-{digest}"


def is_file_of(identifier: str, key: str) -> bool:
    """Whether an object's file name begins with this id: a recording's audio, copies, thumbnails and waveforms do."""
    return key.rpartition("/")[2].partition(".")[0] == safe_name(identifier)


def object_stem(day: dt.date, recording_id: str, file_index: int, several_files: bool) -> str:
    """The object key of a recording's file without `.<format>.gz`."""
    return audio_prefix(day) + safe_name(recording_id) + (f".{file_index}" if several_files else "")


def object_key(day: dt.date, recording_id: str, file_index: int, several_files: bool, media_format: str | None) -> str:
    """The object key of a recording's file."""
    return f"{object_stem(day, recording_id, file_index, several_files)}.{media_format}{OBJECT_SUFFIX}"
