"""guest_uploads: what passes is waited out, what is dead is given up, and a warning comes before."""

import datetime as dt
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import pytest

from media_pipeline.messaging import fetching
from media_pipeline.messaging.events import add_rows
from media_pipeline.sandbox.messaging.samples import png
from media_pipeline_tests.guest_uploads.conftest import operation_of, requests
from media_pipeline_tests.messaging_org import today

CHECK = "guest_files_before_expiry"


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
