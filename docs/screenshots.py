"""Takes the README's pictures from a running UI and service: two days of the sandbox, by a real `dagster dev`.

The report pages are of 75 made-up days, so that there is something to compare. `screenshots.py reports` takes only
these. Needs Debian's chromium. The pictures land in docs/images; nothing else is written there.
"""

from __future__ import annotations

import datetime as dt
import io
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, FloatRect, HttpCredentials, Page
from pydantic import SecretStr

from media_pipeline.service.tokens import DOWNLOAD, LISTEN, new_token
from media_pipeline.settings import Settings
from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.partition import Tables
from media_pipeline_tests.dagster_dev import LOCATION, YESTERDAY, DagsterDev, dagster_dev
from media_pipeline_tests.pages import browser, new_page, show_check, show_lineage, show_materialization, shown_picture
from media_pipeline_tests.playback.serving import served
from media_pipeline_tests.report_page.history import LAST, with_pages

IMAGES = Path(__file__).resolve().parent / "images"
PER_DAY = 180
DAYS = (YESTERDAY - dt.timedelta(days=1), YESTERDAY)
MAX_BYTES = 400_000
COLOURS = 256
"""Of a picture: pages have few, and a README loads all of them."""
EDGE = 12
"""Pixels around the lineage."""


def main() -> int:
    """Take all pictures; 2 when there is no browser."""
    executable = shutil.which("chromium")
    if executable is None:
        print("Install chromium first: apt-get install chromium.", file=sys.stderr)
        return 2
    started = time.monotonic()
    if sys.argv[1:] == ["reports"]:
        with browser(executable) as chromium:
            _take_reports(chromium)
        return 0
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
        drawn = dev.launch("playback_daily", tags={"dagster/partition": str(YESTERDAY)})
        print(f"playback_daily: {dev.wait_run(drawn)}")
        _take_pages(chromium, dev)
        _take_reports(chromium)
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


def _take_pages(chromium: Browser, dev: DagsterDev) -> None:
    """A call that plays, and a day that is searched, by the service as operators start it."""
    token, entry = new_token("screenshots", [LISTEN, DOWNLOAD])
    settings = Settings(root=str(dev.folder / "media"), spool=dev.folder / "spool")
    tables = Tables(LocalStore(Path(settings.root)))
    said = list(tables.rows("diarized_transcripts", YESTERDAY))
    audio = {row["recording_id"]: row for row in tables.rows("recording_audio", YESTERDAY)}
    known = Counter(row["recording_id"] for row in said if row["participant_purpose"])
    redacted = {row["recording_id"] for row in said if row["pii_redacted"]}
    unknown = {row["recording_id"] for row in said if not row["participant_purpose"]}
    stored = {name for name, row in audio.items() if (row["object_key"] or "").endswith(".wav.gz")}
    call = max(stored & redacted - unknown, key=lambda name: (known[name], name))
    with served(settings, tokens=SecretStr(entry)) as player:
        login: HttpCredentials = {"username": "me", "password": token}
        page = chromium.new_page(viewport={"width": 1280, "height": 860}, http_credentials=login)
        moment = [row for row in said if row["recording_id"] == call][4]["start_ms"] / 1000 + 0.5
        page.goto(f"{player.url}/calls/{call}#t={moment}")
        _take(page, "call")
        page.goto(f"{player.url}/days/{YESTERDAY}?q=second+payment")
        _take(page, "day")


def _take_reports(chromium: Browser) -> None:
    """A day's report and the calendar, as files in a browser."""
    with tempfile.TemporaryDirectory(prefix="media-pipeline-") as folder:
        with_pages(Tables(LocalStore(Path(folder))), days=75, per_day=240)
        page = chromium.new_page(viewport={"width": 1280, "height": 1400})
        page.goto(f"file://{folder}/reports/date={LAST}/index.html")
        _take(page, "report")
        page.set_viewport_size({"width": 1280, "height": 1080})
        page.goto(f"file://{folder}/reports/index.html")
        _take(page, "calendar")


def _take(page: Page, name: str, part: FloatRect | None = None) -> None:
    """What the page, or a part of it, shows now, without tooltips and carets."""
    page.mouse.move(1, 1)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(800)
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / f"{name}.png"
    taken = Image.open(io.BytesIO(page.screenshot(animations="disabled", clip=part)))
    taken.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(IMAGES.parent.parent)}: {size:,} bytes")
    if size > MAX_BYTES:
        raise SystemExit(f"{path.name} is too large for a README.")


if __name__ == "__main__":
    sys.exit(main())
