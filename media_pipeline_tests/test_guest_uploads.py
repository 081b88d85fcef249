"""guest_uploads: what guests send is kept, refused or given up, once each, in both dialects, and conversations told."""

import base64
import dataclasses
import datetime as dt
import hashlib
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import dagster as dg
import httpx
import pytest

from media_pipeline.genesys import guide_events
from media_pipeline.messaging import fetching
from media_pipeline.messaging.events import add_rows
from media_pipeline.messaging.pending import UPLOADS, pending_files
from media_pipeline.sandbox.messaging.samples import pdf, png
from media_pipeline_tests.harness import variables_for
from media_pipeline_tests.messaging_org import QUIET, Listener, today

DIALECTS = ["guide", "platform"]
CHECK = "guest_files_before_expiry"


@pytest.fixture(autouse=True)
def _short_silences(monkeypatch):
    monkeypatch.setattr(guide_events, "QUIET_SECONDS", 0.5)
    monkeypatch.setattr(guide_events, "PROBE_QUIET_SECONDS", 0.3)


@dataclasses.dataclass(frozen=True)
class Keeper(Listener):
    """A deployment that also fetches what guests send."""

    def keep(self, day: dt.date | None = None) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def("messaging")
        return job.execute_in_process(
            partition_key=str(day or today()), instance=self.instance, raise_on_error=False, run_config=QUIET
        )

    def kept(self, day: dt.date | None = None) -> dict[str, dict]:
        """Rows by file after a run that succeeded, by everything that was noticed."""
        self.heard()
        return self.kept_again(day)

    def kept_again(self, day: dt.date | None = None) -> dict[str, dict]:
        result = self.keep(day)
        assert result.success, [e.message for e in result.all_events if e.is_failure]
        rows = list(self.tables.rows(UPLOADS, day or today()))
        assert [row["file_id"] for row in rows] == sorted({row["file_id"] for row in rows})
        return {row["file_id"]: row for row in rows}

    def with_settings(self, **changes):
        return dataclasses.replace(self, settings=self.settings.model_copy(update=changes))

    @property
    def objects(self) -> set[str]:
        return set(self.tables.store.sizes("uploads/"))

    def bytes_of(self, key: str) -> bytes:
        with self.tables.store.open(key) as file:
            return file.read()

    @property
    def all_text(self) -> str:
        files = [p.read_text(errors="replace") for p in Path(self.settings.root).rglob("*.json*")]
        tables = [str(list(self.tables.rows(t, today()))) for t in (UPLOADS, "conversation_events", "export_runs")]
        events = [dg.serialize_value(e) for r in self.instance.get_runs() for e in self.instance.all_logs(r.run_id)]
        return "\n".join([*files, *tables, *events])


@pytest.fixture(params=DIALECTS)
def keeper(guests, tmp_path, instance, request):
    return Keeper.of(guests.sandbox.url, tmp_path, instance, request.param)


@pytest.fixture
def guide(guests, tmp_path, instance):
    return Keeper.of(guests.sandbox.url, tmp_path, instance, "guide")


@pytest.fixture
def platform(guests, tmp_path, instance):
    return Keeper.of(guests.sandbox.url, tmp_path, instance, "platform")


def requests(guests, operation):
    found = httpx.get(f"{guests.sandbox.url}/_sandbox/stats").json()["requests"].get(operation, {})
    return sum(found.values())


def operation_of(keeper):
    """What brings the bytes."""
    return "guest_file" if keeper.settings.dialect == "guide" else "attachment_file"


def context_of(guests, conversation_id):
    (found,) = [each for each in guests.get("conversations") if each["conversation_id"] == conversation_id]
    return found["context"], found["attributes"].get(found["guest_participant_id"], {})


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


def a_day_old(guests, keeper):
    """A file that died before it was noticed, as a source that was away for long would tell of it."""
    (dead,) = guests.send(1, age_seconds=25 * 3600, silent=True)
    sent_at = dt.datetime.now(dt.UTC) - dt.timedelta(hours=25)
    event = guide_row() | {"event_id": "old", "file_id": dead["file_id"], "message_id": dead["message_id"]}
    event |= {"conversation_id": dead["conversation_id"], "sent_at": sent_at}
    add_rows(keeper.tables, sent_at.date(), [event])
    return dead


