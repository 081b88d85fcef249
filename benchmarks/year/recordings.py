"""What the source lists of a day and what became of it: inventory, outcomes and the reports made of them, as Arrow."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np  # noqa: TID253  no code server imports a benchmark
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.year.columns import Numbers, Rng, digests, drawn, lists, numbers, picked, uuids, where
from benchmarks.year.org import Day, Org
from media_pipeline.tables.paths import audio_prefix
from media_pipeline.tables.schemas import TABLES
from media_pipeline.tables.schemas.columns import UTC_MS
from media_pipeline.transfer.outcome import REASONS, STORED

CODECS = ("wav", "mp3", "aac", "ogg")
Kind = tuple[str, str | None]
KINDS: dict[Kind, tuple[float, float]] = {
    ("call", "wav"): (0.76, 0.58),
    ("call", "mp3"): (0.08, 0.24),
    ("call", "ogg"): (0.05, 0.07),
    ("call", "opus"): (0.006, 0.004),
    ("screen", "mp4"): (0.06, 0.07),
    ("chat", "json"): (0.02, 0.02),
    ("email", "eml"): (0.01, 0.008),
    ("message", "json"): (0.004, 0.016),
}
"""Media type and format -> share on the first day and on the last."""
FORMATLESS = 0.002
STATES = {"available": 0.9943, "archived": 0.0022, "deleted": 0.003}
STATE_OF = {"source_error": "error", "not_delivered": "undelivered", "not_ready": "pending"}
"""What the listing says of files that end so; of others that they are available."""
CONTENT_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg", "opus": "audio/opus"}
BYTES_A_SECOND = {"wav": 16_000, "mp3": 4_000, "ogg": 3_200}
RATIO = {"wav": 1.69, "mp3": 1.003, "ogg": 1.02}
SECOND_FILE, TRANSFERRED, SAME_CONVERSATION = 0.004, 0.07, 0.05
EMPTY, MISSING, UNKNOWN_LENGTH, STATED_MD5 = 0.0012, 0.0008, 0.02, 0.3
MEDIAN_SECONDS, LONGEST_SECONDS = 190.0, 7_200.0
OPENS_AT, HOURS = 7.0, 13.0


@dataclass
class Files:
    """A day's files in the order of their keys; arrays have a value a file, `first` marks each recording's first."""

    day: Day
    recording_ids: pa.StringArray
    conversation_ids: pa.StringArray
    index: Numbers
    first: Numbers
    kind: Numbers
    formats: pa.StringArray
    seconds: Numbers
    reason: pa.StringArray
    agents: Numbers
    queues: Numbers
    parties: Numbers
    """How many agents took part: one or two, side by side in `agents` and `queues`."""

    @classmethod
    def made(cls, rng: Rng, day: Day, org: Org) -> Files:
        """The day's files, and how the way of each ends."""
        seconds_files = int(day.files * SECOND_FILE)
        recordings = day.files - seconds_files
        number_of = np.ones(recordings, dtype=np.int64)
        number_of[rng.choice(recordings, seconds_files, replace=False)] = 2
        owner = np.repeat(np.arange(recordings), number_of)
        index = np.arange(day.files) - (np.cumsum(number_of) - number_of)[owner]
        conversation = np.arange(recordings)
        joined = rng.random(recordings) < SAME_CONVERSATION
        conversation[joined] = rng.integers(0, recordings, int(joined.sum()))
        shares = {kind: a + (b - a) * day.position for kind, (a, b) in KINDS.items()}
        kind = drawn(rng, shares, recordings)
        formats = [media_format for _, media_format in KINDS]
        parties = 1 + (rng.random(recordings) < TRANSFERRED)
        agents = rng.choice(len(org.agents), (recordings, 2), p=org.agent_weights)
        queues = rng.choice(len(org.queues), (recordings, 2), p=org.queue_weights)
        files = cls(
            day=day,
            recording_ids=uuids(rng, recordings).take(pa.array(owner)),
            conversation_ids=digests_as_ids(rng, recordings).take(pa.array(conversation[owner])),
            index=index,
            first=index == 0,
            kind=kind[owner],
            formats=where(rng.random(day.files) >= FORMATLESS, picked(formats, kind[owner])),
            seconds=np.clip(rng.lognormal(np.log(MEDIAN_SECONDS), 0.8, day.files), 4, LONGEST_SECONDS).round(3),
            reason=pa.nulls(day.files, pa.string()),
            agents=agents[owner],
            queues=queues[owner],
            parties=parties[owner],
        )
        files.reason = _reasons(rng, day, files.formats)
        return files

    @property
    def status(self) -> pa.StringArray:
        """That of recording_audio."""
        statuses = [status for status, _ in REASONS.values()]
        found = picked(statuses, pc.fill_null(pc.index_in(self.reason, pa.array(list(REASONS))), 0).to_numpy())
        return pc.if_else(self.reason.is_null(), pa.scalar(STORED), found)

    @property
    def state(self) -> pa.StringArray:
        """file_state as listed."""
        own = {"archived": "archived", "deleted": "deleted", **STATE_OF}
        found = pc.index_in(self.reason, pa.array(list(own)))
        return pc.fill_null(pa.array(list(own.values())).take(found), "available")


