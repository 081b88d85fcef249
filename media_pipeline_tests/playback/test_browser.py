"""The pages in a real browser: what is heard, seen and followed, by mouse and keys, wide and narrow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from media_pipeline.listening import PAGE, signed_link
from media_pipeline_tests.harness import DAY, Export
from media_pipeline_tests.playback.conftest import Call
from media_pipeline_tests.playback.serving import TOKEN, Served, served
from media_pipeline_tests.playback.test_pages import HOSTILE, page_of
from media_pipeline_tests.playback.test_redacted import redacted_calls

NARROW = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}


@dataclass
class Tab:
    """A tab that remembers what went wrong in it, and where it went."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))

    def show(self, path: str) -> None:
        self.page.goto(self.url + path)

    def audio(self, fact: str) -> Any:
        return self.page.evaluate(f"document.getElementById('audio').{fact}")

    def until(self, condition: str) -> None:
        """Wait until something holds of the audio element, called `a`."""
        self.page.wait_for_function(f"() => {{ const a = document.getElementById('audio'); return {condition}; }}")

    def assert_harmless(self) -> None:
        assert self.complaints == []
        assert self.hosts == {urlsplit(self.url).netloc}


def opened(chromium: Browser, player: Served, **options: Any) -> Iterator[Tab]:
    login = {"username": "me", "password": TOKEN}
    context = chromium.new_context(**{"viewport": WIDE, "http_credentials": login} | options)
    yield Tab(context.new_page(), player.url)
    context.close()


@pytest.fixture
def tab(chromium: Browser, player: Served, drawn: Export) -> Iterator[Tab]:
    yield from opened(chromium, player)


@pytest.fixture
def guest(chromium: Browser, player: Served, drawn: Export) -> Iterator[Tab]:
    """Somebody without a token, on a telephone."""
    yield from opened(chromium, player, http_credentials=None, viewport=NARROW)


@pytest.fixture(scope="module")
def call(drawn: Export) -> tuple[str, list[dict[str, Any]]]:
    """A stored call of which something is redacted, and what was said."""
    rows = drawn.rows("diarized_transcripts")
    wavs = {each for each, row in drawn.audio.items() if (row["object_key"] or "").endswith(".wav.gz")}
    mine = next(row["recording_id"] for row in rows if row["pii_redacted"] and row["recording_id"] in wavs)
    return mine, [row for row in rows if row["recording_id"] == mine]


def test_a_call_is_played_and_sought_and_its_transcript_follows(tab: Tab, call):
    recording_id, lines = call
    tab.show("/")
    tab.page.get_by_role("link", name=str(DAY)).click()
    tab.page.locator(f'a[href="{page_of(recording_id)}"]').click()
    play = tab.page.get_by_role("button", name="Play", exact=True)
    play.click()
    tab.until("a.currentTime > 0.3 && !a.paused")
    tab.page.get_by_role("button", name="Pause", exact=True).click()
    tab.until("a.paused")
    for line in (lines[-1], lines[1], lines[4]):  # forwards, backwards, forwards
        tab.page.locator(f'.line[data-start="{line["start_ms"]}"]').click()
        tab.until(f"Math.abs(a.currentTime - {line['start_ms'] / 1000}) < 0.05 && !a.seeking")
        expect(tab.page.locator('.line[aria-current="true"]')).to_have_attribute("data-start", str(line["start_ms"]))
        expect(tab.page.locator('.line[aria-current="true"]')).to_be_in_viewport()
        assert tab.page.locator("[aria-current=true]").count() == 1
    tab.page.keyboard.press("k")
    tab.until(f"a.currentTime > {lines[5]['start_ms'] / 1000 + 0.1}")
    expect(tab.page.locator('.line[aria-current="true"]')).not_to_have_attribute(
        "data-start", str(lines[4]["start_ms"])
    )
    tab.assert_harmless()


def test_a_link_with_a_time_opens_there_and_plays_from_there(guest: Tab, player: Served, call):
    recording_id, lines = call
    line = lines[-2]
    link = signed_link(player.settings, recording_id, subject="alex", seconds=300, page=True)
    guest.show(f"{link}#t={line['start_ms'] / 1000 + 0.2}")
    current = guest.page.locator('.line[aria-current="true"]')
    expect(current).to_have_attribute("data-start", str(line["start_ms"]))
    expect(current).to_be_in_viewport()
    seconds = (line["start_ms"] + 200) // 1000
    expect(guest.page.locator("#now")).to_have_text(f"{seconds // 60}:{seconds % 60:02}")
    assert guest.audio("readyState") == 0  # nothing is fetched, and no play logged, before somebody wants to hear
    guest.page.get_by_role("button", name="Play", exact=True).click()
    guest.until(f"!a.paused && a.currentTime > {line['start_ms'] / 1000 + 0.3}")
    assert guest.audio("currentTime") < line["start_ms"] / 1000 + 8
    guest.assert_harmless()


