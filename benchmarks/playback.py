"""Playing a recording of 500 MB from the archive: time to the first byte, beside nginx, and 200 listeners who seek.

The service is the real one, `media-pipeline serve`, in a process of its own; clients are sockets of this process, so
that each figure has their cost too. Samples of the three ways are taken in turn. Needs Debian's nginx-light.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import hashlib
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from media_pipeline.service.tokens import new_token
from media_pipeline.storage.bgzf import BLOCK_BYTES, BlockCompressor
from media_pipeline.storage.gzi import INDEX_SUFFIX
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import object_key

MB = 10**6
DAY = dt.date(2026, 11, 20)
RECORDING = "long-call"
MAX_SEEK_RATIO, MAX_NGINX_RATIO = 1.2, 10.0
MAX_STALL_SECONDS, MAX_GROWTH_MB = 1.0, 60.0
LISTEN_BYTES = 160_000
"""Ten seconds of 8 kHz stereo PCM a-law: what a player fetches before it plays."""
LISTENERS = 200


def main() -> int:
    """Measure and print; 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mb", type=int, default=500, help="size of the recording")
    parser.add_argument("--samples", type=int, default=400, help="of each way")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the listeners seek")
    options = parser.parse_args()
    size = options.mb * MB
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="playback-bench-") as folder:
        home = Path(folder)
        store(home, size)
        token, entry = new_token("bench", ["listen"])
        with serving(home, entry) as (process, ours), nginx(home) as theirs:
            figures = first_bytes(ours, theirs, token, size, options.samples)
            before = resident_mb(process.pid)
            worst, late, seeks, rate = asyncio.run(listened(ours, token, size, options.seconds))
            after = resident_mb(process.pid)
    start, anywhere, plain = (p95(figures[name]) for name in ("start", "anywhere", "nginx"))
    print(f"{options.mb} MB, {options.samples} samples a way, load {load:.1f} to {os.getloadavg()[0]:.1f}.")
    for name, told in (("start", "archive, offset 0"), ("anywhere", "archive, anywhere"), ("nginx", "nginx, anywhere")):
        samples = figures[name]
        print(f"First byte, {told}: median {statistics.median(samples) * 1e3:.2f} ms, p95 {p95(samples) * 1e3:.2f} ms.")
    print(f"p95 anywhere / at 0: {anywhere / start:.2f} (limit {MAX_SEEK_RATIO}).")
    print(f"p95 anywhere / nginx: {anywhere / plain:.1f} (limit {MAX_NGINX_RATIO:g}).")
    print(
        f"{LISTENERS} listeners for {options.seconds:g} s: {seeks} seeks, {rate / MB:.0f} MB/s; longest wait for a "
        f"byte {worst * 1e3:.0f} ms, p99 of seeks {late * 1e3:.0f} ms; memory {before:.0f}, then {after:.0f} MB."
    )
    passed = anywhere / start <= MAX_SEEK_RATIO and anywhere / plain <= MAX_NGINX_RATIO
    return 0 if passed and worst <= MAX_STALL_SECONDS and after - before <= MAX_GROWTH_MB else 1


def store(home: Path, size: int) -> None:
    """The recording as a file for nginx, and as a day of an archive."""
    speech = speechlike()
    archive = LocalStore(home / "media")
    key = object_key(DAY, RECORDING, 0, False, "wav")
    blocks, left = BlockCompressor(), size
    (home / "plain").mkdir()

    sha256 = hashlib.sha256()
    with (home / "plain" / "recording.wav").open("wb") as plain, archive.writer(key) as writer:
        while left:
            piece = speech[: min(left, len(speech))]
            speech = speech[7_919:] + speech[:7_919]
            plain.write(piece)
            sha256.update(piece)
            for block in blocks.compress(piece):
                writer.write(block)
            left -= len(piece)
        rest, index = blocks.finish()
        writer.write(rest)
        stored = writer.commit()
    archive.put(key + INDEX_SUFFIX, index.encode())
    row = {
        "recording_id": RECORDING,
        "file_index": 0,
        "status": "stored",
        "object_key": key,
        "listed_state": "available",
    }
    row |= {"content_type": "audio/wav", "source_size_bytes": size, "stored_size_bytes": stored}
    Tables(archive).write("recording_audio", DAY, [row | {"sha256": sha256.hexdigest()}])


def speechlike() -> bytes:
    """Some MB that gzip halves, as it does telephone speech: bytes near the middle, in bursts."""
    chance = random.Random(7)
    out = bytearray()
    while len(out) < 64 * BLOCK_BYTES:
        loud = chance.choice((2, 6, 20, 60))
        out += bytes(min(255, max(0, int(chance.gauss(128, loud)))) for _ in range(1_000))
    return bytes(out)


