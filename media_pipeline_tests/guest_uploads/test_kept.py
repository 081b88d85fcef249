"""guest_uploads: what guests send is kept, refused or given up, once each, in both dialects."""

import base64
import datetime as dt
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg

from media_pipeline.messaging.events import add_rows
from media_pipeline.messaging.pending import UPLOADS, pending_files
from media_pipeline.sandbox.messaging.samples import pdf, png
from media_pipeline_tests.guest_uploads.conftest import Keeper, requests
from media_pipeline_tests.harness import variables_for
from media_pipeline_tests.messaging_org import today


def test_files_are_stored_under_ids_and_hashes_and_fetched_once(guests, keeper):
    sent = guests.send(3) + guests.send(3, sample="jpeg") + guests.send(3, sample="pdf")
    rows = keeper.kept()
    assert rows.keys() == {each["file_id"] for each in sent}
    for each in sent:
        row = rows[each["file_id"]]
        data = keeper.bytes_of(row["object_key"])
        extension = {"image/png": "png", "image/jpeg": "jpg", "application/pdf": "pdf"}[row["detected_type"]]
        assert (row["status"], row["context"], row["reason"]) == ("stored", "would_send", None)
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert (row["size_bytes"], row["conversation_id"]) == (len(data), each["conversation_id"])
        assert row["object_key"] == f"uploads/date={today()}/{row['file_id']}.{row['sha256']}.{extension}"
        assert (row["expires_at"] is None) == (keeper.settings.dialect == "guide")
    assert keeper.objects == {row["object_key"] for row in rows.values()}
    fetched = requests(guests, "guest_file") + requests(guests, "attachment_file")
    assert fetched == 9
    assert keeper.kept_again() == rows
    assert requests(guests, "guest_file") + requests(guests, "attachment_file") == fetched
    assert requests(guests, "context") + requests(guests, "participant_attributes") == 0


def test_hostile_uploads_are_refused_with_a_reason_and_nothing_of_them_is_kept(guests, keeper):
    encoded = {name: base64.b64encode(data).decode() for name, data in (
        ("zip", png(1) + b"PK\x03\x04" + b"PK\x01\x02" + b"PK\x05\x06" + bytes(18)),
        ("html", b"<html>" + pdf(1)),
        ("exe", b"MZ\x90\0" * 40),
    )}  # fmt: skip
    expected = {}

    def send(reason, **file):
        (made,) = guests.send(1, **file)
        expected[made["file_id"]] = reason

    send("polyglot", base64=encoded["zip"])
    send("type_not_allowed", base64=encoded["html"], sample="pdf")
    send("type_not_allowed", base64=encoded["exe"])
    send("type_mismatch", sample="pdf", name="x.png", content_type="image/png")
    send("name_mismatch", name="x.png", content_type="application/pdf")
    send("type_not_allowed", content_type="image/svg+xml")
    send("empty", size=0)
    send("too_large", size=10 * 1024 * 1024 + 1)
    send("too_large", size=10_000_000_000, declared_size=1_000)
    for name in ("../../../../tmp/x.png", "a" * 5_000 + ".png", "x\0.png", "gnp.\u202efdp.png", "/etc/x.png"):
        send("hostile_name", name=name)
    (good,) = guests.send(1)
    rows = keeper.kept()
    assert {file_id: (row["status"], row["reason"]) for file_id, row in rows.items()} == {
        good["file_id"]: ("stored", None),
        **{file_id: ("rejected", reason) for file_id, reason in expected.items()},
    }
    for row in rows.values():
        assert row["file_name"].isprintable()
        assert len(row["file_name"]) <= 200
        assert (row["object_key"] is None) == (row["status"] == "rejected")
        assert row["detail"] is None or row["detail"].endswith(".")
    assert keeper.objects == {rows[good["file_id"]]["object_key"]}
    folder = Path(keeper.settings.spool).parent
    assert {path.name for path in folder.iterdir()} <= {"media", "spool", "state"}
    assert list((Path(keeper.settings.spool) / "uploads").iterdir()) == []
    assert list((Path(keeper.settings.root) / ".staging").iterdir()) == []
    asked = requests(guests, "guest_file") + requests(guests, "attachment_file")
    assert asked == 8, "what is refused unseen is not fetched"