def test_an_expired_link_says_so(guest: Tab, player: Served, call):
    link = signed_link(player.settings, call[0], subject="alex", seconds=1, page=True)
    time.sleep(1.1)
    guest.show(link)
    expect(guest.page.get_by_role("heading", name="This link has expired")).to_be_visible()
    assert guest.page.locator("audio").count() == 0


def test_a_link_that_expires_while_the_page_is_open_is_told_when_it_is_played(guest: Tab, player: Served, call):
    link = signed_link(player.settings, call[0], subject="alex", seconds=3, page=True)
    guest.show(link)
    time.sleep(3.1)
    guest.page.get_by_role("button", name="Play", exact=True).click()
    expect(guest.page.get_by_role("alert")).to_contain_text("its link may have expired")


def test_what_is_redacted_is_not_heard(tab: Tab, call):
    recording_id, lines = call
    line = next(each for each in lines if each["pii_redacted"])
    tab.show(page_of(recording_id) + f"#t={line['start_ms'] / 1000 - 0.6}")
    expect(tab.page.locator(f'.line[data-start="{line["start_ms"]}"] .pii').first).to_be_visible()
    assert tab.audio("muted") is False
    heard = """() => { window.heard = []; const a = document.getElementById('audio');
        const look = () => { window.heard.push([a.currentTime, a.muted]); requestAnimationFrame(look); }; look(); }"""
    tab.page.evaluate(heard)
    tab.page.keyboard.press("k")
    tab.until(f"a.currentTime > {line['end_ms'] / 1000 + 0.4}")
    samples = tab.page.evaluate("window.heard")
    inside = [muted for at, muted in samples if line["start_ms"] / 1000 <= at < line["end_ms"] / 1000 - 0.05]
    assert len(inside) > 5
    assert all(inside)
    assert not samples[0][1]
    assert not samples[-1][1]
    tab.assert_harmless()


def test_the_keys_play_pause_and_seek(tab: Tab, call):
    tab.show(page_of(call[0]))
    for key, expected in (("l", 10), ("ArrowRight", 15), ("j", 5), ("ArrowLeft", 0), ("ArrowLeft", 0), ("l", 10)):
        tab.page.keyboard.press(key)
        assert float(tab.page.locator("#seek").input_value()) == pytest.approx(expected, abs=0.01)
    assert tab.page.locator("#seek").get_attribute("aria-valuetext").startswith("0:10 of ")
    for key in (" ", "k"):
        tab.page.keyboard.press(key)
        tab.until("!a.paused")
        tab.page.keyboard.press(key)
        tab.until("a.paused")
    tab.page.keyboard.press("Home")
    tab.until("a.currentTime === 0")
    tab.page.get_by_label("Speed").select_option("2")
    assert tab.audio("playbackRate") == 2
    tab.page.get_by_role("slider", name="Position").click(position={"x": 300, "y": 20})
    tab.until("a.currentTime > 5")
    tab.assert_harmless()


