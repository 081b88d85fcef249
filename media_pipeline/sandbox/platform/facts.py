"""What the platform side knows of a recording beyond the guide side: its state, its files, how long it is kept."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from media_pipeline.sandbox.faults import Call
from media_pipeline.sandbox.org import Recording

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State

TWO_FILES_SLOT = 22
SENSITIVE_SLOT = 24
EXPIRING_SLOT = 27
KEPT = dt.timedelta(days=365)
KEPT_EXPIRING = dt.timedelta(days=5)
ARCHIVED_AFTER = dt.timedelta(days=1)
SENSITIVE_PERMISSION = "recording:recording:viewSensitiveData"

_STATES = {"processing": "UPLOADING", "no_file": "ARCHIVED", "missing": "DELETED"}
_PART_ORDINALS = 1 << 60


def file_state(state: State, recording: Recording) -> str:
    """`fileState` as RecordingMetadata has it; the fault `file_state` may change it."""
    known = "DELETED" if is_deleted(state, recording) else _STATES.get(recording.kind.name, "AVAILABLE")
    return state.rules.through(("file_state",), Call("batch_state", state.listing.wire_id(recording)), known)


def is_withheld(state: State, recording: Recording) -> bool:
    """Whether it holds sensitive data this client may not see: batches leave it out without a word."""
    return recording.slot == SENSITIVE_SLOT and SENSITIVE_PERMISSION not in state.permissions


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """What a client set of a recording, in either dialect; None = as the org has it."""

    delete_date: dt.datetime | None = None
    archive_date: dt.datetime | None = None


UNCHANGED = Change()


def is_deleted(state: State, recording: Recording) -> bool:
    """Whether the date a client set for its deletion has come, and nobody protects its conversation."""
    changed = state.changes.get(recording.ordinal, UNCHANGED).delete_date
    if changed is None or state.clock.now() < changed:
        return False
    return state.conversations.of_recording(recording).id not in state.protected


def delete_date(state: State, recording: Recording) -> dt.datetime:
    """When it is deleted: as a client set it, else by the org's policy after a year, or five days for slot 27."""
    changed = state.changes.get(recording.ordinal, UNCHANGED).delete_date
    if changed is not None:
        return changed
    return recording.created + (KEPT_EXPIRING if recording.slot == EXPIRING_SLOT else KEPT)


def archive_date(state: State, recording: Recording) -> dt.datetime | None:
    """When it was or will be archived; None when it will not."""
    changed = state.changes.get(recording.ordinal, UNCHANGED).archive_date
    if changed is not None:
        return changed
    return recording.created + ARCHIVED_AFTER if recording.kind.name == "no_file" else None


def parts(recording: Recording) -> tuple[Recording, ...]:
    """Its files: one, or two for slot 22; the first has the guide's bytes, the second is another call's."""
    return (recording, second_part(recording)) if has_two_files(recording) else (recording,)


def has_two_files(recording: Recording) -> bool:
    """Whether a batch names it twice."""
    return recording.slot == TWO_FILES_SLOT


def second_part(recording: Recording) -> Recording:
    """The second file as a recording of its own, as far as bytes go."""
    return dataclasses.replace(recording, ordinal=recording.ordinal + _PART_ORDINALS, number=recording.number ^ 0xFF)


def file_name(recording: Recording, part: int) -> str:
    """The name of a file behind a link; names sort in the order of parts."""
    return recording.id if part == 0 else f"{recording.id}.{part}"


def content_type(recording: Recording) -> str:
    """The `contentType` of a batch result; unlike the file's header it names the codec of an Ogg that is opus."""
    return "audio/ogg; codecs=opus" if recording.kind.codec == "opus" else recording.content_type
