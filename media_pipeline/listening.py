"""The player of a deployment, put together from its settings, and links to its recordings. No HTTP and no Dagster."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from urllib.parse import quote, urlencode

from media_pipeline.connection import media_hosts_of, opened_source
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.source import RecordingSource
from media_pipeline.playback.app import ARCHIVE_THREADS, StreamApp
from media_pipeline.playback.archived import Archived
from media_pipeline.playback.catalogue import Catalogue
from media_pipeline.playback.days import Days
from media_pipeline.playback.limits import Limits
from media_pipeline.playback.links import MAX_SECONDS, Claims, LinkKeys, Scope
from media_pipeline.playback.player import Player
from media_pipeline.playback.plays import Journal, Plays
from media_pipeline.playback.redacted import Redactions
from media_pipeline.playback.requests import Caller
from media_pipeline.playback.upstream import Upstream
from media_pipeline.settings import Settings
from media_pipeline.storage.base import ObjectStore, root_name
from media_pipeline.storage.bgzf import BLOCK_BYTES
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline.transfer.http import MediaHttp

PATH, PAGE = "/api/stream/", "/calls/"
REMOTE_THREADS = 32
"""For a bucket, whose replies are waited for."""
LISTENER_PATIENCE = Patience(first_wait_seconds=0.5, deadline_seconds=8.0, retries=2)
"""Of API calls for somebody who waits to hear."""


class Listening:
    """One process' player; `app` answers below PATH. Close it in the end."""

    def __init__(
        self, settings: Settings, store: ObjectStore, journal: Journal, callers: Callable[[str], Caller | None]
    ) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self._stats = CallStats()
        file = settings.spool / "playback" / f"{root_name(store.url)}.sqlite"
        http = MediaHttp(media_hosts_of(settings), self._stats, BLOCK_BYTES)
        self.tables = Tables(store)
        self.catalogue = Catalogue(self.tables, file)
        self.days = Days(self.tables, file.with_suffix(".days"))
        self.player = Player(
            self.catalogue,
            Archived(store),
            Redactions(self.tables),
            Upstream(self._source, http, self._stats),
            Plays(journal),
        )
        limits = Limits(settings.listener_requests_per_minute, settings.listener_streams)
        if settings.link_key.get_secret_value():
            self.keys = link_keys(settings)
        else:  # for the pages' own players; such links end with the process
            self.keys = LinkKeys([secrets.token_bytes(32)])
        threads = ARCHIVE_THREADS if isinstance(store, LocalStore) else REMOTE_THREADS
        self.app = StreamApp.opened(self.player, limits, self.keys, callers, archive_threads=threads)

    def close(self) -> None:
        """End what is under way and write down what was played."""
        self._stack.close()
        self.app.close()

    def _source(self) -> RecordingSource:
        return self._stack.enter_context(opened_source(self._settings, self._stats, LISTENER_PATIENCE))


def link_keys(settings: Settings) -> LinkKeys:
    """The deployment's keys; raises ConfigurationError."""
    return LinkKeys.parse(settings.link_key.get_secret_value())


def signed_link(
    settings: Settings,
    recording_id: str,
    *,
    subject: str,
    seconds: int,
    scope: Scope = "listen",
    file_index: int = 0,
    page: bool = False,
) -> str:
    """Path and query that play a file of a recording for so long, or show its page.

    Raises ConfigurationError and ValueError.
    """
    if not 1 <= seconds <= MAX_SECONDS:
        raise ValueError(f"A link lives 1 to {MAX_SECONDS} seconds, not {seconds}.")
    keys = link_keys(settings)
    expires = int(time.time()) + seconds
    token = signed(keys, recording_id, subject=subject, expires=expires, scope=scope, file_index=file_index)
    if page:
        return place(PAGE, recording_id, file_index, link=token)
    return place(PATH, recording_id, file_index, link=token, download="1" if scope == "download" else "")


def signed(keys: LinkKeys, recording_id: str, *, subject: str, expires: int, scope: Scope, file_index: int) -> str:
    """A link's token that works until then, in seconds since 1970; raises ValueError."""
    claims = Claims(recording_id=recording_id, file_index=file_index, subject=subject, expires=expires, scope=scope)
    return keys.sign(claims)


def place(path: str, recording_id: str, file_index: int, **query: str) -> str:
    """Path and query of a recording's file below PATH or PAGE; what is empty is left out."""
    about = ({"file": str(file_index)} if file_index else {}) | {name: text for name, text in query.items() if text}
    return f"{path}{quote(recording_id, safe='')}" + (f"?{urlencode(about)}" if about else "")
