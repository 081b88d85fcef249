"""The pages in a real browser: both themes, wide, narrow and on paper, for people with and without a mouse or eyes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pypdfium2
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from media_pipeline.tables.partition import Tables
from media_pipeline_tests.report_page.conftest import reading
from media_pipeline_tests.report_page.history import LAST

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
PAGES = {"day": f"reports/date={LAST}/index.html", "calendar": "reports/index.html"}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
CONTRASTS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d');
  const light = colour => {
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = light(getComputedStyle(document.querySelector('main > section')).backgroundColor);
  return [...document.querySelectorAll('svg.chart text, svg.chart [data-mark] path[fill]:not([fill^=url])')]
    .filter(each => getComputedStyle(each).fill !== 'none').map(each => {
      const [high, low] = [light(getComputedStyle(each).fill), ground].sort((a, b) => b - a);
      return [each.outerHTML.slice(0, 80), (high + 0.05) / (low + 0.05), each.tagName === 'text' ? 4.5 : 3];
    });
}"""
"""What is written or drawn, its contrast, and what WCAG 2.2 asks for: 4.5 for text, 3 for shapes."""
A4_POINTS = (595, 842)


def address(tables: Tables, page: str) -> str:
    return (Path(tables.store.url) / PAGES[page]).as_uri()


@pytest.fixture(params=[(WIDE, "light"), (WIDE, "dark"), (NARROW, "light"), (NARROW, "dark")], ids=lambda each: each[1])
def tab(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[tuple[Page, list[str]]]:
    """A tab of one size and theme, and what went wrong in it or was asked of anybody."""
    viewport, theme = request.param
    page = chromium.new_page(viewport=viewport, color_scheme=theme)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith("file://") else wrong.append(asked.url))
    yield page, wrong
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_the_page_asks_for_nothing(month: Tables, tab: tuple[Page, list[str]], name: str):
    page, wrong = tab
    page.goto(address(month, name))
    found = Axe().run(page, options=RULES).response
    assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
    undecided = [node["html"] for each in found["incomplete"] for node in each["nodes"]]
    assert all(html.startswith("<text ") for html in undecided), undecided  # words in pictures: the next test
    assert "color-contrast" in [each["id"] for each in found["passes"]]
    assert wrong == []


@pytest.mark.parametrize("name", PAGES)
def test_words_in_pictures_and_bars_stand_out_from_the_ground(month: Tables, tab: tuple[Page, list[str]], name: str):
    page, _ = tab
    page.goto(address(month, name))
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 5
    assert all(found >= needed for _, found, needed in contrasts), contrasts


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_the_screen(month: Tables, tab: tuple[Page, list[str]], name: str):
    page, _ = tab
    page.goto(address(month, name))
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    clipped = page.evaluate(
        "[...document.querySelectorAll('.table')].filter(each => each.scrollWidth > each.clientWidth + 1).length"
    )
    assert clipped == 0


@pytest.mark.parametrize("name", PAGES)
def test_headings_go_down_one_by_one_and_pictures_have_words(chromium: Browser, month: Tables, name: str):
    page = chromium.new_page()
    page.goto(address(month, name))
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(each => +each.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    pictures = page.locator("svg.chart")
    assert pictures.count() == {"day": 4, "calendar": 1}[name]
    for picture in pictures.all():
        assert len(picture.locator("title").inner_html()) > 10
        assert len(picture.locator("desc").inner_html()) > 30
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))
    page.close()


def test_each_day_of_the_calendar_is_reached_and_read_by_keys(chromium: Browser, month: Tables):
    page = chromium.new_page(viewport=WIDE)
    page.goto(address(month, "calendar"))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        label = page.evaluate("document.activeElement.getAttribute('aria-label')")
        if label and ": " in label:
            reached.append(label)
    assert len(set(reached)) == 8  # those with a page of their own
    wanted = page.get_by_role("link", name=f"{LAST.day} {LAST:%b}: ")
    wanted.focus()
    assert "not complete" in (wanted.get_attribute("aria-label") or "")
    tip = wanted.evaluate("link => getComputedStyle(link, '::after').content")
    assert "files, not complete" in tip
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{LAST.day} {LAST:%B %Y}")
    page.get_by_role("link", name="All days").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("All days")
    page.close()


def test_themes_differ_and_pictures_follow_them(chromium: Browser, month: Tables):
    seen = set()
    for theme in ("light", "dark"):
        page = chromium.new_page(color_scheme=theme)  # type: ignore[arg-type]
        page.goto(address(month, "day"))
        bar = page.locator("[data-mark^='stored='] path").first
        seen.add(
            (
                page.evaluate("getComputedStyle(document.body).backgroundColor"),
                bar.evaluate("e => getComputedStyle(e).fill"),
            )
        )
        page.close()
    assert len({ground for ground, _ in seen}) == len({bar for _, bar in seen}) == 2


def test_on_paper_it_is_a_few_pages_of_a4_with_all_figures(chromium: Browser, month: Tables, tmp_path: Path):
    page = chromium.new_page(color_scheme="dark")
    page.goto(address(month, "day"))
    page.pdf(path=tmp_path / "day.pdf", prefer_css_page_size=True, print_background=True)
    page.close()
    paper = pypdfium2.PdfDocument(tmp_path / "day.pdf")
    assert 1 <= len(paper) <= 5
    assert tuple(round(each) for each in paper[0].get_size()) == A4_POINTS
    text = " ".join(" ".join(each.get_textpage().get_text_range().split()) for each in paper)
    for each in reading(month).figures:
        if each.name.startswith(("card", "funnel", "storage", "slow", "run")):
            assert each.text in text, each
    ground = paper[0].render(scale=0.5).to_pil().getpixel((2, 2))
    assert ground == (255, 255, 255)
    paper.close()
