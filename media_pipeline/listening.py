"""The player of a deployment, put together from its settings, and links to its recordings. No HTTP and no Dagster."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from media_pipeline.connection import media_hosts_of, opened_source
from media_pipeline.genesys.pacing import CallStats, Patience
from media_pipeline.genesys.source import RecordingSource
from media_pipeline.playback.app import ARCHIVE_THREADS, StreamApp
from media_pipeline.playback.archived import Archived
from media_pipeline.playback.catalogue import Catalogue
from media_pipeline.playback.limits import Limits
from media_pipeline.playback.links import MAX_SECONDS, Claims, LinkKeys, Scope
from media_pipeline.playback.player import Player
from media_pipeline.playback.plays import Journal, Plays
from media_pipeline.playback.requests import Caller
from media_pipeline.playback.upstream import Upstream
from media_pipeline.settings import Settings
from media_pipeline.storage.base import ObjectStore, root_name
from media_pipeline.storage.bgzf import BLOCK_BYTES
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline.transfer.http import MediaHttp

PATH = "/api/stream/"
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
        player = Player(
            Catalogue(Tables(store), file),
            Archived(store),
            Upstream(self._source, http, self._stats),
            Plays(journal),
        )
        limits = Limits(settings.listener_requests_per_minute, settings.listener_streams)
        keys = link_keys(settings) if settings.link_key.get_secret_value() else None
        threads = ARCHIVE_THREADS if isinstance(store, LocalStore) else REMOTE_THREADS
        self.app = StreamApp.opened(player, limits, keys, callers, archive_threads=threads)

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
    settings: Settings, recording_id: str, *, subject: str, seconds: int, scope: Scope = "listen", file_index: int = 0
) -> str:
    """Path and query that play a file of a recording for so long; raises ConfigurationError and ValueError."""
    from urllib.parse import quote, urlencode

    if not 1 <= seconds <= MAX_SECONDS:
        raise ValueError(f"A link lives 1 to {MAX_SECONDS} seconds, not {seconds}.")
    claims = Claims(
        recording_id=recording_id,
        file_index=file_index,
        subject=subject,
        expires=int(time.time()) + seconds,
        scope=scope,
    )
    query = {"file": str(file_index)} if file_index else {}
    query |= {"link": link_keys(settings).sign(claims)} | ({"download": "1"} if scope == "download" else {})
    return f"{PATH}{quote(recording_id, safe='')}?{urlencode(query)}"
