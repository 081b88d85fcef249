"""The command `media-pipeline serve` as operators run it: when it starts, how it ends, what it takes."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time

import httpx
import pytest

from media_pipeline.messaging.inbox import Pair
from media_pipeline_tests.service.running import FIELDS, Process, environment, process, received
from media_pipeline_tests.service.test_hostile import FIELD_PARTS, FILE_PART, body, head
from media_pipeline_tests.voices import wav

CLIENTS = 200
MOST_ROUNDS = 8
MEGABYTE = wav(frames=bytes(1_000_000))
FLAT_MB = 100
"""Of 200 MB that are under way at once: what sockets, parsers and Python itself take for 200 connections."""
GROWTH_MB = 10
"""Of the last round over the highest before it."""


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "media_pipeline.cli", *arguments],
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_off_loopback_it_does_not_start_without_tokens(tmp_path):
    done = run("serve", "--host", "0.0.0.0", "--port", "0", MEDIA_ROOT=str(tmp_path))  # noqa: S104
    assert done.returncode == 2
    assert "Without MEDIA_SERVICE_TOKENS" in done.stderr


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"MEDIA_SERVICE_TOKENS": "hunter2"}, "MEDIA_SERVICE_TOKENS, entry 1"),
        ({"MEDIA_SERVICE_TOKENS": "a:docs:hunter2"}, "32 characters or more"),
    ],
)
def test_it_does_not_start_with_bad_tokens_and_does_not_show_them(tmp_path, variables, sentence):
    done = run("serve", "--port", "0", MEDIA_ROOT=str(tmp_path), **variables)
    assert done.returncode == 2
    assert sentence in " ".join(done.stderr.split())
    assert "hunter2" not in done.stdout + done.stderr


def test_an_address_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port, MEDIA_ROOT=str(tmp_path))
    assert done.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr


def test_on_loopback_without_tokens_it_starts_says_so_and_lets_nobody_in(tmp_path):
    with process(tmp_path, MEDIA_SERVICE_TOKENS="", MEDIA_INBOX="") as service:
        assert "MEDIA_SERVICE_TOKENS is not set" in service.log.read_text()
        assert "MEDIA_INBOX is not set" in service.log.read_text()
        assert service.running.call("GET", "/health").status_code == 200
        assert service.running.call("DELETE", "/cleanup").status_code == 401
        assert service.running.call("GET", "/metrics", "monitor").status_code == 401


def test_a_token_that_was_made_opens_its_routes_and_is_shown_once(tmp_path):
    made = run("token", "new", "--name", "ivr", "--scope", "monitor", "--scope", "docs").stdout.splitlines()
    token, entry = (line.partition(": ")[2] for line in made)
    assert entry.startswith("ivr:monitor+docs:sha256=")
    with process(tmp_path, MEDIA_SERVICE_TOKENS=entry) as service:
        headers = {"Authorization": f"Bearer {token}"}
        assert service.running.call("GET", "/ready", headers=headers).status_code == 200
        assert service.running.call("DELETE", "/cleanup", headers=headers).status_code == 403
        service.end()
        assert token not in service.log.read_text()
    assert run("token", "new", "--name", "ivr", "--scope", "everything").returncode == 2


def test_on_sigterm_requests_under_way_are_finished_and_new_ones_refused(tmp_path):
    with process(tmp_path) as service:
        content = body(*FIELD_PARTS, FILE_PART)
        with socket.create_connection(service.running.address, timeout=30) as connection:
            connection.sendall(head(service.running, f"Content-Length: {len(content)}") + content[:500])
            while not list((service.running.inbox.folder / ".incoming").glob("*")):
                time.sleep(0.01)
            code: list[int] = []
            ending = threading.Thread(target=lambda: code.append(service.end()))
            ending.start()
            while not refuses(service):
                time.sleep(0.01)
            connection.sendall(content[500:])
            assert received(connection).startswith(b"HTTP/1.1 202 ")
        ending.join()
    assert code == [0]
    assert service.running.inbox.depth() == 1
    (log,) = (tmp_path / "root/audit").rglob("*.jsonl")
    assert "voice_message_accepted" in log.read_text()
    assert "Traceback" not in service.log.read_text()


def refuses(service: Process) -> bool:
    try:
        socket.create_connection(service.running.address, timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


def test_after_a_kill_nothing_half_received_is_a_message_and_the_next_process_purges_it(tmp_path):
    with process(tmp_path) as service, socket.create_connection(service.running.address, timeout=30) as connection:
        connection.sendall(head(service.running, "Content-Length: 100000") + b"".join(FIELD_PARTS) + FILE_PART[:2000])
        while not (left := list((service.running.inbox.folder / ".incoming").glob("*"))):
            time.sleep(0.01)
        service.process.kill()
        service.process.wait()
    assert list(service.running.inbox.scan()) == []
    os.utime(left[0], (time.time() - 2 * 24 * 3600,) * 2)
    with process(tmp_path) as service:
        assert service.running.call("DELETE", "/cleanup", "cleanup").json()["removed_count"] == 1


async def uploads(service: Process, count: int) -> list[int]:
    """So many clients at once, each with a connection of its own and a megabyte."""
    bounds = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(
        limits=bounds, timeout=120, headers=service.running.bearer("voice-messages")
    ) as client:
        url = f"{service.running.url}/voice-messages"
        files = {"file": ("voice.wav", MEGABYTE, "audio/wav")}
        answers = await asyncio.gather(*(client.post(url, files=files, data=FIELDS) for _ in range(count)))
    return [answer.status_code for answer in answers]


def test_two_hundred_clients_at_once_take_no_more_memory_the_last_time_than_before(tmp_path):
    with process(tmp_path) as service:
        assert asyncio.run(uploads(service, 1)) == [202]
        idle = service.memory("VmRSS")
        after: list[float] = []
        # a busy machine may have fewer at once at first; what leaks never stops growing
        while len(after) < 3 or (after[-1] - max(after[:-1]) >= GROWTH_MB and len(after) < MOST_ROUNDS):
            assert asyncio.run(uploads(service, CLIENTS)) == [202] * CLIENTS
            after.append(service.memory("VmRSS"))
        peak = service.memory("VmHWM")
        print(f"idle {idle:.0f} MB, after each round {[round(each) for each in after]}, at most {peak:.0f} MB")
        assert peak - idle < FLAT_MB
        assert after[-1] - max(after[:-1]) < GROWTH_MB, after
        pairs = list(service.running.inbox.scan())
        assert len(pairs) == 1 + len(after) * CLIENTS
        assert all(isinstance(pair, Pair) and pair.size_bytes == len(MEGABYTE) for pair in pairs)
        assert service.end() == 0


def test_endless_bodies_of_many_senders_take_no_memory(tmp_path):
    with process(tmp_path) as service:
        assert asyncio.run(uploads(service, 1)) == [202]
        idle = service.memory("VmRSS")
        senders = [threading.Thread(target=endless, args=(service,)) for _ in range(20)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert service.memory("VmHWM") - idle < FLAT_MB
        assert service.running.inbox.depth() == 1
        assert list((service.running.inbox.folder / ".incoming").iterdir()) == []


def endless(service: Process) -> None:
    with socket.create_connection(service.running.address, timeout=60) as connection:
        start = FIELD_PARTS[0] + FILE_PART[:-2]
        try:
            connection.sendall(
                head(service.running, "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n" % (len(start), start)
            )
            while True:
                connection.sendall(b"10000\r\n" + bytes(65_536) + b"\r\n")
        except (ConnectionResetError, BrokenPipeError):
            return
