"""The receiver that the README prints, as a process of its own, before real deliveries and forged ones."""

import datetime as dt
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from media_pipeline.notify.delivery import Deliverer
from media_pipeline.notify.events import DAY_COMPLETED
from media_pipeline.notify.queue import Queue
from media_pipeline.notify.signing import parse_keys, signed_headers
from media_pipeline.notify.webhooks import parse_webhooks
from media_pipeline.storage.local import LocalStore
from media_pipeline_tests.dagster_dev import until
from media_pipeline_tests.notify.delivery_kills import KEY
from media_pipeline_tests.notify.test_announcer import announced

README = Path(__file__).parents[1] / "README.md"
BODY = b'{"type": "day_completed"}'


@pytest.fixture
def url(tmp_path) -> Iterator[str]:
    """The README's receiver, listening; what it prints goes to tmp_path/out.txt."""
    snippets = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    (code,) = [snippet for snippet in snippets if "webhook-signature" in snippet]
    (tmp_path / "receiver.py").write_text(code)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with (tmp_path / "out.txt").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "receiver.py", str(port)],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "MEDIA_WEBHOOK_KEY": KEY},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}/"
    try:
        until(lambda: _answers(address), 20, lambda: (tmp_path / "out.txt").read_text())
        yield address
    finally:
        process.kill()
        process.wait()


def _answers(address: str) -> bool | None:
    try:
        return httpx.get(address).status_code > 0
    except httpx.TransportError:
        return None


def test_it_takes_what_we_deliver_with_either_key_while_they_rotate(url, tmp_path):
    store = LocalStore(tmp_path / "root")
    announced(store, {str(dt.date(2026, 11, 20)): 1}, DAY_COMPLETED)
    for keys in (f"a-newer-key-of-ours {KEY}", KEY):
        with Queue(tmp_path / "spool", store.url) as queue:
            outcome = Deliverer(store, queue, parse_webhooks(url, keys)).deliver(20)
            assert outcome.problems == {}
        announced(store, {"another": 1}, DAY_COMPLETED)
    assert (tmp_path / "out.txt").read_text().count("day_completed\n") == 2


def test_it_takes_a_message_once(url, tmp_path):
    headers = signed_headers(parse_keys(KEY), "msg_1", int(time.time()), BODY)
    assert [httpx.post(url, content=BODY, headers=headers).status_code for _ in range(3)] == [204] * 3
    assert (tmp_path / "out.txt").read_text().count("day_completed\n") == 1


def test_it_refuses_what_is_forged_stale_or_unsigned(url, tmp_path):
    keys, now = parse_keys(KEY), int(time.time())
    good = signed_headers(keys, "msg_1", now, BODY)
    forged = [
        (good, BODY + b" "),
        (good | {"webhook-id": "msg_2"}, BODY),
        (good | {"webhook-timestamp": str(now + 1)}, BODY),
        (good | {"webhook-timestamp": "soon"}, BODY),
        (good | {"webhook-signature": "v1,bm8="}, BODY),
        (signed_headers(keys, "msg_1", now - 400, BODY), BODY),
        (signed_headers(keys, "msg_1", now + 400, BODY), BODY),
        (signed_headers(parse_keys("a-key-of-somebody-else"), "msg_1", now, BODY), BODY),
        (signed_headers((), "msg_1", now, BODY), BODY),
        ({}, BODY),
    ]
    assert [httpx.post(url, content=body, headers=headers).status_code for headers, body in forged] == [401] * len(
        forged
    )
    assert "day_completed" not in (tmp_path / "out.txt").read_text()
