"""Batches of download links: submitted a hundred at a time, waited for patiently, and read without trust (R5, R6).

What is done with the links belongs to `platform_links`; what a missing one means, to `platform_listing`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from media_pipeline.genesys.errors import MalformedReply, NotFound, ServerError
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.platform_polling import BATCH_DEADLINES, Pace, Paces, Waiter
from media_pipeline.genesys.redaction import redact
from media_pipeline.genesys.transport import Transport
from media_pipeline.genesys.values import count, items, text

BATCH_ITEMS = 100
"""The published maximum of one batch request."""
VAIN_CONFIRMATIONS = 3
"""A completed batch with fewer results than announced is asked once more, until that brought nothing so often."""
_SIGNATURE = re.compile("(?:X-Amz-|Expires=|Signature=|Key-Pair-Id=|Policy=|AWSAccessKeyId=)", re.IGNORECASE)
"""What signing adds to the query of a link: S3's signatures (versions 4 and 2), CloudFront's."""
_IDENTITY_BYTES = 8
"""Enough to tell the files of one recording apart."""

Key = tuple[str, str]
"""Conversation id and recording id."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One item of a batch request; without a recording id it means all recordings of the conversation."""

    conversation_id: str
    recording_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    """One file of a recording; the link is a secret."""

    link: str = field(repr=False)
    content_type: str | None

    @property
    def identity(self) -> str:
        """A digest of what stays the same when the link is signed anew."""
        place = "\0".join(_place(self.link)).encode("utf-8", "replace")
        return hashlib.blake2b(place, digest_size=_IDENTITY_BYTES).hexdigest()


@dataclass(slots=True)
class Job:
    """A batch request under way; times on the waiter's clock."""

    id: str
    wanted: tuple[Wanted, ...]
    submitted: float
    pace: Pace
    confirming: tuple[int, ...] | None = None
    """What was counted when it first said to be complete."""


@dataclass(slots=True)
class Delivery:
    """What a batch brought: files by recording in stable order; the source's words on what it could not deliver.

    `finished`: the source said it was done; else what is missing may still come. `signed_after`: when the links were
    signed at the earliest, on the waiter's clock. `missing`: results of a finished batch that were announced and never
    came.
    """

    signed_after: float
    finished: bool
    files: dict[Key, list[DeliveredFile]] = field(default_factory=dict)
    refused: dict[Key, str] = field(default_factory=dict)
    ignored: int = 0
    missing: int = 0
    _by_conversation: dict[str, list[str]] = field(default_factory=dict)

    def add(self, key: Key, file: DeliveredFile) -> None:
        """Add a file of a recording, once: signed twice, it is still the same."""
        if key not in self.files:
            self.files[key] = []
            self._by_conversation.setdefault(key[0], []).append(key[1])
        if all(_place(file.link) != _place(other.link) for other in self.files[key]):
            self.files[key].append(file)

    def of_conversation(self, conversation_id: str) -> Iterator[tuple[str, list[DeliveredFile]]]:
        """Its recordings and their files, in order of their ids."""
        for recording_id in sorted(self._by_conversation.get(conversation_id, ())):
            yield recording_id, self.files[conversation_id, recording_id]


