"""Whether what is exported can land: MEDIA_ROOT on disk or in S3, MEDIA_SPOOL, and their space."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass

import pyarrow.compute as pc

from media_pipeline.doctor.findings import STORAGE, Finding
from media_pipeline.genesys.source import StorageUse
from media_pipeline.settings import Settings
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.drift import days_below
from media_pipeline.tables.partition import TableMissing, Tables

BYTES_PER_MB = 1_000_000
ROOT, SPOOL, AT_GENESYS = "MEDIA_ROOT", "MEDIA_SPOOL", "storage at Genesys"


@dataclass(frozen=True, slots=True)
class Transcribed:
    """How many recordings of the newest exported day have a transcript."""

    day: str
    available: int
    recordings: int


def look_at_root(settings: Settings) -> Finding:
    """The line about MEDIA_ROOT; raises StorageError, ConfigurationError."""
    store = open_store(settings.root, settings.spool, settings.concurrency)
    store.check_writable()
    free = store.free_bytes()
    if free is None:
        return Finding(STORAGE, ROOT, "ok", f"{store.url} can be written")
    return _space(ROOT, store.url, free, settings.min_available_mb)


def look_at_spool(settings: Settings) -> Finding:
    """The line about MEDIA_SPOOL."""
    spool = settings.spool
    try:
        spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=spool):
            pass
        free = shutil.disk_usage(spool).free
    except OSError as error:
        seen = f"{spool} cannot be written ({error.strerror})"
        return Finding(STORAGE, SPOOL, "fail", seen, "Set it to a local folder that this user may write.")
    return _space(SPOOL, str(spool), free, settings.min_available_mb)


def look_at_transcripts(settings: Settings) -> Transcribed | None:
    """What the newest exported day shows of transcripts; None without any, or without MEDIA_ROOT."""
    store = open_store(settings.root, settings.spool, settings.concurrency)
    day = max(days_below(store, "tables/transcript_status/"), default=None)
    if day is None:
        return None
    try:
        status = Tables(store).read("transcript_status", day, ["status"])["status"]
    except TableMissing:
        return None
    return Transcribed(str(day), pc.sum(pc.equal(status, "available")).as_py() or 0, len(status))


def use_of(use: StorageUse, min_available_mb: int) -> Finding:
    """The line about the org's own storage."""
    seen = f"{use.used_mb:,.0f} MB used, by {use.basis}"
    left = use.available_mb
    if left is None:
        return Finding(STORAGE, AT_GENESYS, "ok", f"{seen}; the API names no limit")
    seen += f"; {left:,.0f} MB of {use.limit_mb:,.0f} left"
    if left < min_available_mb:
        todo = f"Raise the quota, or lower MEDIA_MIN_AVAILABLE_MB={min_available_mb}: runs stop before they download."
        return Finding(STORAGE, AT_GENESYS, "fail", seen, todo)
    return Finding(STORAGE, AT_GENESYS, "ok", seen)


def _space(variable: str, where: str, free: int, least_mb: int) -> Finding:
    seen = f"{where}: {free / 1e9:,.1f} GB free"
    if free < least_mb * BYTES_PER_MB:
        todo = f"Free space, or lower MEDIA_MIN_AVAILABLE_MB={least_mb}: runs stop before they download."
        return Finding(STORAGE, variable, "fail", seen, todo)
    return Finding(STORAGE, variable, "ok", f"{seen} ({least_mb / 1e3:,.1f} reserved)")
