"""Which files of guests are kept: png, jpeg and pdf by content, at most 10 MiB, never empty, and nothing contradictory.

What the guest says (name, type) can only refuse a file, never let one in; the size that was declared says nothing.
"""

from __future__ import annotations

from typing import IO

from media_pipeline.messaging.file_types import Unfit, check_structure, type_of
from media_pipeline.messaging.shown_names import is_hostile

MAX_BYTES = 10 * 1024 * 1024
"""Guide 002."""
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "application/pdf": "pdf"}
"""Accepted types, and what the objects' names end with."""
_NAMED = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "jpe": "image/jpeg",
    "jfif": "image/jpeg",
    "pdf": "application/pdf",
}
_SYNONYMS = {
    "image/x-png": "image/png",
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "application/x-pdf": "application/pdf",
}
_HEAD_BYTES = 64


def check_declared(file_name: str | None, declared_type: str | None) -> None:
    """Raise Unfit for what is refused unseen: a hostile name, an unwanted type, a name and a type that differ.

    A name or a type that the source does not give contradicts nothing.
    """
    if file_name is not None and is_hostile(file_name):
        raise Unfit("hostile_name", "The name has path separators, control characters, or more than 255 characters.")
    named, declared = _named(file_name), _declared(declared_type)
    if declared is not None and declared not in EXTENSIONS:
        raise Unfit("type_not_allowed", "The declared type is none of image/png, image/jpeg and application/pdf.")
    if file_name is not None and named is None:
        raise Unfit("name_mismatch", "The name does not end with png, jpg, jpeg or pdf.")
    if named is not None and declared is not None and named != declared:
        raise Unfit("name_mismatch", f"The name says {named}, the declared type is {declared}.")


def check_content(file: IO[bytes], size: int, file_name: str | None, declared_type: str | None) -> str:
    """The type by content; raises Unfit. A `size` beyond MAX_BYTES may be less than the file's."""
    if size == 0:
        raise Unfit("empty", "The file has no bytes.")
    detected = detected_type(file)
    if size > MAX_BYTES:
        raise Unfit("too_large", f"The file has more than {MAX_BYTES:,} bytes; the rest was not fetched.")
    if detected is None or detected not in EXTENSIONS:
        raise Unfit("type_not_allowed", f"By its content the file is {detected or 'of no accepted type'}.")
    for what, said in (("declared type", _declared(declared_type)), ("name", _named(file_name))):
        if said is not None and said != detected:
            raise Unfit("type_mismatch", f"The {what} says {said}, the content is {detected}.")
    check_structure(file, size, detected)
    return detected


def detected_type(file: IO[bytes]) -> str | None:
    """Media type by the first bytes."""
    file.seek(0)
    return type_of(file.read(_HEAD_BYTES))


def _declared(declared_type: str | None) -> str | None:
    bare = (declared_type or "").partition(";")[0].strip().lower()
    return _SYNONYMS.get(bare, bare) or None


def _named(file_name: str | None) -> str | None:
    return _NAMED.get((file_name or "").strip().rpartition(".")[2].lower())
