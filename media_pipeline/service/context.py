"""What the routes share: settings, limits, the places they work on, the journal."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request

from media_pipeline.messaging.inbox import Inbox
from media_pipeline.service.journal import Journal
from media_pipeline.service.limits import Limits
from media_pipeline.settings import Settings
from media_pipeline.storage.base import ObjectStore
from media_pipeline.storage.local import LocalStore
from media_pipeline.storage.opening import open_store


@dataclass
class Service:
    """One running service; `of(request)` finds it."""

    settings: Settings
    limits: Limits
    closing: list[Callable[[], None]] = field(default_factory=list)
    """What is to be called when no request is under way any more, before the journal is closed."""

    @functools.cached_property
    def store(self) -> ObjectStore:
        """MEDIA_ROOT; raises ConfigurationError."""
        return open_store(self.settings.root, self.settings.spool, self.settings.concurrency)

    @functools.cached_property
    def journal(self) -> Journal:
        return Journal(lambda: self.store, self.settings.spool)

    @property
    def local_root(self) -> Path | None:
        """MEDIA_ROOT where it is a folder."""
        return self.store.root if isinstance(self.store, LocalStore) else None

    @functools.cached_property
    def inbox(self) -> Inbox | None:
        """MEDIA_INBOX, None where it is no folder."""
        folder = self.settings.inbox_folder
        return None if folder is None else Inbox(folder)


def of(request: Request) -> Service:
    """The service that this request came to."""
    service: Service = request.app.state.service
    return service
