"""Takes the README's pictures from a running UI: two days of the sandbox, exported by a real `dagster dev`.

Needs Debian's chromium. The pictures land in docs/images; nothing else is written there.
"""

from __future__ import annotations

import datetime as dt
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, Page

from media_pipeline_tests.dagster_dev import LOCATION, YESTERDAY, DagsterDev, dagster_dev
from media_pipeline_tests.pages import browser, new_page, show_check, show_lineage, show_materialization, shown_picture

IMAGES = Path(__file__).resolve().parent / "images"
PER_DAY = 180
DAYS = (YESTERDAY - dt.timedelta(days=1), YESTERDAY)
MAX_BYTES = 400_000
EDGE = 12
"""Pixels around the lineage."""


def main() -> int:
    """Take all pictures; 2 when there is no browser."""
    executable = shutil.which("chromium")
    if executable is None:
        print("Install chromium first: apt-get install chromium.", file=sys.stderr)
        return 2
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="media-pipeline-") as folder,
        dagster_dev(Path(folder), per_day=PER_DAY, days=len(DAYS)) as dev,
        browser(executable) as chromium,
    ):
        for day in DAYS:  # one after the other: the newest day is the latest everywhere
            print(f"{day}: {dev.wait_run(dev.launch_day(day))}")
        for job, location in (("relist_recent_days", LOCATION), ("dbt_reports_build", "reports")):
            print(f"{job}: {dev.wait_run(dev.launch(job, location))}")
        _take_all(chromium, dev)
    print(f"Done in {time.monotonic() - started:.0f} s.")
    return 0


def _take_all(chromium: Browser, dev: DagsterDev) -> None:
    page = new_page(chromium)
    left, top, right, bottom = show_lineage(page, dev)
    around = {"x": left - EDGE, "y": top - EDGE, "width": right - left + 2 * EDGE, "height": bottom - top + 2 * EDGE}
    _take(page, "lineage", around)
    page = new_page(chromium)
    show_materialization(page, dev, "recording_audio", YESTERDAY)
    shown_picture(page, "outcomes").scroll_into_view_if_needed()
    _take(page, "recording_audio")
    show_check(page, dev, "availability_report", "day_complete")
    page.get_by_text("Plots", exact=True).click()  # folds them: two points are no line
    _take(page, "day_complete")
    show_check(page, dev, "recent_listings", "finished_days_complete")
    page.get_by_text("Plots", exact=True).click()
    _take(page, "finished_days_complete")


def _take(page: Page, name: str, part: FloatRect | None = None) -> None:
    """What the page, or a part of it, shows now, without tooltips and carets."""
    page.mouse.move(1, 1)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(800)
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / f"{name}.png"
    path.write_bytes(page.screenshot(animations="disabled", clip=part))
    size = path.stat().st_size
    print(f"{path.relative_to(IMAGES.parent.parent)}: {size:,} bytes")
    if size > MAX_BYTES:
        raise SystemExit(f"{path.name} is too large for a README.")


if __name__ == "__main__":
    sys.exit(main())
