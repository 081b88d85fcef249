"""Health, readiness, metrics and the documentation."""

import os
import re
import threading
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from media_pipeline.service.health import Readiness
from media_pipeline.service.limits import HEADERS
from media_pipeline_tests.pages import browser
from media_pipeline_tests.programs import program
from media_pipeline_tests.service.running import serving
from media_pipeline_tests.voices import wav


def figures(service) -> dict[tuple[str, ...], float]:
    text = service.call("GET", "/metrics", "monitor").text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_reply_has_the_headers_that_make_it_safe(service):
    calls = [("GET", "/health", None), ("GET", "/nothing", None), ("GET", "/docs", None), ("GET", "/ready", "monitor")]
    for method, path, scope in calls:
        answer = service.call(method, path, scope)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (path, name)
        assert "server" not in answer.headers
        assert "set-cookie" not in answer.headers


def test_it_is_ready_when_root_spool_and_inbox_can_be_written(service):
    assert service.call("GET", "/ready", "monitor").json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("name", "folder"), [("MEDIA_ROOT", "root"), ("MEDIA_SPOOL", "spool"), ("MEDIA_INBOX", "inbox")]
)
def test_a_place_that_cannot_be_used_is_named_by_its_variable(tmp_path, name, folder):
    (tmp_path / folder).write_text("a file where the folder should be")
    with serving(tmp_path) as service:
        answer = service.call("GET", "/ready", "monitor")
    assert answer.status_code == 503
    assert name in answer.json()["detail"]
    assert str(tmp_path) not in answer.text


def test_readiness_comes_back_with_its_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("media_pipeline.service.health.KEPT_SECONDS", 0.0)
    (tmp_path / "inbox").write_text("")
    with serving(tmp_path) as service:
        assert service.call("GET", "/ready", "monitor").status_code == 503
        (tmp_path / "inbox").unlink()
        assert service.call("GET", "/ready", "monitor").status_code == 200


def test_a_disk_that_hangs_is_looked_at_once_however_many_ask(tmp_path, monkeypatch):
    looks, end = [], threading.Event()
    monkeypatch.setattr("media_pipeline.service.health.LOOK_SECONDS", 0.2)
    monkeypatch.setattr(Readiness, "_root", lambda self: (looks.append(1), end.wait(20)))
    with serving(tmp_path) as service:
        for _ in range(5):
            assert service.call("GET", "/ready", "monitor").json()["reason"] == "slow"
        assert service.call("GET", "/health").status_code == 200
        end.set()
        deadline = time.monotonic() + 10
        while service.call("GET", "/ready", "monitor").status_code != 200:
            assert time.monotonic() < deadline
    assert len(looks) == 1


def test_the_metrics_count_requests_bytes_and_what_waits_in_the_inbox(service):
    service.post(wav())
    service.post(b"no audio")
    service.call("GET", "/health")
    found = figures(service)
    assert found["media_service_requests_total", "POST", "/voice-messages", "202"] == 1
    assert found["media_service_requests_total", "POST", "/voice-messages", "415"] == 1
    assert found["media_service_request_seconds_count", "POST", "/voice-messages"] == 2
    assert found["media_service_inbox_messages",] == 1
    assert found["media_service_requests_in_flight",] == 1  # the one that asks
    assert found["media_service_received_bytes_total",] > len(wav())


def test_no_label_is_made_of_what_a_request_says(service):
    for n in range(30):
        service.call("GET", f"/nothing-{n}?x={n}")
        service.call(f"METHOD{n}", "/health")
        service.call("DELETE", f"/cleanup?older_than_hours={n}", "cleanup")
    labels = {key[1:] for key in figures(service) if key[0] == "media_service_requests_total"}
    assert labels == {
        ("GET", "other", "404"),
        ("other", "/health", "405"),
        ("DELETE", "/cleanup", "200"),
        ("DELETE", "/cleanup", "422"),
    }


def test_the_page_says_what_the_document_says_without_a_script_or_another_host(service):
    answer = service.call("GET", "/docs", "docs")
    document = service.call("GET", "/openapi.json", "docs").json()
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"<b>{method.upper()}</b> {path}</h2>" in answer.text
    assert "<script" not in answer.text
    assert re.findall(r"(?:src|href)=\"([^#\"][^\"]*)", answer.text) == []
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_every_refusal_of_a_route_is_documented(service):
    document = service.call("GET", "/openapi.json", "docs").json()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            wanted = set() if path == "/health" else {"401", "403"}
            assert wanted <= operation["responses"].keys(), path
    post = document["paths"]["/voice-messages"]["post"]["responses"]
    assert {"202", "400", "408", "409", "413", "415", "422", "503"} <= post.keys()


@pytest.mark.parametrize(("width", "dark"), [(360, False), (1200, True)])
def test_a_browser_shows_the_page_after_a_login_with_the_token(service, tmp_path, width, dark):
    with browser(program("chromium")) as chromium:
        context = chromium.new_context(
            http_credentials={"username": "me", "password": service.tokens["docs"]},
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
        )
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{service.url}/docs")
        assert page.get_by_role("heading", level=2).count() == sum(
            route.include_in_schema for route in service.app.routes
        )
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("getComputedStyle(document.body).maxWidth") == "960px"  # the style was let in
        page.get_by_role("link", name="DELETE /cleanup").click()
        assert page.get_by_role("heading", name="DELETE /cleanup").is_visible()
        page.screenshot(path=tmp_path / "docs.png")
    assert [text for text in said if "favicon" not in text] == []


def test_cleanup_answers_with_what_is_gone(service):
    partial = service.folder / "spool/partial/0011/a.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * 7)
    os.utime(partial, (time.time() - 3 * 3600,) * 2)
    assert service.call("DELETE", "/cleanup", "cleanup").json()["removed_count"] == 0
    answer = service.call("DELETE", "/cleanup?older_than_hours=2", "cleanup").json()
    assert answer == {"status": "clean", "removed_count": 1, "removed_bytes": 7, "in_flight": 0}
    assert not partial.exists()


@pytest.mark.parametrize("hours", ["0", "-1", "x", "1e9", "1.5", "\0"])
def test_an_age_that_is_none_is_refused_without_being_repeated(service, hours):
    answer = service.call("DELETE", "/cleanup", "cleanup", params={"older_than_hours": hours})
    assert (answer.status_code, answer.json()["reason"]) == (422, "parameter")
