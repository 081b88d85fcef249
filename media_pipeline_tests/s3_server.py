"""An S3 server for the tests: the Ceph RADOS gateway where it is installed, else moto's server in a process of its own.

Everything lies below one folder and listens on loopback; every process that was started is ended again by its id.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx

GATEWAY_PROGRAMS = ("radosgw", "ceph-mon", "ceph-osd", "ceph", "radosgw-admin")
MISSING_GATEWAY = (
    "The Ceph RADOS gateway is not installed: apt-get install radosgw ceph-mon ceph-osd ceph-common to test this."
)
BUCKET = "media"
START_SECONDS = 60.0
END_SECONDS = 10.0
TRIES = 3
"""Free ports are found before they are bound: another run may be quicker."""

# One monitor, one disk, no manager: one copy of everything. cephx stays on, for without it the gateway is refused.
CEPH_CONF = """\
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}
keyring = {folder}/keyring
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
pid file = {folder}/$name.pid
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon warn on pool no redundancy = false
paxos propose interval = 0.05
paxos min wait = 0.01
[mon.a]
mon data = {folder}/mon
[osd.0]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw thread pool size = 32
"""


@dataclass
class S3Server:
    """A running server, with the one user that owns the bucket."""

    url: str
    access_key: str
    secret_key: str
    gateway: Gateway | None = None

    def variables(self, url: str | None = None) -> dict[str, str]:
        """What boto3 reads; another URL than the server's leads through a proxy."""
        return {
            "AWS_ENDPOINT_URL_S3": url or self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@dataclass
class Gateway:
    """The gateway's own administration."""

    folder: Path
    users: int = field(default=0)

    def add_user(self) -> tuple[str, str, str]:
        """Another user; returns its name, access key and secret key."""
        self.users += 1
        name = f"user{self.users}"
        access_key, secret_key = f"KEYOF{name.upper()}", uuid.uuid4().hex
        self.admin("user", "create", "--uid", name, "--display-name", name, *_keys(access_key, secret_key))
        return name, access_key, secret_key

    def remove_key(self, user: str, access_key: str) -> None:
        """Take a key from its user."""
        self.admin("key", "rm", "--uid", user, "--access-key", access_key)

    def admin(self, *arguments: str) -> None:
        """radosgw-admin."""
        _run(self.folder, "radosgw-admin", "-n", "client.rgw", *arguments)


def gateway_installed() -> bool:
    """Whether all of its programs are there."""
    return all(shutil.which(program) for program in GATEWAY_PROGRAMS)


@contextlib.contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """The best server there is, with an empty bucket `media`."""
    with _gateway(folder) if gateway_installed() else _moto(folder) as server:
        reply = _signed_put_bucket(server)
        assert reply == 200, reply
        yield server


@contextlib.contextmanager
def _gateway(folder: Path) -> Iterator[S3Server]:
    for attempt in range(1, TRIES + 1):
        place = folder.absolute() / f"ceph{attempt}"
        with contextlib.ExitStack() as stack:
            try:
                server = _start_gateway(place, stack)
            except (RuntimeError, subprocess.SubprocessError):
                if attempt == TRIES:
                    raise
                continue
            yield server
            return


def _start_gateway(folder: Path, stack: contextlib.ExitStack) -> S3Server:
    for name in ("mon", "osd"):
        (folder / name).mkdir(parents=True)
    stack.callback(shutil.rmtree, folder / "osd", ignore_errors=True)  # hundreds of MB that nobody reads again
    fsid, osd = str(uuid.uuid4()), str(uuid.uuid4())
    mon_v2, mon_v1, port = _free_ports(3)
    (folder / "ceph.conf").write_text(
        CEPH_CONF.format(fsid=fsid, folder=folder, mon_v2=mon_v2, mon_v1=mon_v1, port=port)
    )
    keyring, monmap = str(folder / "keyring"), str(folder / "monmap")
    _run(
        folder,
        "monmaptool",
        "--create",
        "--fsid",
        fsid,
        "--addv",
        "a",
        f"[v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]",
        monmap,
    )
    _run(folder, "ceph-authtool", "-C", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    for name, caps in {
        "client.admin": ("mon", "allow *", "osd", "allow *", "mgr", "allow *"),
        "client.rgw": ("mon", "allow rw", "osd", "allow rwx", "mgr", "allow rw"),
        "osd.0": ("mon", "allow profile osd", "osd", "allow *", "mgr", "allow profile osd"),
    }.items():
        pairs = [word for kind, cap in zip(caps[::2], caps[1::2], strict=True) for word in ("--cap", kind, cap)]
        _run(folder, "ceph-authtool", keyring, "--gen-key", "-n", name, *pairs)
    _run(folder, "ceph-mon", "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", keyring)
    _start(folder, stack, "ceph-mon", "-f", "-i", "a")
    _run(folder, "ceph", "--connect-timeout", "20", "osd", "new", osd, "0")
    _run(folder, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
    _start(folder, stack, "ceph-osd", "-f", "-i", "0")
    rgw = _start(folder, stack, "radosgw", "-f", "-n", "client.rgw")
    gateway = Gateway(folder)
    server = S3Server(f"http://127.0.0.1:{port}", "LABKEY", uuid.uuid4().hex, gateway)
    gateway.admin(
        "user", "create", "--uid", "lab", "--display-name", "lab", *_keys(server.access_key, server.secret_key)
    )
    _wait_until(lambda: _answers(server.url), rgw)
    return server


@contextlib.contextmanager
def _moto(folder: Path) -> Iterator[S3Server]:
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        (port,) = _free_ports(1)
        program = str(Path(sys.executable).with_name("moto_server"))
        process = _start(folder, stack, program, "-H", "127.0.0.1", "-p", str(port))
        server = S3Server(f"http://127.0.0.1:{port}", "test", "test")
        _wait_until(lambda: _answers(server.url), process)
        yield server


def _keys(access_key: str, secret_key: str) -> tuple[str, ...]:
    return "--access-key", access_key, "--secret", secret_key


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(
        command, env=_environment(folder), capture_output=True, text=True, timeout=START_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed: {done.stderr.strip()[-500:]}")


def _start(folder: Path, stack: contextlib.ExitStack, *command: str) -> subprocess.Popen[bytes]:
    """A process that ends with the stack, and with this process should that be killed."""
    log = stack.enter_context((folder / f"{Path(command[0]).name}.out").open("wb"))
    dying_with_us = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    process = subprocess.Popen([*dying_with_us, *command], env=_environment(folder), stdout=log, stderr=log)
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # the data is thrown away: a clean end would only cost time
    process.wait(END_SECONDS)


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "CEPH_CONF": str(folder / "ceph.conf")}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.TransportError:
        return False


def _wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{process.args} did not start")
        time.sleep(0.05)


def _signed_put_bucket(server: S3Server) -> int:
    import boto3

    variables = server.variables()
    client = boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )
    try:
        return int(client.create_bucket(Bucket=BUCKET)["ResponseMetadata"]["HTTPStatusCode"])
    finally:
        client.close()
