"""Dagster's pages in Debian's chromium: how the test and the README's pictures get to see them."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from urllib.parse import quote

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from media_pipeline_tests.dagster_dev import DagsterDev

GROUPS = ("recordings", "reports", "marts")
CLOSED_GROUPS = ("staging", "watch", "interactions", "messaging", "playback", "compaction")
MARTS = (
    "availability_daily",
    "export_throughput_daily",
    "failure_ageing",
    "freshness_daily",
    "recording_facts",
    "speaker_talk_time",
    "storage_utilization_daily",
)
WITH_TABLES = (
    "recording_inventory",
    "storage_quota",
    "recording_audio",
    "diarized_transcripts",
    "transcript_status",
    "availability_report",
    "storage_utilization",
)
ASSETS = (*WITH_TABLES, "report_page")
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PAGE_SECONDS = 20.0
VIEWPORT = (1600, 1000)
LINEAGE_VIEWPORT = (3900, 3000)
"""Large enough for Dagster to write out the assets' names."""
CANVAS = (68, 112, LINEAGE_VIEWPORT[0] - 54, LINEAGE_VIEWPORT[1])
"""Left, top, right and bottom of the lineage's canvas in that viewport, without its tools."""
MOST_ZOOMS = 20
MARGIN = 16
"""Pixels kept free around the lineage."""

Box = tuple[float, float, float, float]


@contextlib.contextmanager
def browser(executable: str) -> Iterator[Browser]:
    """Debian's chromium without a window, for the length of a `with` block."""
    expect.set_options(timeout=PAGE_SECONDS * 1000)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=list(CHROMIUM_FLAGS))
        try:
            yield chromium
        finally:
            chromium.close()


def new_page(chromium: Browser) -> Page:
    """An empty tab of the pictures' size, with Dagster's navigation folded to its icons."""
    page = chromium.new_page(viewport={"width": VIEWPORT[0], "height": VIEWPORT[1]}, device_scale_factor=1)
    page.set_default_timeout(PAGE_SECONDS * 1000)
    page.add_init_script("localStorage.setItem('dagster-nav-collapsed', 'true')")
    return page


def show_lineage(page: Page, dev: DagsterDev) -> Box:
    """The lineage from the first asset to the marts, staging folded, as large as it fits; what it takes of the page."""
    page.set_viewport_size({"width": LINEAGE_VIEWPORT[0], "height": LINEAGE_VIEWPORT[1]})
    groups = quote(",".join(f"global@global:{group}" for group in GROUPS))
    page.goto(f"{dev.url}/asset-groups?expanded={groups}")
    page.locator("button:has([aria-label=panel_show_right])").click()
    nodes = page.locator("svg foreignObject")
    expect(nodes.get_by_text(MARTS[0], exact=True)).to_be_visible()
    # an open group is a frame and a title; what lies outside the canvas is not drawn
    return _fit(page, nodes, 2 * len(GROUPS) + len(CLOSED_GROUPS) + len(ASSETS) + len(MARTS))


def show_materialization(page: Page, dev: DagsterDev, asset: str, day: dt.date) -> None:
    """What the newest materialization of a day says of itself."""
    page.goto(f"{dev.url}/assets/{asset}?view=events&partition={day}")
    expect(metadata_row(page, "dagster/row_count")).to_be_visible()


def show_check(page: Page, dev: DagsterDev, asset: str, check: str) -> None:
    """The newest verdict of a check."""
    page.goto(f"{dev.url}/assets/{asset}?view=checks&checkDetail={check}")
    expect(page.get_by_text("Latest execution")).to_be_visible()


def metadata_row(page: Page, name: str) -> Locator:
    """The row of one metadata entry."""
    return page.get_by_role("row").filter(has=page.get_by_role("cell", name=name, exact=True))


def shown_picture(page: Page, alternative: str) -> Locator:
    """The picture whose alternative text begins so; Dagster keeps Markdown from 1,000 characters on behind a link."""
    picture = page.locator(f'img[alt^="{alternative}"]')
    link = page.get_by_text("[Show Markdown]")
    expect(picture.or_(link).first).to_be_visible()
    if not picture.is_visible():
        link.first.click()
    expect(picture).to_be_visible()
    return picture


def _fit(page: Page, nodes: Locator, count: int) -> Box:
    """Zoom until all nodes just fit the canvas, then move them to its middle; Dagster fits the width only."""
    left, top, right, bottom = CANVAS
    zoom_out, zoom_in = (page.locator(f"button:has([aria-label=zoom_{way}])") for way in ("out", "in"))

    def fits(box: Box) -> bool:
        small = box[2] - box[0] <= right - left - 2 * MARGIN and box[3] - box[1] <= bottom - top - 2 * MARGIN
        return small and nodes.count() == count

    page.mouse.dblclick(right - 2 * MARGIN, top + MARGIN)
    for _ in range(MOST_ZOOMS):
        if fits(box := _settled(page, nodes)):
            break
        zoom_out.click()
    # a busy machine draws the nodes late, and a step too far shortens their names
    zoom_in.click()
    if not fits(box := _settled(page, nodes)):
        zoom_out.click()
        box = _settled(page, nodes)
    expect(nodes).to_have_count(count)
    page.mouse.move(right - MARGIN, top + MARGIN)
    page.mouse.down()
    page.mouse.move(
        right - MARGIN + (left + right - box[0] - box[2]) / 2,
        top + MARGIN + (top + bottom - box[1] - box[3]) / 2,
        steps=5,
    )
    page.mouse.up()
    return _settled(page, nodes)


def _settled(page: Page, nodes: Locator) -> Box:
    """Left, top, right and bottom of all nodes together, once they rest."""
    before: Box | None = None
    while (box := _around(nodes)) != before:
        before = box
        page.wait_for_timeout(400)
    return box


def _around(nodes: Locator) -> Box:
    """One look at all of them: nodes come and go while the canvas moves."""
    left, top, right, bottom = nodes.evaluate_all(
        """nodes => {
            const boxes = nodes.map(node => node.getBoundingClientRect());
            return [Math.min(...boxes.map(box => box.left)), Math.min(...boxes.map(box => box.top)),
                    Math.max(...boxes.map(box => box.right)), Math.max(...boxes.map(box => box.bottom))];
        }"""
    )
    return (left, top, right, bottom)