def digests_as_ids(rng: Rng, count: int) -> pa.StringArray:
    """Ids in no order."""
    return uuids(rng, count).take(pa.array(rng.permutation(count)))


def _reasons(rng: Rng, day: Day, formats: pa.StringArray) -> pa.StringArray:
    """The last that applies to a file is what is said of it; most have none."""
    names: list[str | None] = [None, *REASONS]
    found = np.zeros(day.files, dtype=np.int64)
    chance = rng.random(day.files)
    start = 0.0
    happens = {"zero_bytes": EMPTY, "no_file": MISSING, **day.failures}
    for reason, share in happens.items():
        found[(chance >= start) & (chance < start + share)] = names.index(reason)
        start += share
    exported = pc.is_in(formats, pa.array(CODECS)).to_numpy(zero_copy_only=False)
    found[~exported] = names.index("codec")
    state = drawn(rng, STATES, day.files)
    for number, reason in enumerate(STATES):
        if reason in REASONS:
            found[state == number] = names.index(reason)
    return picked(names, found)


def inventory(rng: Rng, files: Files, org: Org) -> pa.Table:
    """recording_inventory."""
    count, day = files.day.files, files.day.date
    media_types = [media_type for media_type, _ in KINDS]
    is_call = np.array([media_type == "call" for media_type in media_types])[files.kind]
    moments = _moments(rng, day, count)[np.maximum.accumulate(np.where(files.first, np.arange(count), 0))]
    several = np.arange(2) < files.parties[:, None]
    agents, queues = (
        lists(picked(names, chosen[several]), files.parties)
        for names, chosen in ((org.agents, files.agents), (org.queues, files.queues))
    )
    sessions = np.where(is_call, files.parties, 0)
    columns = {
        "recording_id": files.recording_ids,
        "conversation_id": files.conversation_ids,
        "file_index": numbers(files.index, pa.int32()),
        "media_type": picked(media_types, files.kind),
        "format": files.formats,
        "codec_supported": pc.fill_null(pc.is_in(files.formats, pa.array(CODECS)), False),
        "started_at": pa.array(moments).cast(UTC_MS),
        "duration_seconds": numbers(files.seconds, pa.float64(), rng.random(count) >= UNKNOWN_LENGTH),
        "file_state": files.state,
        "communication_ids": lists(digests_as_ids(rng, int(sessions.sum())), sessions),
        "agent_ids": agents,
        "queue_ids": queues,
    }
    return table_of("recording_inventory", columns, count)


def _moments(rng: Rng, day: dt.date, count: int) -> Numbers:
    """When calls come: more before noon and in the afternoon, few at night; ms since 1970."""
    waves = np.where(rng.random(count) < 0.55, rng.normal(0.28, 0.1, count), rng.normal(0.62, 0.13, count))
    hours = np.where(rng.random(count) < 0.04, rng.uniform(0, 24, count), OPENS_AT + HOURS * waves)
    ms = (np.clip(hours, 0, 23.999) * 3_600_000).astype(np.int64)
    return np.datetime64(day, "ms") + ms.astype("timedelta64[ms]")


