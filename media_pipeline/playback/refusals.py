"""How playback says no: a status, a word for programs and a sentence of our own, never what a source said.

Bodies are problem details (RFC 9457), as everywhere in the service.
"""

from __future__ import annotations

import http
import json
from collections.abc import Sequence

REASONS: dict[str, tuple[int, str]] = {
    "bad_request": (422, "The query is not one this takes: file is a number, date a day such as 2026-11-20."),
    "no_credentials": (401, "This needs a signed link, or a token with the scope listen."),
    "unknown_token": (401, "The token is not known."),
    "missing_scope": (403, "The token lacks the scope listen."),
    "not_redactable": (403, "What is redacted here cannot be made silent, or is not known: it takes the scope listen."),
    "link_forged": (403, "The link is not one we signed, or no longer: ask for a new one."),
    "link_expired": (403, "The link has expired: ask for a new one."),
    "link_for_other": (403, "The link is for another recording or file."),
    "link_of_other": (403, "The link was made for somebody else."),
    "no_download": (403, "The link is for listening, not for downloading."),
    "not_found": (404, "There is no such recording."),
    "no_file": (404, "The recording has no file (any more)."),
    "not_ready": (404, "The source is still preparing the recording: try again later."),
    "not_archived": (404, "The recording is not archived, and no source is configured to play it from."),
    "precondition_failed": (412, "The recording is not in the version asked for."),
    "range_not_satisfiable": (416, "The recording has no such range of bytes."),
    "too_many_requests": (429, "Too many requests of one listener: try again after Retry-After."),
    "too_many_streams": (429, "Too many recordings are played at once by one listener."),
    "busy": (503, "All streams from the source are taken: try again after Retry-After."),
    "being_indexed": (503, "The archive's tables are being read for the first time: try again after Retry-After."),
    "no_audit": (503, "The play cannot be written to the audit log, so it is not begun."),
    "archive_unavailable": (503, "The archive cannot be read now: try again later."),
    "damaged": (502, "The archived recording is damaged, and the source does not give it either."),
    "source_refused": (502, "The source refused the recording."),
    "source_failed": (502, "The source failed: try again later."),
    "not_media": (502, "The source sent something that is not this recording."),
    "source_silent": (504, "The source did not answer in time: try again later."),
}
"""Word for programs -> (status, sentence)."""
RETRY_SECONDS = 5


class Refusal(Exception):
    """A request that is not served; `headers` go out with it."""

    def __init__(self, status: int, reason: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, tuple(headers)

    @property
    def body(self) -> bytes:
        """The problem details."""
        details = {
            "type": "about:blank",
            "title": http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": REASONS[self.reason][1],
            "reason": self.reason,
        }
        return json.dumps(details).encode()


def refused(reason: str, **headers: str) -> Refusal:
    """The refusal of this name; `Retry_After` and the like become fields."""
    status = REASONS[reason][0]
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if status == 503:
        fields.setdefault("Retry-After", str(RETRY_SECONDS))
    if status == 401:
        fields.setdefault("WWW-Authenticate", 'Bearer realm="media-pipeline"')
    return Refusal(status, reason, tuple(fields.items()))
