"""What people use: curl and wget that go on, aria2c with four connections, a browser's <audio>."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from media_pipeline.storage.local import LocalStore
from media_pipeline_tests.pages import browser
from media_pipeline_tests.playback.conftest import Call
from media_pipeline_tests.playback.serving import TOKEN, Served, served
from media_pipeline_tests.playback.test_archive import CONTENT, Archive
from media_pipeline_tests.programs import program

KEPT = 123_457


@pytest.fixture(params=["archived", "elsewhere"])
def call(request: pytest.FixtureRequest) -> Call:
    found: Call = request.getfixturevalue(request.param)
    return found


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_curl_goes_on_where_it_stopped(player: Served, call: Call, tmp_path: Path):
    (tmp_path / "call.wav").write_bytes(call.content[:KEPT])
    url = player.url + player.path(call.recording_id)
    bearer = f"Authorization: Bearer {TOKEN}"
    run(program("curl"), "-sS", "--fail", "-C", "-", "-H", bearer, "-o", tmp_path / "call.wav", url)
    assert (tmp_path / "call.wav").read_bytes() == call.content


def test_wget_goes_on_where_it_stopped(player: Served, call: Call, tmp_path: Path):
    (tmp_path / "call.wav").write_bytes(call.content[:KEPT])
    url = player.url + player.link(call.recording_id)
    run(program("wget"), "-q", "-c", "-O", tmp_path / "call.wav", url)
    assert (tmp_path / "call.wav").read_bytes() == call.content


def test_aria2_puts_four_parts_together(tmp_path: Path):
    archive = Archive(LocalStore(tmp_path / "media"), tmp_path / "spool")
    content = CONTENT * 24
    archive.write("long", content)
    archive.table(archive.row("long", content))
    with served(archive.settings()) as player:
        url = player.url + player.link("long")
        run(program("aria2c", "aria2"), "-q", "-x4", "-s4", "-k1M", "-d", tmp_path, "-o", "call.wav", url)
    assert (tmp_path / "call.wav").read_bytes() == content
    assert player.lines.of("play_ended")[0]["requests"] >= 4


def test_aria2_takes_a_recording_from_its_source(player: Served, elsewhere: Call, tmp_path: Path):
    url = player.url + player.link(elsewhere.recording_id)
    run(program("aria2c", "aria2"), "-q", "-x4", "-d", tmp_path, "-o", "call.wav", url)
    assert (tmp_path / "call.wav").read_bytes() == elsewhere.content


@pytest.fixture
def heard(exported, call: Call, speaking_org, tmp_path: Path) -> Iterator[tuple[Served, str]]:
    pages = {"/page": "<!doctype html><title>call</title><audio controls preload=metadata></audio>"}
    with served(exported.settings.model_copy(update={"spool": tmp_path}), pages=pages) as player:
        yield player, player.link(call.recording_id, subject="listener")


def test_a_browser_plays_and_seeks_both_ways(heard: tuple[Served, str], call: Call):
    player, link = heard
    with browser(program("chromium")) as chromium:
        page = chromium.new_page()
        statuses: list[int] = []
        page.on("response", lambda reply: statuses.append(reply.status) if "/api/stream/" in reply.url else None)
        page.goto(player.url + "/page")
        seconds = page.evaluate(
            """link => new Promise((done, failed) => {
                const audio = document.querySelector('audio');
                audio.onerror = () => failed(new Error(audio.error.message));
                audio.onloadedmetadata = () => done(audio.duration);
                audio.src = link;
            })""",
            link,
        )
        assert seconds > 10
        places = page.evaluate(
            """async duration => {
                const audio = document.querySelector('audio');
                audio.muted = true;
                const places = [];
                for (const share of [0.9, 0.1, 0.5]) {
                    await new Promise(done => { audio.onseeked = done; audio.currentTime = duration * share; });
                    const from = audio.currentTime;
                    await audio.play();
                    await new Promise(done => { audio.ontimeupdate = () => audio.currentTime > from + 0.2 && done(); });
                    audio.pause();
                    places.push(audio.currentTime / duration);
                }
                return places;
            }""",
            seconds,
        )
        assert [round(place, 1) for place in places] == [0.9, 0.1, 0.5]
        assert 206 in statuses
        assert set(statuses) <= {200, 206, 304}
    assert {line["subject"] for line in player.lines.of("play_begun")} == {"listener"}


def test_a_browser_tells_a_page_that_a_link_does_not_hold(heard: tuple[Served, str]):
    player, link = heard
    with browser(program("chromium")) as chromium:
        page = chromium.new_page()
        page.goto(player.url + "/page")
        answer = page.evaluate(
            "async link => { const r = await fetch(link); return [r.status, (await r.json()).reason]; }",
            link[:-1] + ("A" if link[-1] != "A" else "B"),
        )
    assert answer == [403, "link_forged"]
