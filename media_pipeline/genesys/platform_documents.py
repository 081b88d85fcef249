"""Fetches a transcript document: the link from the API, the document from its host, without a bearer token (T1, T2)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import quote

import httpx

from media_pipeline.genesys.addresses import AddressRefused, guarded
from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.errors import (
    GenesysError,
    MalformedReply,
    NotFound,
    PermissionMissing,
    RateLimited,
    ServerError,
)
from media_pipeline.genesys.pacing import CallStats, Patience, TryAgain, retry_after_seconds
from media_pipeline.genesys.permissions import needed_for
from media_pipeline.genesys.platform_transcripts import Document, parse
from media_pipeline.genesys.source import ListedRecording
from media_pipeline.genesys.transport import CONNECT_SECONDS, READ_SECONDS, Transport
from media_pipeline.genesys.values import items, text

OPERATION = "transcript_file"
"""How fetches of documents are counted: they are no API calls."""
MOST_BYTES = 256_000_000
"""A document may be this long: 100,000 phrases with all their words take about 120 MB."""
MOST_COMMUNICATIONS = 10
"""Of a conversation, asked for a transcript."""
LONGEST_SECONDS = 600.0
"""A document may take this long, whatever little keeps coming: the largest needs 0.4 MB a second."""
LARGE_BYTES = 16_000_000
"""Documents longer than this are held in memory one at a time."""


class Documents:
    """Transcript documents of recordings; safe to use from threads."""

    def __init__(
        self, api: Transport, hosts: MediaHosts, stats: CallStats, patience: Patience, *, connections: int
    ) -> None:
        self._api = api
        self._hosts = hosts
        self._stats = stats
        self._patience = patience
        self._large = threading.Lock()
        client = httpx.Client(
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            headers={"User-Agent": "media-pipeline"},
            follow_redirects=False,
        )
        self._http = guarded(client, hosts.admits)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def of(self, recording: ListedRecording, *, alone: bool) -> Document:
        """The document of a recording; raises NotFound, PermissionMissing, MalformedReply.

        The communication's transcript (T1, the documented way) is the recording's where the conversation has no
        other; else, or when the document says that it is another one's, the recording's own is asked for (T2). A
        conversation may have several communications: they are asked in turn.
        """
        refused: PermissionMissing | None = None
        for communication_id in list(recording.communication_ids or ())[:MOST_COMMUNICATIONS]:
            try:
                if alone:
                    document = self._fetched(recording, communication_id, self._of_communication)
                    if document.recording_id in (None, recording.recording_id):
                        return document
                return self._fetched(recording, communication_id, self._of_recording)
            except NotFound:
                continue
            except PermissionMissing as error:  # it may yet be another communication's
                refused = error
        raise refused or NotFound(f"Genesys Cloud has no transcript of recording {recording.recording_id!r}.")

    def _of_communication(self, recording: ListedRecording, communication_id: str) -> str:
        path = f"{_path(recording, communication_id)}/transcripturl"
        body = self._api.get_json("transcript_url", path, permission=needed_for("transcript_url"))
        link = text(body.get("url"))
        if link is None:
            raise NotFound(f"Genesys Cloud gives no transcript of recording {recording.recording_id!r}.")
        return link

    def _of_recording(self, recording: ListedRecording, communication_id: str) -> str:
        path = f"{_path(recording, communication_id)}/transcripturls"
        body = self._api.get_json("transcript_url", path, permission=needed_for("transcript_url"))
        for entry in items(body.get("urls")):
            link = text(entry.get("url"))
            if link is not None and _id(entry.get("recording")) == recording.recording_id:
                return link
        raise NotFound(f"Genesys Cloud gives no transcript of recording {recording.recording_id!r}.")

    def _fetched(
        self, recording: ListedRecording, communication_id: str, ask: Callable[[ListedRecording, str], str]
    ) -> Document:
        try:
            return self._document(ask(recording, communication_id))
        except _Refused:  # the link lives ten minutes, and the machine may have slept
            return self._document(ask(recording, communication_id))

    def _document(self, link: str) -> Document:
        if refusal := self._hosts.refusal(link):
            raise MalformedReply(f"A transcript's link was not followed: {refusal}.")
        try:
            return self._patience.run(lambda: self._attempt(link), OPERATION, self._stats)
        except AddressRefused as refused:
            raise MalformedReply(f"A transcript's link was not followed: {refused}.") from None

    def _attempt(self, link: str) -> Document:
        began = time.monotonic()
        try:
            with self._http.stream("GET", link) as reply, ExitStack() as held:
                self._stats.called(OPERATION, reply.status_code, time.monotonic() - began)
                _judge(reply)
                data, end = bytearray(), time.monotonic() + LONGEST_SECONDS
                for piece in reply.iter_bytes():
                    if time.monotonic() > end:
                        raise TryAgain(ServerError("A transcript's host sent its document too slowly."))
                    if len(data) <= LARGE_BYTES < len(data) + len(piece):
                        held.enter_context(self._large)
                    data += piece
                    if len(data) > MOST_BYTES:
                        raise MalformedReply(f"A transcript document is longer than {MOST_BYTES // 1_000_000} MB.")
                return parse(data)
        except (httpx.TransportError, httpx.DecodingError) as error:
            self._stats.called(OPERATION, 0, time.monotonic() - began)
            raise TryAgain(
                ServerError(f"The transcript's host broke the connection ({type(error).__name__}).")
            ) from None


class _Refused(GenesysError):
    """The link was refused with 403: it expired."""

    reason = "forbidden"


def _judge(reply: httpx.Response) -> None:
    """Raise what a status other than 200 means."""
    status = reply.status_code
    if status == httpx.codes.OK:
        return
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise _Refused(f"A transcript's link was refused (HTTP {status}), also when fresh.")
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise NotFound(f"A transcript's link leads nowhere (HTTP {status}).")
    wait = retry_after_seconds(reply.headers)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise TryAgain(RateLimited("The transcript's host kept limiting us."), retry_after_seconds=wait)
    if status >= 500 or status == httpx.codes.REQUEST_TIMEOUT:
        raise TryAgain(ServerError(f"The transcript's host kept failing (HTTP {status})."), retry_after_seconds=wait)
    raise MalformedReply(f"A transcript's link answered HTTP {status}.")


def _path(recording: ListedRecording, communication_id: str) -> str:
    conversation, communication = (quote(each, safe="") for each in (recording.conversation_id or "", communication_id))
    return f"/api/v2/speechandtextanalytics/conversations/{conversation}/communications/{communication}"


def _id(reference: object) -> str | None:
    """The id of a reference, which is an object with an id or the id itself."""
    return text(reference.get("id")) if isinstance(reference, dict) else text(reference)
