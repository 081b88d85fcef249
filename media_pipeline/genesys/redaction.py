"""Takes secrets out of text before anyone can read it: URLs' query strings, bearer tokens, credentials."""

from __future__ import annotations

import logging
import re

MAX_FOREIGN_TEXT = 200
"""Characters kept of a sentence that a server wrote."""

_QUERY = re.compile(r"(https?://[^\s?\"'<>]*)\?[^\s\"'<>]+", re.IGNORECASE)
_PLACE = re.compile(r"(https?://)(?:[^/\s@\"'<>]+@)?([^/\s?#\"'<>]+)[^\s\"'<>]*", re.IGNORECASE)
_USERINFO = re.compile(r"(https?://)[^/\s@\"'<>]+@", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE)
_FIELDS = re.compile(
    r"(?i)\b(access_token|client_secret|password|x-amz-signature|signature|x-amz-security-token)(\"?\s*[:=]\s*\"?)[^\s\"&,}]+"
)


def redact(text: str, secrets: tuple[str, ...] = ()) -> str:
    """The text without query strings of URLs, tokens and the given secrets, on one line, at most 200 characters."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
    text = _USERINFO.sub(r"\1", text)
    text = _QUERY.sub(r"\1?[redacted]", text)
    text = _BEARER.sub(r"\1 [redacted]", text)
    text = _FIELDS.sub(r"\1\2[redacted]", text)
    text = " ".join(text.split())
    return text if len(text) <= MAX_FOREIGN_TEXT else text[: MAX_FOREIGN_TEXT - 1] + "…"


def holds_credentials(text: str) -> bool:
    """Whether there is a token, a signature or a password in it."""
    return any(pattern.search(text) for pattern in (_USERINFO, _BEARER, _FIELDS))


class HostsOnly(logging.Filter):
    """Leaves of the URLs in a library's log lines their hosts: a webhook's path and a link's query open doors."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = _PLACE.sub(r"\1\2", record.getMessage()), ()
        return True


def keep_urls_out_of_logs() -> None:
    """httpx logs the URL of each request, which a deployment that listens to all loggers would write down."""
    logger = logging.getLogger("httpx")
    if not any(isinstance(each, HostsOnly) for each in logger.filters):
        logger.addFilter(HostsOnly())
