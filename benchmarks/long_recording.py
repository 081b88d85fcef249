"""A recording of 2 GB: killed with kill -9 at 95 % of it, then run again; memory of both runs, and what came twice.

Memory is the process's resident size at its highest (VmHWM), all libraries included, against that of a run that only
finds the day finished. On loopback the server's kernel holds some MB more for a connection than over a network.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from media_pipeline.storage.bgzf import Checkpoint
from media_pipeline.storage.ranges import torn_checkpoint

MB = 10**6
MAX_GROWTH_MB = 150.0
MAX_AGAIN_BYTES = 2 * 1024 * 1024
POLL_SECONDS = 0.01
RATIO_BYTES = 16 * 1024 * 1024
"""Of object, after which its size is foreseen."""


def main() -> int:
    """Measure and print; 1 when a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mb", type=int, default=2000, help="size of the recording")
    parser.add_argument("--kill-at", type=float, default=0.95, help="share of it that is there when the run is killed")
    options = parser.parse_args()
    day = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=1)
    with tempfile.TemporaryDirectory(prefix="long-recording-") as folder, _sandbox(day, options.mb) as url:
        home = Path(folder)
        recording = max(
            httpx.get(f"{url}/_sandbox/truth", params={"date": str(day)}, timeout=600).json(),
            key=lambda each: each["size"] or 0,
        )
        size, object_key = recording["size"], f"audio/date={day}/{recording['id']}.{recording['format']}.gz"
        killed_mb, kept = _killed(home, url, day, object_key, int(size * options.kill_at))
        before = _sent(url, recording["id"])
        resumed_mb = _finished(home, url, day)
        asked = _sent(url, recording["id"]) - before
        idle_mb = _finished(home, url, day)
        again, in_buffers = asked - (size - kept), before - kept
        whole = (home / "media" / object_key).stat().st_size
    print(f"{size / MB:,.0f} MB of source, {whole / MB:,.0f} MB of object; killed with {kept / MB:,.1f} MB kept.")
    print(f"Peak memory: {idle_mb:.0f} MB idle, {killed_mb:.0f} MB until the kill, {resumed_mb:.0f} MB after it.")
    print(f"The second run asked for {asked / MB:,.1f} MB: {again / 1024:,.0f} KiB that were kept already.")
    print(f"In buffers of the server, the kernel and the process when it was killed: {in_buffers / 1024:,.0f} KiB.")
    growth = max(killed_mb, resumed_mb) - idle_mb
    return 1 if growth > MAX_GROWTH_MB or again > MAX_AGAIN_BYTES else 0


@contextmanager
def _sandbox(day: dt.date, mb: int) -> Iterator[str]:
    command = [sys.executable, "-m", "media_pipeline.sandbox", "--port", "0", "--days", "1", "--per-day", "20"]
    command += ["--bodies", "tiny", "--huge-mb", str(mb), "--end", str(day), "--transcode-seconds", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().partition("listening on ")[2].strip()
        finally:
            process.terminate()


def _start(home: Path, url: str, day: dt.date) -> subprocess.Popen[bytes]:
    variables = {
        "GENESYS_DIALECT": "guide",
        "GENESYS_BASE_URL": url,
        "GENESYS_CLIENT_ID": "sandbox-client",
        "GENESYS_CLIENT_SECRET": "sandbox-secret",
        "GENESYS_REQUESTS_PER_MINUTE": "0",
        "MEDIA_ROOT": str(home / "media"),
        "MEDIA_SPOOL": str(home / "spool"),
    }
    command = [sys.executable, "-m", "media_pipeline.cli", "export", "--date", str(day)]
    output = (home / "log.txt").open("ab")
    with output:
        return subprocess.Popen(command, env=os.environ | variables, cwd=home, stdout=output, stderr=output)


def _killed(home: Path, url: str, day: dt.date, object_key: str, at: int) -> tuple[float, int]:
    """Peak memory in MB until the kill, and the source bytes that are left in whole blocks."""
    process = _start(home, url, day)
    part: Path | None = None
    limit: float = RATIO_BYTES
    ratio = 0.0
    while True:
        if process.poll() is not None:
            sys.exit(f"The run ended before it could be killed: {(home / 'log.txt').read_text()[-2000:]}")
        part = part or next((home / "spool").glob(f"partial/*/{object_key}.part"), None)
        if part is not None and part.exists() and part.stat().st_size >= limit:
            if ratio:
                break
            reached = _checkpoint(part)
            ratio = reached.object_offset / reached.source_offset
            limit = at * ratio
        time.sleep(POLL_SECONDS)
    peak = _peak_mb(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    return peak, _checkpoint(part).source_offset


def _checkpoint(part: Path) -> Checkpoint:
    with part.open("rb") as file:
        return torn_checkpoint(lambda offset, length: os.pread(file.fileno(), length, offset))


def _finished(home: Path, url: str, day: dt.date) -> float:
    """Peak memory in MB of a run to its end."""
    process = _start(home, url, day)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _peak_mb(process.pid))
        time.sleep(POLL_SECONDS)
    if process.returncode != 0:
        sys.exit(f"The run failed: {(home / 'log.txt').read_text()[-2000:]}")
    return peak


def _sent(url: str, recording_id: str) -> int:
    counted = httpx.get(f"{url}/_sandbox/stats", params={"recordings": "1"}, timeout=60).json()["recordings"]
    return int(counted.get(recording_id, {}).get("bytes", 0))


def _peak_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    line = next((line for line in status.splitlines() if line.startswith("VmHWM")), "VmHWM: 0 kB")
    return int(line.split()[1]) * 1024 / MB


if __name__ == "__main__":
    sys.exit(main())