def test_a_dead_file_is_expired_and_one_that_is_missing_too_early_is_tried_again(guests, platform):
    (alive,) = guests.send(1)
    dead = a_day_old(guests, platform)
    guests.sandbox.break_with({"fault": "not_found", "on": ["attachment_file"], "ids": [alive["file_id"]]})
    day = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=25)).date()
    (gone,) = platform.kept(day).values()
    assert (gone["file_id"], gone["status"], gone["reason"]) == (dead["file_id"], "expired", "too_late")
    (missing,) = platform.kept_again().values()
    assert (missing["status"], missing["reason"]) == ("failed", "no_file")
    guests.sandbox.break_with()
    (found,) = platform.kept_again().values()
    assert found["status"] == "stored"


def test_without_a_time_of_the_message_a_file_is_dead_a_day_after_its_day(guests, guide):
    for days, expected in ((1, ("failed", "no_file")), (2, ("expired", "too_late"))):
        day = today() - dt.timedelta(days=days)
        add_rows(guide.tables, day, [guide_row() | {"event_id": f"e{days}", "file_id": f"gone-{days}"}])
        row = guide.kept_again(day)[f"gone-{days}"]
        assert (row["status"], row["reason"]) == expected


def guide_row():
    return {
        "event_id": "e", "conversation_id": "c", "event_type": "conversation", "message_id": None, "sent_at": None,
        "file_id": "gone", "file_name": "x.png", "declared_type": "image/png", "size_bytes": 1, "source_sha256": None,
    }  # fmt: skip


@pytest.mark.parametrize("fault", ["server_error", "rate_limit", "reset"])
def test_what_passes_is_waited_out(guests, keeper, fault):
    sent = guests.send(2)
    more = {"rate_limit": {"wait": 0}, "reset": {"after_bytes": 30}}.get(fault, {})
    guests.sandbox.break_with({"fault": fault, "on": [operation_of(keeper)], "times": 2, **more})
    rows = keeper.kept()
    assert {row["status"] for row in rows.values()} == {"stored"}
    assert len(keeper.objects) == len(sent)
    assert requests(guests, operation_of(keeper)) > len(sent)


def test_bytes_without_the_hash_that_the_source_states_are_refused(guests, platform):
    guests.send(1, sha256="0" * 64)
    (row,) = platform.kept().values()
    assert (row["status"], row["reason"]) == ("rejected", "sha256_mismatch")
    assert platform.objects == set()
    assert requests(guests, "attachment_file") == 2


def test_a_page_instead_of_the_file_is_no_reason_to_refuse_it(guests, keeper):
    guests.send(1)
    guests.sandbox.break_with({"fault": "html", "on": [operation_of(keeper)], "times": 99})
    (row,) = keeper.kept().values()
    assert (row["status"], row["reason"]) == ("failed", "not_media")
    guests.sandbox.break_with()
    (row,) = keeper.kept_again().values()
    assert row["status"] == "stored"


def test_a_missing_permission_fails_the_file_and_not_the_run(guests, guide):
    guests.send(1)
    guests.sandbox.break_with({"fault": "forbidden", "on": ["guest_file"], "permission": "media:read"})
    (row,) = guide.kept().values()
    assert (row["status"], row["reason"]) == ("failed", "forbidden")
    assert "media:read" in row["detail"]


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


def test_conversations_are_told_with_the_switch_on_and_once(guests, keeper):
    (sent,) = guests.send(1, name="Scan 1.png")
    rows = keeper.kept()
    row = rows[sent["file_id"]]
    assert row["context"] == "would_send"
    writer = keeper.with_settings(allow_write_back=True)
    (told,) = writer.kept_again().values()
    assert told == row | {"context": "sent"}
    context, attributes = context_of(guests, sent["conversation_id"])
    expected = {
        "media_processed": True,
        "original_filename": "Scan 1.png",
        "content_type": "image/png",
        "file_size": row["size_bytes"],
        "sha256_checksum": row["sha256"],
        "object_key": row["object_key"],
    }
    if keeper.settings.dialect == "guide":
        assert (context, attributes) == (expected, {})
    else:
        texts = {f"guest_upload.{key}": str(value) for key, value in expected.items()}
        assert (context, attributes) == ({}, texts | {"guest_upload.media_processed": "true"})
    writer.kept_again()
    assert requests(guests, "context") + requests(guests, "participant_attributes") == 1