def audio(rng: Rng, files: Files) -> pa.Table:
    """recording_audio."""
    count = files.day.files
    stored = files.reason.is_null().to_numpy(zero_copy_only=False)
    source, held = _sizes(rng, files, stored)
    md5 = where(stored, digests(rng, count, 16))
    stated = stored & (rng.random(count) < STATED_MD5)
    sentences = {reason: sentence for reason, (_, sentence) in REASONS.items()}
    several = ~files.first | ~np.append(files.first[1:], True)
    suffix = picked(["", ".0", ".1"], np.where(several, files.index + 1, 0))
    key = pc.binary_join_element_wise(
        pa.scalar(audio_prefix(files.day.date)), files.recording_ids, suffix, ".", files.formats, ".gz", ""
    )
    basis = pc.if_else(pa.array(stated), pa.scalar("source_md5"), pa.scalar("length_and_range"))
    asked = stored | pc.fill_null(pc.equal(files.reason, "zero_bytes"), False).to_numpy(zero_copy_only=False)
    columns = {
        "recording_id": files.recording_ids,
        "conversation_id": files.conversation_ids,
        "file_index": numbers(files.index, pa.int32()),
        "status": files.status,
        "reason": files.reason,
        "detail": pa.array(list(sentences.values())).take(pc.index_in(files.reason, pa.array(list(sentences)))),
        "object_key": where(stored, key),
        "content_type": where(
            asked,
            pa.array(list(CONTENT_TYPES.values())).take(pc.index_in(files.formats, pa.array(list(CONTENT_TYPES)))),
        ),
        "source_size_bytes": numbers(source, pa.int64(), stored),
        "stored_size_bytes": numbers(held, pa.int64(), stored),
        "md5": md5,
        "sha256": where(stored, digests(rng, count, 32)),
        "source_md5": where(stated, md5),
        "integrity_basis": where(stored, basis),
        "listed_state": files.state,
    }
    return table_of("recording_audio", columns, count)


def _sizes(rng: Rng, files: Files, stored: Numbers) -> tuple[Numbers, Numbers]:
    """Bytes of the media and of its gzip object, where it is stored."""
    kinds = [media_format for _, media_format in KINDS]
    rate = np.array([BYTES_A_SECOND.get(kind or "", 0) for kind in kinds])[files.kind]
    ratio = np.array([RATIO.get(kind or "", 1.0) for kind in kinds])[files.kind]
    source = (files.seconds * rate).astype(np.int64) // 2 * 2 + 44
    spread = rng.lognormal(0.0, 0.06, len(source))
    held = (source / np.maximum(np.where(ratio > 1.1, ratio * spread, ratio), 1.0)).astype(np.int64) + 60
    return np.where(stored, source, 0), np.where(stored, held, 0)


def availability(inventory: pa.Table, audio: pa.Table, has_transcript: pa.Array) -> pa.Table:
    """availability_report, as media_pipeline.tables.reports computes it row by row."""
    status = audio["status"]
    columns = {
        **{name: audio[name] for name in ("recording_id", "conversation_id", "file_index", "reason", "md5", "sha256")},
        "status": pc.if_else(pc.equal(status, STORED), "available", status),
        "size_bytes": audio["source_size_bytes"],
        "created_at": inventory["started_at"],
        "has_transcript": has_transcript,
    }
    return table_of("availability_report", columns, audio.num_rows)


def utilization(inventory: pa.Table, audio: pa.Table) -> pa.Table:
    """storage_utilization, likewise."""
    stored = pc.equal(audio["status"], STORED)
    sizes = {name: pc.if_else(stored, audio[name], 0) for name in ("source_size_bytes", "stored_size_bytes")}
    files = inventory.select(["media_type", "format"]).append_column("recordings", pa.repeat(1, audio.num_rows))
    files = files.append_column("duration_seconds", pc.fill_null(inventory["duration_seconds"], 0.0))
    for name, size in sizes.items():
        files = files.append_column(name.replace("_size", ""), size)
    summed = ["recordings", "source_bytes", "stored_bytes", "duration_seconds"]
    groups = files.group_by(["media_type", "format"], use_threads=False).aggregate([(name, "sum") for name in summed])
    groups = groups.sort_by([("media_type", "ascending"), ("format", "ascending")])
    columns = {name: groups[name] for name in ("media_type", "format")}
    columns |= {name: groups[f"{name}_sum"] for name in summed}
    held = columns["stored_bytes"]
    known = pc.if_else(pc.equal(held, 0), pa.scalar(None, pa.float64()), held.cast(pa.float64()))
    columns["compression_ratio"] = pc.divide(columns["source_bytes"].cast(pa.float64()), known)
    return table_of("storage_utilization", columns, groups.num_rows)


def table_of(name: str, columns: dict[str, pa.Array], rows: int) -> pa.Table:
    """A table with its schema's columns, null where none are given."""
    schema = TABLES[name]
    arrays = [columns.get(field.name, pa.nulls(rows, field.type)) for field in schema]
    return pa.table(dict(zip(schema.names, arrays, strict=True))).cast(schema)
