"""media-pipeline share: a guest's stored file for somebody outside, as a link that ends or as base64, and recorded."""

import base64
import getpass
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from media_pipeline.messaging.pending import UPLOADS
from media_pipeline.messaging.uploads import merge_rows
from media_pipeline.sandbox.messaging.samples import png
from media_pipeline.storage.opening import open_store
from media_pipeline.tables.partition import Tables
from media_pipeline.tables.paths import upload_key
from media_pipeline.tables.schemas import TABLES
from media_pipeline_tests.messaging_org import today

COMMAND = str(Path(sys.executable).with_name("media-pipeline"))
DATA = png(5) + bytes(700_001)


def planted(root, tmp_path):
    """A stored and a refused file."""
    tables = Tables(open_store(root, tmp_path / "spool", 2))
    sha256 = hashlib.sha256(DATA).hexdigest()
    key = upload_key(today(), "f1", sha256, "png")
    tables.store.put(key, DATA)
    nothing = dict.fromkeys(TABLES[UPLOADS].names)
    stored = {"status": "stored", "object_key": key, "sha256": sha256, "detected_type": "image/png"}
    merge_rows(
        tables,
        today(),
        [
            nothing | {"file_id": "f1", "conversation_id": "c"} | stored,
            nothing | {"file_id": "f2", "conversation_id": "c", "status": "rejected", "reason": "polyglot"},
        ],
    )
    return tables.store, key


@pytest.fixture
def share(tmp_path, monkeypatch):
    def run(root, *arguments):
        monkeypatch.setenv("MEDIA_ROOT", root)
        monkeypatch.setenv("MEDIA_SPOOL", str(tmp_path / "spool"))
        return subprocess.run([COMMAND, "share", *arguments], cwd=tmp_path, capture_output=True, timeout=120)

    return run


def recorded(store):
    lines = []
    for key in sorted(store.sizes("audit/", ".jsonl")):
        with store.open(key) as file:
            lines += [json.loads(line) for line in file]
    return [line for line in lines if line["event"] == "guest_upload_shared"]


def test_a_link_serves_the_file_with_its_type_as_a_download_until_it_ends(s3_root, tmp_path, share):
    store, key = planted(s3_root, tmp_path)
    done = share(s3_root, "f1", "--expires", "10")
    assert done.returncode == 0, done.stderr
    link = done.stdout.decode().strip()
    assert "X-Amz-Expires=10" in link
    answer = httpx.get(link)
    assert answer.content == DATA
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{key.rpartition("/")[2]}"'
    (line,) = recorded(store)
    assert (line["file_id"], line["form"], line["who"]) == ("f1", "link", getpass.getuser())
    assert line["until"]
    assert "http" not in json.dumps(line)
    deadline = time.monotonic() + 60
    while httpx.get(link).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.5)
    assert httpx.get(link).status_code == 403


def test_base64_is_the_file_to_the_byte_and_recorded(tmp_path, share):
    root = str(tmp_path / "media")
    store, _ = planted(root, tmp_path)
    assert share(root, "f1", "--base64", "out.txt").returncode == 0
    assert base64.b64decode((tmp_path / "out.txt").read_bytes(), validate=True) == DATA
    assert (tmp_path / "out.txt").stat().st_mode & 0o777 == 0o600
    assert base64.b64decode(share(root, "f1", "--base64", "-").stdout, validate=True) == DATA
    assert [line["form"] for line in recorded(store)] == ["base64", "base64"]
    again = share(root, "f1", "--base64", "out.txt")
    assert again.returncode == 2
    assert b"Traceback" not in again.stderr


def test_a_folder_has_no_links_and_says_what_to_do(tmp_path, share):
    root = str(tmp_path / "media")
    store, _ = planted(root, tmp_path)
    done = share(root, "f1")
    assert done.returncode == 2
    assert b"--base64" in done.stderr
    assert recorded(store) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["f2"], b"rejected"),
        (["nobody"], b"no file"),
        (["f1", "--date", "2020-01-01"], b"on 2020-01-01"),
        (["f1", "--expires", "604801"], b"Invalid value"),
        (["f1", "--expires", "0"], b"Invalid value"),
    ],
)
def test_what_cannot_be_shared_is_a_sentence(tmp_path, share, arguments, said):
    root = str(tmp_path / "media")
    planted(root, tmp_path)
    done = share(root, *arguments)
    assert done.returncode == 2
    assert said in b" ".join(done.stderr.split())
    assert b"Traceback" not in done.stderr


def test_an_object_that_was_changed_is_not_handed_out(tmp_path, share):
    root = str(tmp_path / "media")
    _, key = planted(root, tmp_path)
    (tmp_path / "media" / key).write_bytes(DATA[:-1] + b"x")
    done = share(root, "f1", "--base64", "out.txt")
    assert done.returncode == 2
    assert b"do not use it" in b" ".join(done.stderr.split())
    assert not (tmp_path / "out.txt").exists()