class Batches:
    """Submits batch requests and waits for them; safe to use from threads."""

    def __init__(self, api: Transport, waiter: Waiter) -> None:
        self._api = api
        self._waiter = waiter
        self._paces = Paces(waiter)
        self._vain_confirmations = 0

    def submit(self, wanted: Sequence[Wanted]) -> Job:
        """Ask for links of at most 100 items."""
        entries = [
            {"conversationId": item.conversation_id}
            | ({} if item.recording_id is None else {"recordingId": item.recording_id})
            for item in wanted
        ]
        submitted = self._waiter.now()
        with _not_about_recordings():
            reply = self._api.call(
                "batch_submit",
                "POST",
                "/api/v2/recording/batchrequests",
                permission=needed_for("batch_submit"),
                body={"batchDownloadRequestList": entries},
                accepted=(200, 201, 202),
            )
        job_id = text(reply.get("id")) if isinstance(reply, dict) else None
        if job_id is None:
            raise MalformedReply("The reply to a batch request has no id.")
        return Job(job_id, tuple(wanted), submitted, self._paces.start(submitted))

    def collect(self, job: Job) -> Delivery:
        """Wait for a batch and read it; after ten minutes, what came so far, as not finished."""
        while True:
            self._waiter.sleep_until(self._paces.due(job.pace))
            delivery = self.asked(job)
            if delivery is not None:
                return delivery

    def first_of(self, jobs: Sequence[Job]) -> tuple[Job, Delivery]:
        """Wait for whichever of some batches is ready first; the very first one alone shows how long they take."""
        while True:
            candidates = jobs if self._paces.taught else jobs[:1]
            job = min(candidates, key=lambda each: self._paces.due(each.pace))
            self._waiter.sleep_until(self._paces.due(job.pace))
            delivery = self.asked(job)
            if delivery is not None:
                return job, delivery

    def asked(self, job: Job) -> Delivery | None:
        """Ask about a batch once; None while there is reason to ask again."""
        reply = self._asked(job)
        if reply.get("status") != "Completed":
            return None if self._paces.later(job.pace, BATCH_DEADLINES) else _delivery(job, reply, finished=False)
        counts = _counts(reply)
        if job.confirming is not None:
            self._vain_confirmations = self._vain_confirmations + 1 if counts == job.confirming else 0
        else:
            self._paces.learn(job.pace)
            announced, received, errors = counts
            if received + errors < announced and self._vain_confirmations < VAIN_CONFIRMATIONS:
                job.confirming = counts
                if self._paces.later(job.pace, BATCH_DEADLINES):
                    return None
        return _delivery(job, reply, finished=True)

    def _asked(self, job: Job) -> dict[str, Any]:
        path = f"/api/v2/recording/batchrequests/{quote(job.id, safe='')}"
        with _not_about_recordings():
            reply = self._api.call(
                "batch_state", "GET", path, permission=needed_for("batch_state"), accepted=(200, 202)
            )
        if not isinstance(reply, dict):
            raise MalformedReply("The state of a batch request is not an object.")
        return reply


@contextmanager
def _not_about_recordings() -> Iterator[None]:
    """A 404 to a batch request means that the batch is not known: it must not pass for a recording without a file."""
    try:
        yield
    except NotFound as error:
        raise ServerError(f"A batch of download links was lost. {error}") from None


def _counts(reply: dict[str, Any]) -> tuple[int, int, int]:
    """Announced and received results, and errors that are none of those; whether received ones include errors is not
    documented."""
    results = items(reply.get("results"))
    received = max(count(reply.get("resultCount")) or 0, len(results))
    told = sum(text(result.get("errorMsg")) is not None for result in results)
    errors = max(0, (count(reply.get("errorCount")) or 0) - told)
    return count(reply.get("expectedResultCount")) or 0, received, errors


def _delivery(job: Job, reply: dict[str, Any], *, finished: bool) -> Delivery:
    announced, received, errors = _counts(reply)
    delivery = Delivery(job.submitted, finished, missing=max(0, announced - received - errors) if finished else 0)
    asked = {(item.conversation_id, item.recording_id) for item in job.wanted}
    for result in items(reply.get("results")):
        conversation_id, recording_id = text(result.get("conversationId")), text(result.get("recordingId"))
        if conversation_id is None or not {(conversation_id, recording_id), (conversation_id, None)} & asked:
            delivery.ignored += 1
            continue
        link, said = text(result.get("resultUrl")), text(result.get("errorMsg"))
        if link is not None and recording_id is not None and said is None:
            delivery.add((conversation_id, recording_id), DeliveredFile(link, text(result.get("contentType"))))
        else:
            delivery.refused[conversation_id, recording_id or ""] = redact(said or "neither a link nor an error")
    for files in (files for files in delivery.files.values() if len(files) > 1):
        files.sort(key=lambda file: (_place(file.link), file.content_type or ""))
    return delivery


def _place(link: str) -> tuple[str, str]:
    """What of a link stays the same when it is signed anew: without it, files of a recording would change places.

    That is the path, and what of the query is no signature's.
    """
    try:
        parts = urlsplit(link)
    except ValueError:
        return link, ""
    return parts.path, "&".join(part for part in parts.query.split("&") if not _SIGNATURE.match(part))
