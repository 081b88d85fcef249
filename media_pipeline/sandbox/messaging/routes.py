"""The guides' messaging paths: which request is which operation, and who answers it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from media_pipeline.sandbox.messaging import guest_files, stream
from media_pipeline.sandbox.platform.routes import Handler
from media_pipeline.sandbox.wire import Operation, Reply, Request

if TYPE_CHECKING:
    from media_pipeline.sandbox.state import State


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """A request that is a messaging operation of the guides, with the id in its path."""

    operation: Operation
    handler: Handler
    ids: tuple[str, ...]

    def answer(self, state: State, request: Request) -> Reply:
        """The operation's reply."""
        return self.handler(state, request, *self.ids)

    @property
    def subject(self) -> str | None:
        """What rules of faults may name: the file, medium or conversation."""
        return self.ids[0] if self.ids else None


def match(request: Request) -> Match | None:
    """The messaging operation a request is; None when it is none."""
    match request.method, request.segments:
        case "GET", ("api", "v2", "conversations", "events"):
            return Match("events", stream.opened, ())
        case "GET", ("api", "v2", "media", "download", file_id):
            return Match("guest_file", guest_files.download, (file_id,))
    return None