@contextlib.contextmanager
def serving(home: Path, entry: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The service, its port."""
    variables = {
        "MEDIA_ROOT": str(home / "media"),
        "MEDIA_SPOOL": str(home / "spool"),
        "MEDIA_SERVICE_TOKENS": entry,
        "MEDIA_LISTENER_REQUESTS_PER_MINUTE": "10000000",
        "GENESYS_REGION": "mypurecloud.com",
    }
    command = [sys.executable, "-m", "media_pipeline.cli", "serve", "--port", "0"]
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with subprocess.Popen(command, env=kept | variables, cwd=home, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = ""
            while "listening on" not in line:
                line = process.stdout.readline()
                if not line:
                    sys.exit("The service did not start.")
            yield process, int(line.rpartition(":")[2])
        finally:
            process.send_signal(signal.SIGTERM)


@contextlib.contextmanager
def nginx(home: Path) -> Iterator[int]:
    """nginx over the plain file, its port."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        sys.exit("This needs nginx: apt-get install nginx-light")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (home / "nginx.conf").write_text(
        f"daemon off; pid {home}/nginx.pid; error_log {home}/nginx.log; worker_processes 2;\n"
        f"{'user root;' if os.geteuid() == 0 else ''}\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {home}/b;\n"
        f"proxy_temp_path {home}/p; fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; root {home}/plain; }} }}\n"
    )
    with subprocess.Popen([program, "-c", home / "nginx.conf", "-e", home / "nginx.log"]) as process:
        try:
            for _ in range(200):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.02)
            yield port
        finally:
            process.terminate()


def first_bytes(ours: int, theirs: int, token: str, size: int, samples: int) -> dict[str, list[float]]:
    """Seconds from a request to the body's first byte, the three ways in turn."""
    chance = random.Random(11)
    path, bearer = f"/api/stream/{RECORDING}", f"Authorization: Bearer {token}\r\n"
    ways: dict[str, Callable[[], float]] = {
        "start": lambda: first_byte(ours, path, bearer, 0),
        "anywhere": lambda: first_byte(ours, path, bearer, chance.randrange(size)),
        "nginx": lambda: first_byte(theirs, "/recording.wav", "", chance.randrange(size)),
    }
    for way in ways.values():
        for _ in range(20):
            way()
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(samples):
        for name, way in ways.items():
            figures[name].append(way())
    return figures


def first_byte(port: int, path: str, more: str, offset: int) -> float:
    """An open range as players ask for it, on a connection that is open already, and left after the first byte."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}Range: bytes={offset}-\r\n\r\n".encode()
        began = time.perf_counter()
        connection.sendall(request)
        data = b""
        while b"\r\n\r\n" not in data or data.endswith(b"\r\n\r\n"):
            piece = connection.recv(65_536)
            if not piece:
                sys.exit("A connection was closed before its first byte.")
            data += piece
        seconds = time.perf_counter() - began
    if not data.startswith(b"HTTP/1.1 206 "):
        sys.exit(f"Not a part: {data[:100]!r}")
    return seconds


async def listened(port: int, token: str, size: int, seconds: float) -> tuple[float, float, int, float]:
    """Longest wait for a byte, p99 of the seconds of a seek, number of seeks, bytes a second; all seek at once."""
    chance = random.Random(13)
    waits: list[float] = []
    seeks: list[float] = []
    received = 0
    end = time.perf_counter() + seconds

    async def listener() -> None:
        nonlocal received
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            start = chance.randrange(size - LISTEN_BYTES)
            began = last = time.perf_counter()
            writer.write(
                f"GET /api/stream/{RECORDING} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
                f"Range: bytes={start}-{start + LISTEN_BYTES - 1}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 206 "), head
            left = LISTEN_BYTES
            while left:
                piece = await reader.read(left)
                assert piece
                left -= len(piece)
                received += len(piece)
                now = time.perf_counter()
                waits.append(now - last)
                last = now
            seeks.append(time.perf_counter() - began)
            # what was fetched is played: ten seconds, here half of one, so that all seek twice a second
            await asyncio.sleep(max(0.0, 0.5 - (time.perf_counter() - began)))
        writer.close()

    await asyncio.gather(*(listener() for _ in range(LISTENERS)))
    return max(waits), sorted(seeks)[int(len(seeks) * 0.99)], len(seeks), received / seconds


def p95(samples: list[float]) -> float:
    return sorted(samples)[int(len(samples) * 0.95)]


def resident_mb(pid: int) -> float:
    """What the process holds now."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / MB


if __name__ == "__main__":
    sys.exit(main())
