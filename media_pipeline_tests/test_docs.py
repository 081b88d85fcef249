"""Every command and snippet of README and docs runs as printed; `console` blocks are what CI and other tests run."""

import datetime as dt
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from media_pipeline.storage.local import LocalStore
from media_pipeline.tables.compaction import compact
from media_pipeline.transfer.outcome import REASONS
from media_pipeline_tests.harness import DAY, Export, variables_for

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = Path(sys.executable).parent


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def exported(org, export, tmp_path):
    done = export(org)
    stored = next(row for row in done.rows("recording_audio") if row["object_key"])
    return variables_for(org.url, tmp_path) | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "DAGSTER_HOME": str(tmp_path),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "MEDIA_ROOT": done.settings.root,
        "DAY": str(DAY),
        "MONTH_START": str(DAY.replace(day=1) if DAY.day < 4 else DAY.replace(day=DAY.day - 2)),
        "MONTH_END": str(DAY),
        "RECORDING_ID": stored["recording_id"],
        "OBJECT_KEY": stored["object_key"],
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_commands_run_as_printed(page, exported, tmp_path):
    for command in blocks(page, "sh"):
        done = subprocess.run(["bash", "-euc", command], env=exported, cwd=tmp_path, capture_output=True, text=True)
        red = "Not complete" in done.stderr or "DagsterAssetCheckFailedError" in done.stderr  # the sandbox's day is
        assert done.returncode == 0 or red, f"{command}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_snippets_run_as_printed(page, org, exported, tmp_path, capsys):
    if any("metadata_annotations" in snippet for snippet in blocks(page, "python")):
        assert Export.run(org, tmp_path, job="interactions_daily", step="metadata_annotations").result.success
    if any("/marts/" in snippet for snippet in blocks(page, "python")):
        done = subprocess.run(
            [BIN / "dbt", "build", "--project-dir", ROOT / "dbt_reports", "--profiles-dir", ROOT / "dbt_reports"],
            env=exported,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout
    if any("/compacted/" in snippet for snippet in blocks(page, "python")):
        assert compact(LocalStore(Path(exported["MEDIA_ROOT"])), "recording_audio", DAY + dt.timedelta(days=62)).written
    names: dict[str, object] = {"MEDIA_ROOT": exported["MEDIA_ROOT"], "DAY": DAY}
    for snippet in blocks(page, "python"):
        exec(compile(snippet, page.name, "exec"), names)  # noqa: S102  our own documentation


def test_every_question_runs_from_the_command_line(exported, tmp_path):
    for file in (ROOT / "docs/queries").glob("*.sql"):
        if ".marts." in file.name:  # tests/reports has marts to ask
            continue
        command = [BIN / "media-pipeline", "sql", "--file", file]
        done = subprocess.run(command, env=exported, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), file.name


def test_a_question_about_days_says_that_they_are_to_be_changed_and_how_often():
    times = {1: "", 2: "(twice)", 6: "(six times)"}
    dated = set()
    for file in (ROOT / "docs/queries").glob("*.sql"):
        query = file.read_text()
        days = re.findall(r"date '(.*?)'", query)
        if days:
            dated.add(file.name.partition(".")[0])
            (told,) = re.findall(r"^-- Put .*\bday\b.* here\.$", query, re.MULTILINE)
            (often,) = {days.count(day) for day in days}
            assert "".join(re.findall(r"\(.*\)", told)) == times[often], file.name
    assert len(dated) == 5
    assert "Five are about days that stand in the query" in (ROOT / "README.md").read_text()


def test_every_question_is_in_the_readme_as_its_file_asks_it():
    text = (ROOT / "README.md").read_text()
    for file in (ROOT / "docs/queries").glob("*.sql"):
        question = file.read_text().splitlines()[0].removeprefix("-- ")
        assert f"| {question} |" in text, file.name
        assert f"(docs/queries/{file.name})" in text, file.name


def test_the_rules_of_the_sandbox_page_are_accepted(org):
    (rules,) = blocks(ROOT / "docs/sandbox.md", "toml")
    org.break_with(*tomllib.loads(rules)["rules"])


def test_every_fault_is_on_the_sandbox_page():
    from media_pipeline.sandbox.fault_kinds import KINDS

    text = (ROOT / "docs/sandbox.md").read_text()
    assert [kind for kind in KINDS if kind not in text] == []


def test_every_reason_is_in_the_operators_table():
    text = (ROOT / "docs/operators.md").read_text()
    for reason, (status, _) in REASONS.items():
        assert re.search(rf"\| \**{status}\** \| [^|]*\b{reason}\b", text), reason


def test_links_and_pictures_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name}: {target}"


def test_make_targets_named_in_the_docs_exist():
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(
            r"\bmake ([a-z]+(?:-[a-z]+)*)\b", " ".join(re.findall(r"`[^`]*`|^make .*$", page.read_text(), re.MULTILINE))
        ):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
