"""Programs the benchmark starts: where they are, and which Debian package brings a missing one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = {
    "nginx": "nginx-light",
    "cc": "gcc libc6-dev libisal-dev libssl-dev",
    "curl": "curl",
    "igzip": "isal",
    "pigz": "pigz",
    "aria2c": "aria2",
}
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))  # Debian keeps nginx there


def which(name: str) -> str | None:
    """The program's path, None when it is missing."""
    return shutil.which(name, path=_PATH)


def found(name: str) -> str:
    """The program's path; raises RuntimeError that names the package to install."""
    path = which(name)
    if path is None:
        raise RuntimeError(f"{name} is missing: apt-get install --no-install-recommends {PACKAGES[name]}")
    return path


def compiled(source: Path, target: Path) -> str:
    """Compile the limit; raises RuntimeError when the compiler or a library is missing."""
    command = [found("cc"), "-O2", "-pthread", "-o", str(target), str(source), "-lisal", "-lcrypto"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"{source.name} does not compile (apt-get install {PACKAGES['cc']}):\n{done.stderr[-2000:].strip()}"
        )
    return str(target)