def test_words_that_were_said_lead_to_where_they_were_said(tab: Tab, drawn: Export, call):
    recording_id, lines = call
    line = max((each for each in lines if not each["pii_redacted"]), key=lambda each: len(each["text"]))
    tab.show(f"/days/{DAY}")
    tab.page.get_by_role("searchbox").fill(f'"{line["text"]}"')
    tab.page.keyboard.press("Enter")
    place = tab.page.locator(f'.places a[href^="{page_of(recording_id)}#t="]').first
    place.click()
    expect(tab.page.locator('.line[aria-current="true"]')).to_have_attribute("data-start", str(line["start_ms"]))
    tab.assert_harmless()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_is_wider_than_a_telephone(chromium: Browser, player: Served, drawn: Export, call, scheme: Any):
    for tab in opened(chromium, player, viewport=NARROW, color_scheme=scheme, reduced_motion="reduce"):
        for path in ("/", f"/days/{DAY}?q=the", page_of(call[0]), "/days/2001-01-01"):
            tab.show(path)
            assert tab.page.evaluate("document.documentElement.scrollWidth") == NARROW["width"], path
            backdrop = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (backdrop == "rgb(17, 20, 26)") == (scheme == "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_may_be_searched_for_can_be_read(chromium: Browser, player: Served, drawn: Export, scheme: Any):
    for tab in opened(chromium, player, color_scheme=scheme):
        tab.show(f"/days/{DAY}")
        expect(tab.page.locator("legend")).to_contain_text("Minutes, from")
        soft = tab.page.locator("legend").evaluate("each => getComputedStyle(each).color")
        hints = tab.page.locator("input").evaluate_all(
            "all => all.map(each => getComputedStyle(each, '::placeholder')).map(style => [style.color, style.opacity])"
        )
        assert hints == [[soft, "1"]] * 5


def test_a_screen_reader_finds_its_way(tab: Tab, call):
    tab.show(page_of(call[0]))
    for role, name in (("region", "Player"), ("region", "Transcript"), ("complementary", "About this call")):
        expect(tab.page.get_by_role(role, name=name, exact=True)).to_have_count(1)  # type: ignore[arg-type]
    for role in ("banner", "main"):
        expect(tab.page.get_by_role(role)).to_have_count(1)  # type: ignore[arg-type]
    nameless = """() => [...document.querySelectorAll('button, a, input, select')].filter(e => !(
        e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML)"""
    assert tab.page.evaluate(nameless) == []
    expect(tab.page.get_by_role("listitem").first).to_contain_text(call[1][0]["text"][:10])
    tab.page.keyboard.press("Tab")
    expect(tab.page.get_by_role("link", name="Skip to content")).to_be_focused()


def test_without_scripts_it_can_be_read_and_what_is_not_redacted_played(
    chromium: Browser, player: Served, drawn: Export, call
):
    redacted = {row["recording_id"] for row in drawn.rows("diarized_transcripts") if row["pii_redacted"]}
    plain = next(each for each, row in drawn.audio.items() if row["status"] == "stored" and each not in redacted)
    for tab in opened(chromium, player, java_script_enabled=False):
        tab.show(page_of(call[0]))  # what it plays is silent already
        expect(tab.page.locator("audio[controls]")).to_be_visible()
        tab.show(page_of(redacted_calls(drawn, "mp3")[0]["recording_id"]))
        expect(tab.page.locator("audio")).to_be_hidden()
        expect(tab.page.get_by_text("which takes scripts")).to_be_visible()
        tab.show(page_of(plain))
        expect(tab.page.locator("audio[controls]")).to_be_visible()
        expect(tab.page.locator("#controls")).to_be_hidden()
        tab.show(f"/days/{DAY}")
        tab.page.locator("select[name=outcome]").select_option("stored")
        tab.page.get_by_role("button", name="Search").click()
        expect(tab.page.get_by_role("status")).to_contain_text("found")


def test_a_hostile_source_runs_nothing_in_the_browser(
    chromium: Browser, exported: Export, archived: Call, tmp_path_factory: pytest.TempPathFactory
):
    from media_pipeline.storage.local import LocalStore
    from media_pipeline.tables.partition import Tables
    from media_pipeline_tests.playback.test_search import listed, outcome, segment

    folder = tmp_path_factory.mktemp("hostile")
    tables = Tables(LocalStore(folder / "root"))
    tables.write("recording_inventory", DAY, [listed(HOSTILE, 0) | {"agent_ids": [HOSTILE], "media_type": HOSTILE}])
    tables.write("recording_audio", DAY, [outcome(HOSTILE, "failed") | {"file_name": HOSTILE, "reason": HOSTILE}])
    tables.write("diarized_transcripts", DAY, [segment(HOSTILE, 0, HOSTILE) | {"speaker": HOSTILE}])
    settings = exported.settings.model_copy(update={"root": str(folder / "root"), "spool": folder / "spool"})
    with served(settings) as player:
        for tab in opened(chromium, player):
            for path in (
                f"/days/{DAY}",
                page_of(HOSTILE),
                f"{page_of(HOSTILE)}#t=1<script>alert(1)</script>",
                PAGE + HOSTILE,
            ):
                tab.show(path)
                expect(tab.page.get_by_text("<script>alert(1)").first).to_be_visible()
                assert tab.page.evaluate("document.querySelectorAll('img[onerror], main script').length") == 0
            assert [each for each in tab.complaints if "404" not in each] == []
            injected = """() => { const e = document.createElement('script');
                e.textContent = 'window.bad = 1'; document.body.append(e); }"""
            with pytest.raises(Exception, match="TrustedScript"):
                tab.page.evaluate(injected)
            assert tab.page.evaluate("window.bad") is None
