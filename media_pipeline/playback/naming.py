"""Content-Type and Content-Disposition of a recording, of nothing but what is safe in a header and in a browser."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

FALLBACK_TYPE = "application/octet-stream"
_SAFE_TYPES = {
    "audio/wav": "audio/wav",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mpeg": "audio/mpeg",
    "audio/mp3": "audio/mpeg",
    "audio/aac": "audio/aac",
    "audio/aacp": "audio/aac",
    "audio/mp4": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
    "audio/ogg": "audio/ogg",
    "application/ogg": "audio/ogg",
    "audio/opus": "audio/ogg",
    "audio/webm": "audio/webm",
    "audio/flac": "audio/flac",
    "video/mp4": "video/mp4",
    "video/webm": "video/webm",
}
"""What browsers play and never run; all else goes out as bytes to be kept."""
_TYPE_OF_FORMAT = {
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "webm": "audio/webm",
    "flac": "audio/flac",
    "mp4": "video/mp4",
}
_EXTENSION_OF_TYPE = {
    "audio/wav": "wav",
    "audio/mpeg": "mp3",
    "audio/aac": "aac",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
    "audio/webm": "webm",
    "audio/flac": "flac",
    "video/mp4": "mp4",
    "video/webm": "webm",
}
MAX_NAME_CHARACTERS = 120
_UNFIT = re.compile(r'[\\/:*?"<>|]')
_TOKEN = re.compile(r"[^A-Za-z0-9._-]+")


def safe_type(stated: str | None, media_format: str | None) -> str:
    """A media type out of the list above, by what the tables state, else by the format."""
    known = _SAFE_TYPES.get((stated or "").partition(";")[0].strip().lower())
    if known is None and not stated:
        known = _TYPE_OF_FORMAT.get((media_format or "").lower())
    return known or FALLBACK_TYPE


def disposition(file_name: str | None, recording_id: str, content_type: str, *, download: bool) -> str:
    """A Content-Disposition with a name that leads nowhere, in ASCII and, where it has more, in UTF-8 (RFC 6266)."""
    name = _cleaned(file_name or "") or _cleaned(recording_id) or "recording"
    extension = _EXTENSION_OF_TYPE.get(content_type, "bin")
    if not name.lower().endswith("." + extension):
        name = f"{name[:MAX_NAME_CHARACTERS]}.{extension}"
    plain = _TOKEN.sub("_", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()).lstrip("._")
    field = f'{"attachment" if download else "inline"}; filename="{plain or f"recording.{extension}"}"'
    if plain != name:
        field += f"; filename*=UTF-8''{quote(name, safe='')}"
    return field


def _cleaned(text: str) -> str:
    last = text.replace("\\", "/").rpartition("/")[2]
    shown = "".join(char for char in last if unicodedata.category(char)[0] != "C")
    return _UNFIT.sub("_", shown).strip(" .")[:MAX_NAME_CHARACTERS].strip(" .")