def test_files_of_one_conversation_do_not_take_each_others_facts_away(guests, keeper):
    keeper = keeper.with_settings(allow_write_back=True)
    (first,) = guests.send(1)
    keeper.kept()
    (second,) = guests.send(1, sample="pdf", conversation_id=first["conversation_id"])
    rows = keeper.kept()
    context, attributes = context_of(guests, first["conversation_id"])
    found = context or {key.removeprefix("guest_upload."): value for key, value in attributes.items()}
    for each in (first, second):
        assert found[f"object_key.{each['file_id']}"] == rows[each["file_id"]]["object_key"]
        assert found[f"sha256_checksum.{each['file_id']}"] == rows[each["file_id"]]["sha256"]
    assert found["object_key"] in {row["object_key"] for row in rows.values()}
    assert "http" not in str(found)


def test_a_conversation_that_goes_on_the_next_day_is_told_of_both_days(guests, guide):
    guide = guide.with_settings(allow_write_back=True)
    first = guests.send(1)
    second = guests.send(1, conversation_id=first[0]["conversation_id"])
    guide.heard()
    rows = {row["file_id"]: row for row in guide.rows()}
    day = today() - dt.timedelta(days=1)
    add_rows(guide.tables, day, [rows[first[0]["file_id"]] | {"event_id": "y"}])
    guide.kept_again(day)
    guide.kept_again()
    context, _ = context_of(guests, first[0]["conversation_id"])
    assert f"object_key.{first[0]['file_id']}" in context
    assert f"object_key.{second[0]['file_id']}" in context


def test_a_conversation_that_cannot_be_told_loses_no_file_and_is_told_later(guests, keeper):
    keeper = keeper.with_settings(allow_write_back=True)
    guests.send(1)
    operation = "context" if keeper.settings.dialect == "guide" else "participant_attributes"
    guests.sandbox.break_with({"fault": "server_error", "on": [operation], "times": 0})
    (row,) = keeper.kept().values()
    assert (row["status"], row["context"]) == ("stored", "failed")
    assert "was not told" in row["detail"]
    assert [pending.failed for pending in pending_files(keeper.tables, [today()])] == [1]
    guests.sandbox.break_with()
    (row,) = keeper.kept_again().values()
    assert (row["context"], row["detail"]) == ("sent", None)
    assert pending_files(keeper.tables, [today()]) == []


def test_no_secret_and_no_link_is_written_anywhere(guests, keeper):
    keeper = keeper.with_settings(allow_write_back=True)
    guests.send(2, name="jane.doe@example.com 4111 1111 1111 1111.png")
    rows = keeper.kept()
    assert {row["context"] for row in rows.values()} == {"sent"}
    text = keeper.all_text
    assert "X-Amz-Signature" not in text
    assert "signature=" not in text.lower()
    assert "Bearer" not in text
    for row in rows.values():
        assert "jane" not in row["file_name"]
        assert "1111" not in row["file_name"]


def test_the_token_goes_to_no_other_host_however_the_download_is_redirected(guests, guide):
    (sent,) = guests.send(1)
    seen = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers.get("Authorization"))
            data = png(0)
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        guests.sandbox.break_with(
            {"fault": "redirect", "on": ["guest_file"], "to": f"http://127.0.0.1:{server.server_port}/x"}
        )
        row = guide.kept()[sent["file_id"]]
        server.shutdown()
    assert row["status"] == "stored"
    assert seen == [None]


def test_a_download_that_drips_is_broken_off(guests, keeper, monkeypatch):
    monkeypatch.setattr(fetching, "DOWNLOAD_SECONDS", 0.3)
    guests.send(1)
    guests.sandbox.break_with({"fault": "slow_drip", "on": [operation_of(keeper)], "times": 1})
    (row,) = keeper.kept().values()
    assert row["status"] == "stored"


def test_a_warning_comes_hours_before_a_file_is_lost_and_when_one_was(guests, platform):
    guests.send(1)
    guests.send(2, age_seconds=19 * 3600)
    (check,) = [c for c in platform.drain().get_asset_check_evaluations() if c.check_name == CHECK]
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert "2 files of guests have no outcome" in check.description
    for n in (1, 0):
        platform.kept_again(today() - dt.timedelta(days=n))
    (check,) = [c for c in platform.drain().get_asset_check_evaluations() if c.check_name == CHECK]
    assert check.passed
    a_day_old(guests, platform)
    for n in (2, 1):
        platform.kept_again(today() - dt.timedelta(days=n))
    (check,) = [c for c in platform.drain().get_asset_check_evaluations() if c.check_name == CHECK]
    assert "1 files of the last days died" in check.description


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
