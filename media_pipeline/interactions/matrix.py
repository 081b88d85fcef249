"""The media matrix (guide 004): what each media type is expected to be, and what is to be made of it."""

from __future__ import annotations

from dataclasses import dataclass

from media_pipeline.interactions.containers import Content

ANY = "any"
VERDICTS = ("matches", "differs", "unknown", "unreadable", "not_checked")

_ALIASES = {"call": "voice", "audio": "voice", "callback": "voice", "messaging": "message", "screenshare": "screen"}
_SAME = {"htm": "html", "wave": "wav", "oga": "ogg", "mpga": "mp3", "mpeg": "mp3", "rfc822": "eml"}


@dataclass(frozen=True, slots=True)
class Expectation:
    """One row of the matrix; `formats` empty: any."""

    formats: tuple[str, ...] = ()
    needs_transcription: bool = False
    needs_thumbnail: bool = False

    @property
    def text(self) -> str:
        """The formats as the guide writes them, `wav|mp3`."""
        return "|".join(self.formats) or ANY


MATRIX = {
    "voice": Expectation(("wav", "mp3"), needs_transcription=True),
    "chat": Expectation(("json",)),
    "email": Expectation(("eml", "html"), needs_transcription=True),
    "screen": Expectation(("mp4", "webm"), needs_thumbnail=True),
    "message": Expectation(),
}
"""The guide names no format for messages: anything is expected, as for types it does not know."""


def media_type_named(name: str | None) -> str | None:
    """The matrix's name of a media type: a call is `voice`; names it does not have stay, in lower case."""
    known = name.strip().lower() if name else None
    return _ALIASES.get(known, known) if known else None


def format_named(name: str | None) -> str | None:
    """The matrix's name of a format as people write it: `.WAV`, `audio/x-wav` and `wave` are `wav`."""
    known = (name or "").strip().lower().partition(";")[0].rpartition("/")[2].removeprefix("x-").lstrip(".").strip()
    return _SAME.get(known, known) or None


def expected_of(media_type: str | None) -> Expectation:
    """The matrix's row of a media type."""
    return MATRIX.get(media_type or "", Expectation())


def judged(media_type: str | None, declared: str | None, content: Content) -> tuple[str, str | None]:
    """Verdict and reason: `matches` only what the matrix expects *and* the source declares, where it declares any."""
    if content.format is None:
        return "unknown", "unrecognized"
    if not content.intact:
        return "unreadable", "broken_container"
    expected = expected_of(media_type).formats
    if expected and content.format not in expected:
        return "differs", "not_expected"
    if declared and not _agree(declared, content):
        return "differs", "not_declared"
    if not expected and not declared:
        return "unknown", "nothing_expected"
    return "matches", None


def _agree(declared: str, content: Content) -> bool:
    name = _SAME.get(declared, declared)
    if name == "opus":  # sources name the codec, its container is Ogg
        return content.codec == "opus"
    return name == content.format or {name, content.format} == {"m4a", "mp4"}
