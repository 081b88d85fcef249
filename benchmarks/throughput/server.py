"""nginx on loopback, with files served as they are and, below /slow, after a wait.

The wait is nginx' own timer (Debian's libnginx-mod-http-echo, which nginx-light brings): no proxy takes CPU, and no
setting of the machine's network changes for others.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.throughput.tools import found

ECHO_MODULE = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")
START_SECONDS = 10.0
STOP_SECONDS = 5.0
LATENCY_MS = 20

_CONFIG = """
{load}
daemon off; pid {home}/pid; error_log {home}/error.log warn; worker_processes 1; worker_rlimit_nofile 4096;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; types {{ audio/wav wav; }}
  open_file_cache max=10000 inactive=600s;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=1024; root {root};
    {slow}
  }}
}}
"""
_SLOW = "location ~ ^/slow(/.*)$ {{ echo_sleep {seconds}; echo_exec $1; }}"


@dataclass(frozen=True, slots=True)
class Server:
    """A running nginx; `slow` is None where its build cannot wait."""

    port: int
    slow: str | None

    @property
    def fast(self) -> str:
        """Base URL of the files as they are."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def serving(root: Path, home: Path) -> Iterator[Server]:
    """nginx over the files below root; its own files lie in home. Ended, by its pid, with the context."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    can_wait = ECHO_MODULE.exists()
    config = home / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            load=f"load_module {ECHO_MODULE};" if can_wait else "",
            slow=_SLOW.format(seconds=LATENCY_MS / 1000) if can_wait else "",
            home=home,
            root=root,
            port=port,
        ),
        encoding="utf-8",
    )
    command = [found("nginx"), "-c", str(config), "-e", str(home / "error.log")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            _wait_for(port, process)
            base = f"http://127.0.0.1:{port}"
            yield Server(port, f"{base}/slow" if can_wait else None)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < limit:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("nginx did not start; what it said stands above.")
