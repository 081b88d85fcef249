"""What a file is by its first bytes, whatever it is called: magic numbers, and the container parsed as far as it goes.

Pure functions over at most 64 KB. Own and small because libraries of magic numbers tell neither a WAV's codec from its
noise nor a torn container from a whole one. Containers are `containers`' subject, text is here.
"""

from __future__ import annotations

import json
import re

from media_pipeline.interactions.containers import SNIFFERS, Content

HEAD_BYTES = 64 * 1024
"""So much of a file is looked at."""

_BOM = b"\xef\xbb\xbf"
_HTML = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HEADER = re.compile(rb"[!-9;-~]{1,76}:[ \t]")
_MAIL_HEADERS = re.compile(
    rb"^(?:from|to|subject|date|received|message-id|mime-version|return-path|delivered-to):",
    re.IGNORECASE | re.MULTILINE,
)


UNKNOWN = Content(None)


def content_of(head: bytes, *, whole: bool) -> Content:
    """What the first bytes are; `whole`: they are all there is."""
    return next((found for sniff in (*SNIFFERS, _text) if (found := sniff(head, whole)) is not None), UNKNOWN)


def _text(head: bytes, whole: bool) -> Content | None:
    body = head.removeprefix(_BOM).lstrip()
    if not _is_text(body, whole):
        return None
    if body[:1] in (b"{", b"["):
        return Content("json", intact=_is_json(body, whole))
    if _HTML.match(body):
        return Content("html")
    if body.startswith(b"<?xml"):
        return Content("html" if _HTML.search(body[:1024]) else "xml")
    if _HEADER.match(body) and _MAIL_HEADERS.search(re.split(rb"\r?\n\r?\n", body, maxsplit=1)[0]):
        return Content("eml")
    return None


def _is_text(body: bytes, whole: bool) -> bool:
    if not body or b"\0" in body:
        return False
    if _HEADER.match(body):
        return True  # mail may be in any encoding
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return not whole and error.start >= len(body) - 3  # a character was cut
    return True


def _is_json(body: bytes, whole: bool) -> bool:
    """Whether it parses; where only the beginning is here, whether it could go on to."""
    text = body.decode(errors="replace")
    try:
        json.loads(text)
        return True
    except RecursionError:
        return False
    except json.JSONDecodeError as error:
        # a torn value is complained about where it begins, a torn structure at the end
        return not whole and (error.pos >= len(text) - 8 or "Unterminated string" in error.msg)
