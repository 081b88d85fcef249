"""Runs of metadata_annotations in a root that `export` wrote, lines for its inbox, and what the org was told."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from media_pipeline_tests.harness import Export, Org

PREFIX = "automated_parser."
BOTH = pytest.mark.parametrize("dialect", ["guide", "platform"])


def annotating(org: Org, folder: Path, **options: Any) -> Export:
    """One run of interactions_daily in the root that `export` writes, without waits between submissions."""
    options = {"config": {"seconds_between": 0.0}, "allow_write_back": True} | options
    return Export.run(org, folder, job="interactions_daily", step="metadata_annotations", **options)


@pytest.fixture
def annotate(tmp_path):
    return partial(annotating, folder=tmp_path)


@pytest.fixture
def hand_in(tmp_path):
    """Put lines into a file of the inbox; those that are no text become JSON."""

    def put(*lines: Any, name: str = "calls.jsonl", folder: Path | None = None) -> None:
        folder = folder or tmp_path / "media/inbox"
        path = folder / "annotations" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in lines))

    return put


def line(interaction_id: str, key: str = "crm.case", value: str = "case-7", **more: Any) -> dict[str, Any]:
    return {"interaction_id": interaction_id, "key": key, "value": value, "mediaType": "voice", "format": "wav"} | more


def rows_of(done: Export) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["interaction_id"], row["annotation_key"]): row for row in done.rows("metadata_annotations")}


def told(org: Org) -> dict[str, Any]:
    return httpx.get(f"{org.url}/_sandbox/annotations").json()


def effective(org: Org) -> dict[str, dict[str, str]]:
    """Values by interaction and key, whichever side they were written on; asserts that one participant bears them."""
    shown = told(org)
    found = {i: {a["key"]: a["value"] for a in body["annotations"]} for i, body in shown["metadata"].items()}
    for conversation, participants in shown["attributes"].items():
        (bearer,) = [held for held in participants.values() if held]
        found[conversation] = {name.removeprefix(PREFIX): value for name, value in bearer.items()}
    return found


def table_says(done: Export) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for row in done.rows("metadata_annotations"):
        if row["outcome"] in ("sent", "unchanged"):
            found.setdefault(row["interaction_id"], {})[row["annotation_key"]] = row["value"]
    return found


def metadata_of(done: Export) -> dict[str, Any]:
    return done.result.asset_materializations_for_node("metadata_annotations")[0].metadata


def check_of(done: Export) -> Any:
    (found,) = (c for c in done.result.get_asset_check_evaluations() if c.check_name == "annotations_settled")
    return found


def seen_of(done: Export, org: Org) -> str:
    """Everything that was written anywhere, but for what was handed in."""
    inbox = [path.read_text(errors="replace") for path in Path(done.settings.root).glob("inbox/**/*.jsonl")]
    text = done.all_text + json.dumps(told(org))
    for each in inbox:
        text = text.replace(each, "")
    return text


def conversations(org: Org) -> list[str]:
    """Of ordinary calls, in a fixed order."""
    truth = org.truth()
    return sorted({truth[i]["conversation_id"] for i in org.ordinary(20)} - {None})


def interactions_of(done: Export) -> list[str]:
    return sorted({row["interaction_id"] for row in done.rows("interaction_media")})


def voice(done: Export) -> list[str]:
    """Interactions with a recording of a call whose digest the org was told."""
    told = rows_of(done)
    calls = [row["interaction_id"] for row in done.rows("interaction_media") if row["media_type"] == "voice"]
    return [each for each in calls if (each, "archive.sha256") in told]
