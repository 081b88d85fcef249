"""A multipart body, taken apart while it comes: small fields into memory, the one file into the inbox's staging.

python-multipart parses; what it is told here is which parts there may be, how long each, and that names of files lead
nowhere. Starlette's own form reader is not used: it keeps files in /tmp and reads a body before anybody is asked who
sends it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from media_pipeline.messaging.inbox import Incoming
from media_pipeline.service.problems import Problem

FILE = "file"
MAX_PART_HEADERS = 8
MAX_HEADER_BYTES = 8 * 1024
MAX_NAME_BYTES = 255
"""Of file names: what file systems take."""
_UNFIT_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")


@dataclass
class Form:
    """What a body consisted of, besides the file's bytes."""

    fields: dict[str, str] = field(default_factory=dict)
    declared_type: str = ""
    has_file: bool = False


class _Reader:
    """The parser's callbacks, and what they have gathered so far."""

    def __init__(self, file: Incoming, most_bytes: Mapping[str, int], file_bytes: int) -> None:
        self.form = Form()
        self._file, self._most, self._file_bytes = file, most_bytes, file_bytes
        self._headers: dict[bytes, bytes] = {}
        self._header = (bytearray(), bytearray())
        self._name = ""
        self._value = bytearray()
        self.ended = False

    def on_part_begin(self) -> None:
        self._headers, self._name, self._value = {}, "", bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def on_header_end(self) -> None:
        name, value = (bytes(each) for each in self._header)
        if self._headers.setdefault(name.lower(), value) is not value:
            raise Problem(422, "A part states a header twice.", reason="duplicate_header")
        self._header = (bytearray(), bytearray())

    def on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = _text(options.get(b"name", b""), "A field's name")
        if kind != b"form-data" or self._name not in (FILE, *self._most):
            raise Problem(422, f"Fields are {FILE}, {', '.join(self._most)}; another one was sent.", reason="unknown")
        if self._name in self.form.fields or (self._name == FILE and self.form.has_file):
            raise Problem(422, f"The field {self._name} was sent twice.", reason="duplicate")
        if b"filename" in options:
            _check_file_name(options[b"filename"])
        if self._name == FILE:
            self.form.has_file = True
            self.form.declared_type = self._headers.get(b"content-type", b"").decode("latin-1")
        elif b"filename" in options:
            raise Problem(422, f"The field {self._name} is text, and a file was sent.", reason="not_text")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == FILE:
            if self._file.size + end - start > self._file_bytes:
                raise Problem(413, f"The file is larger than {self._file_bytes} bytes.", reason="too_large")
            self._file.write(data[start:end])
        elif len(self._value) + end - start > self._most[self._name]:
            raise Problem(422, f"The field {self._name} is too long.", reason="too_long")
        else:
            self._value += data[start:end]

    def on_part_end(self) -> None:
        if self._name != FILE:
            self.form.fields[self._name] = _text(self._value, f"The field {self._name}")

    def on_end(self) -> None:
        self.ended = True


async def read_form(request: Request, file: Incoming, most_bytes: Mapping[str, int], file_bytes: int) -> Form:
    """Read a multipart body with one file and these text fields, each of at most so many bytes; raises Problem.

    Bytes go to the disk on the event loop: 64 KB into the page cache take less time than the way to a thread.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data":
        raise Problem(415, "Send multipart/form-data.", reason="not_multipart")
    reader = _Reader(file, most_bytes, file_bytes)
    callbacks = {name: getattr(reader, name) for name in dir(reader) if name.startswith("on_")}
    try:
        parser = MultipartParser(
            options.get(b"boundary", b""),
            callbacks,  # type: ignore[arg-type]  # a TypedDict; the names are the methods'
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
        if not options.get(b"boundary"):
            raise Problem(400, "The Content-Type names no boundary.", reason="malformed")
        async for piece in request.stream():
            parser.write(piece)
        parser.finalize()
    except FormParserError:
        raise Problem(400, "The body is not multipart with the boundary it names.", reason="malformed") from None
    if not reader.ended:
        raise Problem(400, "The body ends before its last boundary.", reason="malformed")
    return reader.form


def _text(value: bytes | bytearray, what: str) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Problem(422, f"{what} is not UTF-8.", reason="not_utf8") from None


def _check_file_name(raw: bytes) -> None:
    """Refuse names made to mislead; a fair one is forgotten, as files get names of our own."""
    name = _text(raw, "The file's name")
    reason = None
    if len(raw) > MAX_NAME_BYTES:
        reason = f"is longer than {MAX_NAME_BYTES} bytes"
    elif "/" in name or "\\" in name or name in (".", ".."):
        reason = "is a path"
    elif _OVERRIDES.search(name):
        reason = "overrides the direction of writing"
    elif any(unicodedata.category(each) in _UNFIT_CATEGORIES for each in name):
        reason = "holds control characters"
    if reason:
        raise Problem(422, f"The file's name {reason}.", reason="file_name")
