"""What a person sees in Dagster's pages: a real `dagster dev`, a real run of yesterday, a real browser."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from media_pipeline.tables.paths import newest_finished_day
from media_pipeline_tests.dagster_dev import JOB, LOCATION, SECRET, YESTERDAY, DagsterDev, dagster_dev
from media_pipeline_tests.pages import (
    ASSETS,
    CLOSED_GROUPS,
    GROUPS,
    MARTS,
    WITH_TABLES,
    metadata_row,
    new_page,
    show_check,
    show_lineage,
    show_materialization,
    shown_picture,
)

PER_DAY = 30
SECRETS = (SECRET, "X-Amz-Signature", "Bearer ")
_STEPS = "query Steps($id: ID!) { runOrError(runId: $id) { ... on Run { stepStats { stepKey status } } } }"
_COUNTS = """
query Counts($key: AssetKeyInput!, $days: [String!]) {
  assetOrError(assetKey: $key) {
    ... on Asset {
      assetMaterializations(partitions: $days) { metadataEntries { label ... on IntMetadataEntry { intValue } } }
    }
  }
}"""


@dataclass
class Exported:
    """A UI that has one run to show: yesterday's."""

    dev: DagsterDev
    run_id: str
    status: str

    def failed_steps(self) -> list[str]:
        stats = self.dev.graphql(_STEPS, {"id": self.run_id})["runOrError"]["stepStats"]
        return [step["stepKey"] for step in stats if step["status"] == "FAILURE"]

    def numbers(self, asset: str) -> dict[str, int]:
        """The whole numbers of yesterday's materialization."""
        variables = {"key": {"path": [asset]}, "days": [str(YESTERDAY)]}
        (event,) = self.dev.graphql(_COUNTS, variables)["assetOrError"]["assetMaterializations"]
        return {entry["label"]: entry["intValue"] for entry in event["metadataEntries"] if "intValue" in entry}


@dataclass
class Visit:
    """A tab that remembers what went wrong in it."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _listen(self, message: ConsoleMessage) -> None:
        """Errors only, and not those that Dagster's own scripts report about themselves."""
        if message.type == "error" and "/_next/" not in message.location.get("url", ""):
            self.complaints.append(message.text)

    def assert_harmless(self) -> None:
        """Nothing on the page failed, and nothing on it is secret."""
        assert self.complaints == []
        content = self.page.content()
        assert [secret for secret in SECRETS if secret in content] == []


@pytest.fixture(scope="module")
def exported(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    with dagster_dev(tmp_path_factory.mktemp("ui"), per_day=PER_DAY, days=2) as dev:
        run_id = dev.launch_day(YESTERDAY)
        yield Exported(dev, run_id, dev.wait_run(run_id))


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    page = new_page(chromium)
    yield Visit(page)
    page.close()


def test_a_day_with_a_recording_not_ready_fails_by_its_check_only(exported: Exported) -> None:
    assert exported.status == "FAILURE"
    assert exported.failed_steps() == ["availability_report"]
    rows = {asset: exported.numbers(asset).get("dagster/row_count") for asset in WITH_TABLES}
    assert rows["recording_inventory"] == rows["recording_audio"] == rows["availability_report"] == PER_DAY
    if newest_finished_day() != YESTERDAY:  # midnight has passed: a quota is a fact of the newest day
        rows.pop("storage_quota")
    assert all(rows.values()), rows


def test_the_lineage_leads_from_the_inventory_to_the_marts(exported: Exported, visit: Visit) -> None:
    show_lineage(visit.page, exported.dev)
    for name in (*GROUPS, *CLOSED_GROUPS, *ASSETS, *MARTS):
        expect(visit.page.locator("svg foreignObject").get_by_text(name, exact=True)).to_be_visible()
    visit.assert_harmless()


def test_the_job_starts_one_day_as_the_readme_says(exported: Exported, visit: Visit) -> None:
    page = visit.page
    page.goto(f"{exported.dev.url}/jobs")
    page.get_by_text(JOB, exact=True).first.click()
    page.get_by_role("button", name="Materialize all…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"materialize {len(ASSETS)} assets")).to_be_visible()
    dialog.get_by_role("button", name="Latest", exact=True).click()
    expect(dialog.get_by_role("textbox").first).to_have_value(str(newest_finished_day()))
    expect(dialog.get_by_role("button", name="Launch 1 run")).to_be_enabled()
    visit.assert_harmless()


def test_the_audio_shows_its_rows_and_a_picture_of_the_outcomes(exported: Exported, visit: Visit) -> None:
    show_materialization(visit.page, exported.dev, "recording_audio", YESTERDAY)
    expect(metadata_row(visit.page, "dagster/row_count")).to_contain_text(str(PER_DAY))
    expect(visit.page.get_by_text(f"recording_audio/date={YESTERDAY}/")).to_be_visible()
    visit.assert_harmless()
    picture = shown_picture(visit.page, "outcomes")
    assert picture.evaluate("image => image.complete && image.naturalWidth") > 0
    visit.assert_harmless()


def test_the_check_says_in_a_sentence_why_the_day_is_not_complete(exported: Exported, visit: Visit) -> None:
    show_check(visit.page, exported.dev, "availability_report", "day_complete")
    sentence = visit.page.get_by_text(f"{YESTERDAY} is not complete")
    expect(sentence).to_be_visible()
    expect(sentence).to_contain_text(f"1 pending (not_ready) of {PER_DAY} recordings")
    visit.assert_harmless()


def test_the_resources_name_the_secrets_variable_and_not_the_secret(exported: Exported, visit: Visit) -> None:
    visit.page.goto(f"{exported.dev.url}/locations/{LOCATION}/resources/genesys")
    expect(visit.page.get_by_text("GENESYS_CLIENT_SECRET", exact=True)).to_be_visible()
    visit.assert_harmless()


def test_the_runs_page_and_what_dagster_keeps_hold_no_secret(exported: Exported, visit: Visit) -> None:
    visit.page.goto(f"{exported.dev.url}/runs/{exported.run_id}")
    expect(visit.page.get_by_text("day_complete").first).to_be_visible()
    visit.assert_harmless()
    kept = list(_kept(exported.dev))
    for readable in (b"is not complete", b"GENESYS_CLIENT_SECRET"):  # else nothing could be found
        assert any(readable in text for text in kept)
    assert [secret for secret in SECRETS if any(secret.encode() in text for text in kept)] == []


def _kept(dev: DagsterDev) -> Iterator[bytes]:
    """All that the Dagster instance keeps and logs; it compresses the snapshots of jobs, which hold the resources."""
    home = dev.folder / "dagster_home"
    for path in (*home.rglob("*"), dev.folder / "dagster.log"):
        if path.is_file():
            yield path.read_bytes()
    with closing(sqlite3.connect(home / "history" / "runs.db")) as runs:
        for (snapshot,) in runs.execute("SELECT snapshot_body FROM snapshots"):
            yield zlib.decompress(snapshot)
