"""A sandbox in a thread of this process, for tests and rehearsals; `serve` runs one in the foreground."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping

import uvicorn

from media_pipeline.sandbox.app import SandboxApp
from media_pipeline.sandbox.options import SandboxOptions
from media_pipeline.sandbox.serve import listen, server_config, url_of
from media_pipeline.sandbox.state import State

START_SECONDS = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that answers at `url`; its state may be read and changed while it runs."""

    url: str
    state: State

    def break_with(self, *rules: Mapping[str, object]) -> None:
        """Put these rules in force in place of others, and forget what was counted. Raises RuleError."""
        self.state.rules.replace({"rules": list(rules)})
        self.state.forget()

    def restore(self) -> None:
        """As it was started: no faults but the options', their settings and permissions, the real time."""
        self.state.restore()


@contextlib.contextmanager
def running(options: SandboxOptions) -> Iterator[RunningSandbox]:
    """Serve these options over real HTTP for the length of a `with` block; port 0 is the usual choice.

    Raises OptionsError and RuleError as `serve` does.
    """
    app = SandboxApp(options)
    with listen(options.host, options.port) as listener:
        server = uvicorn.Server(server_config(app))
        thread = threading.Thread(target=server.run, args=([listener],), name="sandbox", daemon=True)
        thread.start()
        try:
            _await_start(server, thread)
            yield RunningSandbox(url_of(listener), app.state)
        finally:
            app.state.closing = True
            server.should_exit = True
            thread.join()


def _await_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("The sandbox did not start.")
        time.sleep(0.005)
