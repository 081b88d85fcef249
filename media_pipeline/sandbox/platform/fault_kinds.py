"""Fault kinds of the published API: jobs that end badly, batches that mislead, transcripts that cannot be read.

Stages: job_state · batch (the share that is ready) · file_state, batch_item (one recording's results) ·
batch_results (the whole list) · document (a transcript). What both dialects share is in `sandbox/fault_kinds`.
"""

from __future__ import annotations

import uuid
from typing import Any

from media_pipeline.sandbox.faults import Call, Kind, Params
from media_pipeline.sandbox.wire import Reply, reply

JOB_STATES = ("FAILED", "EXPIRED", "CANCELLED", "PENDING", "QUEUED")
FILE_STATES = ("AVAILABLE", "ARCHIVED", "RESTORING", "RESTORED", "UPLOADING", "ERROR", "DELETED")

Result = dict[str, Any]


def _named_state(params: Params, _: Call, __: str) -> str:
    return str(params["state"])


def _stuck(params: Params, _: Call, share: float) -> float:
    return min(share, float(params["share_ready"]), 0.999)


def _strangers(params: Params, _: Call, results: list[Result]) -> list[Result]:
    """The first results again, under ids nobody asked for."""
    whole = [each for each in results if "resultUrl" in each][: params["count"]]
    return results + [{**each, "recordingId": _other(each["recordingId"])} for each in whole]


def _other(recording_id: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, recording_id))


def _item_error(params: Params, _: Call, results: list[Result]) -> list[Result]:
    kept = ("conversationId", "recordingId")
    return [{key: each[key] for key in kept} | {"errorMsg": params["message"]} for each in results[:1]]


def _omitted(_: Params, __: Call, ___: list[Result]) -> list[Result]:
    return []


def _transcoding(_: Params, __: Call, ___: object) -> Reply:
    return reply(202, "application/json", b"")


def _broken_document(params: Params, _: Call, document: Result) -> object:
    how = params["how"]
    if how == "list":
        return [document]
    if how == "no_transcripts":
        return {key: value for key, value in document.items() if key != "transcripts"}
    transcript = document["transcripts"][0]
    phrases = [dict(phrase) for phrase in transcript["phrases"]]
    if how == "no_phrases":
        phrases = []
    for phrase in phrases[:1]:
        if how == "no_times":
            del phrase["startTimeMs"], phrase["duration"]
        elif how == "text_times":
            phrase["startTimeMs"] = "soon"
    return {**document, "transcripts": [{**transcript, "phrases": phrases}]}


def _long_document(params: Params, _: Call, document: Result) -> Result:
    """The same phrases again and again, each 10 ms after the one before it."""
    transcript = document["transcripts"][0]
    phrases, start = transcript["phrases"], transcript["startTime"]
    many = [
        {**phrases[number % len(phrases)], "startTimeMs": start + number * 10, "phraseIndex": number}
        for number in range(params["phrases"])
    ]
    return {**document, "transcripts": [{**transcript, "phrases": many}]}


KINDS: dict[str, Kind] = {
    "job_state": Kind(
        "job_state",
        ("job_state",),
        _named_state,
        {"state": "FAILED"},
        choices={"state": JOB_STATES},
        ends_credentials=True,  # a job that failed stays so; `times` counts jobs
    ),
    "batch_stuck": Kind("batch", ("batch_state",), _stuck, {"share_ready": 0.5}, ends_credentials=True),
    "batch_strangers": Kind("batch_results", ("batch_state",), _strangers, {"count": 3}, ends_credentials=True),
    "batch_error": Kind(
        "batch_item",
        ("batch_state",),
        _item_error,
        {"message": "An unexpected error occurred."},
        ends_credentials=True,  # the same at every poll of a batch; `times` counts batches
    ),
    "batch_omitted": Kind("batch_item", ("batch_state",), _omitted, ends_credentials=True),
    "file_state": Kind(
        "file_state", ("batch_state",), _named_state, {"state": "RESTORING"}, choices={"state": FILE_STATES}
    ),
    "transcoding": Kind("reply", ("recordings", "recording"), _transcoding),
    "transcript_broken": Kind(
        "document",
        ("transcript_file",),
        _broken_document,
        {"how": "no_transcripts"},
        choices={"how": ("no_transcripts", "no_phrases", "no_times", "text_times", "list")},
    ),
    "transcript_long": Kind("document", ("transcript_file",), _long_document, {"phrases": 100_000}),
}