def test_ten_gigabytes_declared_as_a_kilobyte_take_no_memory(guests, tmp_path):
    code = (
        "import resource, sys; from media_pipeline_tests import upload_storm; "
        "assert upload_storm.fetch() == 0; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    peaks = []
    for name, file in (("small", {}), ("large", {"size": 10_000_000_000, "declared_size": 1_000})):
        (tmp_path / name).mkdir()
        guests.forget_events()
        guests.send(8, **file)
        with dg.DagsterInstance.ephemeral() as instance:
            keeper = Keeper.of(guests.sandbox.url, tmp_path / name, instance, "guide")
            keeper.heard()
        environment = variables_for(guests.sandbox.url, tmp_path / name) | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-2_000:]
        peaks.append(int(done.stdout.split()[-1]))
        reasons = {row["reason"] for row in keeper.tables.rows(UPLOADS, today())}
        assert reasons == ({None} if name == "small" else {"too_large"})
    assert peaks[1] - peaks[0] < 48, f"{peaks} MiB"


def test_a_file_that_is_delivered_again_is_one_row_on_its_first_day(guests, guide):
    guests.send(3)
    guests.post("events/redeliver")
    rows = guide.kept()
    assert (len(guide.rows()), len(rows)) == (6, 3)
    event = guide.rows()[0]
    add_rows(guide.tables, today() - dt.timedelta(days=1), [event | {"event_id": "yesterday"}])
    assert pending_files(guide.tables, [today()]) == []
    assert event["file_id"] in guide.kept_again(today() - dt.timedelta(days=1))


def test_what_came_again_a_day_later_stays_with_its_first_day(guests, guide):
    guests.send(2)
    guide.heard()
    first, second = guide.rows()
    add_rows(guide.tables, today() - dt.timedelta(days=1), [first | {"event_id": "yesterday"}])
    assert guide.kept_again().keys() == {second["file_id"]}


def test_an_object_that_a_killed_run_published_is_taken_over_unless_it_was_changed(guests, keeper):
    first, second = (each["file_id"] for each in guests.send(2))
    rows = keeper.kept()
    keeper.tables.store.remove(f"tables/{UPLOADS}/date={today()}/part-0.parquet")
    stranger = f"uploads/date={today()}/{first}.{'0' * 64}.png"
    keeper.tables.store.put(stranger, b"something else")
    Path(keeper.settings.root, rows[second]["object_key"]).write_bytes(b"torn")
    before = requests(guests, "guest_file") + requests(guests, "attachment_file")
    assert keeper.kept_again() == rows
    assert requests(guests, "guest_file") + requests(guests, "attachment_file") == before + 1
    assert keeper.objects == {row["object_key"] for row in rows.values()}
    assert keeper.bytes_of(rows[second]["object_key"]) != b"torn"


def test_a_day_without_a_file_is_an_empty_table(guests, keeper):
    assert keeper.kept() == {}
    assert keeper.tables.exists(UPLOADS, today())


def test_files_are_kept_in_s3_as_on_disk(guests, tmp_path, instance, s3_root):
    keeper = Keeper.of(guests.sandbox.url, tmp_path, instance, "guide").with_settings(
        root=s3_root, allow_write_back=True
    )
    guests.send(3)
    guests.send(1, base64=base64.b64encode(b"MZ" * 40).decode())
    rows = keeper.kept()
    assert sorted(row["status"] for row in rows.values()) == ["rejected", "stored", "stored", "stored"]
    assert keeper.objects == {row["object_key"] for row in rows.values() if row["object_key"]}
    for row in rows.values():
        if row["object_key"]:
            assert hashlib.sha256(keeper.bytes_of(row["object_key"])).hexdigest() == row["sha256"]
