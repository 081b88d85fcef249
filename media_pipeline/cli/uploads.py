"""Files of guests: share."""

from __future__ import annotations

import datetime as dt
import getpass
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from media_pipeline.console import ERR, explained, given_day, stop

if TYPE_CHECKING:
    from media_pipeline.messaging.sharing import Shareable
    from media_pipeline.settings import Settings
    from media_pipeline.storage.base import ObjectStore

MOST_SECONDS = 7 * 24 * 3600
"""As long as a presigned link of S3 can live."""


def share(
    file_id: Annotated[str, typer.Argument(help="The file's id in guest_uploads.", show_default=False)],
    expires: Annotated[int, typer.Option(min=1, max=MOST_SECONDS, help="Seconds that the link lives.")] = 3600,
    as_base64: Annotated[
        str | None, typer.Option("--base64", help="Write base64 there instead (- = stdout).", metavar="OUT")
    ] = None,
    date: Annotated[str | None, typer.Option(help="Its day, to look nowhere else.", metavar="YYYY-MM-DD")] = None,
) -> None:
    """Hand out a stored file of a guest: a link that expires (S3), or its bytes as base64. Who did is recorded first.

    Exit code 0: done. 2: there is no such file, or the root has no links.
    """
    from media_pipeline.messaging.sharing import NotShareable, find_upload, write_base64
    from media_pipeline.settings import Settings
    from media_pipeline.storage.opening import open_store
    from media_pipeline.tables.partition import Tables

    day = given_day(date) if date is not None else None
    with explained():
        settings = Settings.load()
        store = open_store(settings.root, settings.spool, settings.concurrency)
        try:
            upload = find_upload(Tables(store), file_id, day)
            if as_base64 is None:
                link = _link(store, upload, expires)
                _record(store, settings, upload, "link", expires)
                typer.echo(link)
                return
            _record(store, settings, upload, "base64", None)
            with _written_to(as_base64) as write:
                write_base64(store, upload, write)
        except NotShareable as error:
            raise stop(error) from None


def _link(store: ObjectStore, upload: Shareable, seconds: int) -> str:
    from media_pipeline.messaging.sharing import NotShareable
    from media_pipeline.storage.s3 import S3Store

    if not isinstance(store, S3Store):
        raise NotShareable(
            f"MEDIA_ROOT={store.url} is a folder, and a folder has no links: use --base64 OUT, or hand out the file "
            f"{upload.object_key} itself."
        )
    return store.link(upload.object_key, seconds, content_type=upload.content_type, disposition=upload.disposition)


def _record(store: ObjectStore, settings: Settings, upload: Shareable, form: str, seconds: int | None) -> None:
    """Who had what until when, durably before it is handed out; never the link."""
    from media_pipeline.audit.log import AuditLog

    now = dt.datetime.now(dt.UTC)
    until = None if seconds is None else (now + dt.timedelta(seconds=seconds)).isoformat(timespec="seconds")
    audit = AuditLog(store, settings.spool, now.date(), f"share-{uuid.uuid4().hex[:12]}")
    try:
        audit.emit(
            "guest_upload_shared", file_id=upload.file_id, sha256=upload.sha256, form=form, who=_who(), until=until
        )
    finally:
        audit.close()


def _who() -> str:
    """The user of the operating system; its number where it has no name."""
    with suppress(OSError, KeyError):
        return getpass.getuser()
    return str(os.getuid())


@contextmanager
def _written_to(out: str) -> Iterator[Callable[[bytes], object]]:
    """A new file of this user alone, which is gone again when it could not be finished; or stdout."""
    if out == "-":
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    path = Path(out)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        try:
            yield file.write
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    ERR.print(f"Written to {path}.", markup=False, highlight=False)
