"""The house's plan: arrows point down, plain rooms know no Dagster, and the code location loads quickly."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "media_pipeline"
PLAIN_ROOMS = [
    "genesys",
    "storage",
    "privacy",
    "transfer",
    "interactions",
    "tables",
    "audit",
    "report_page",
    "notify",
    "messaging",
    "playback",
    "sandbox",
]
"""In the order in which each may import those before it; the sandbox imports none and is imported by none."""
DAGSTER_ROOMS = ["resources", "checks", "assets", "sensors"]
"""Each may import the plain rooms, the modules beside the rooms, and the rooms before it."""
REPORTS_MAY_IMPORT = {"ownership", "reports", "resources", "settings", "storage", "tables", "genesys"}
"""The second code location: the same tables and store, none of the first one's assets; of genesys only the errors."""
COMMANDS = ["doctor", "plan", "service", "sql"]
"""What single commands do: plain Python on top of all plain rooms, for the command line only."""
COMMANDS_MAY_IMPORT = {*PLAIN_ROOMS, "connection", "escaping", "listening", "settings"} - {"sandbox"}
IMPORT_BUDGET_SECONDS = 1.5


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def rooms_imported_by(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("media_pipeline.")}


@pytest.mark.parametrize("room", PLAIN_ROOMS)
def test_a_plain_room_imports_neither_dagster_nor_a_room_above_it(room):
    allowed = set() if room == "sandbox" else set(PLAIN_ROOMS[: PLAIN_ROOMS.index(room)])
    for path in (PACKAGE / room).rglob("*.py"):
        assert not {name for name in imports_of(path) if name.split(".")[0].startswith("dagster")}, path
        assert rooms_imported_by(path) <= allowed | {room}, path


@pytest.mark.parametrize("room", COMMANDS)
def test_a_command_is_plain_python_that_nothing_but_the_command_line_imports(room):
    for path in (PACKAGE / room).rglob("*.py"):
        assert not {name for name in imports_of(path) if name.split(".")[0].startswith("dagster")}, path
        assert rooms_imported_by(path) <= COMMANDS_MAY_IMPORT | {room}, path
    for path in PACKAGE.rglob("*.py"):
        if room not in path.relative_to(PACKAGE).parts and "cli" not in path.parts:
            assert room not in rooms_imported_by(path), path


@pytest.mark.parametrize("room", DAGSTER_ROOMS)
def test_a_dagster_room_imports_no_room_above_it(room):
    above = set(DAGSTER_ROOMS[DAGSTER_ROOMS.index(room) + 1 :])
    for path in (PACKAGE / room).rglob("*.py"):
        assert not rooms_imported_by(path) & above, path
        assert not rooms_imported_by(path) & {"build", "definitions", "cli", "exporter", "demo"}, path


def test_the_location_of_the_reports_is_on_its_own():
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name == "reports":
            assert rooms_imported_by(path) <= REPORTS_MAY_IMPORT, path
            genesys = {name for name in imports_of(path) if name.startswith("media_pipeline.genesys")}
            assert genesys <= {"media_pipeline.genesys.errors"}, path
        else:
            assert "reports" not in rooms_imported_by(path), path


def test_nothing_but_the_command_line_imports_the_sandbox():
    for path in PACKAGE.rglob("*.py"):
        if "sandbox" not in path.relative_to(PACKAGE).parts and "cli" not in path.parts:
            assert "sandbox" not in rooms_imported_by(path), path


def test_importing_the_definitions_costs_little_beyond_dagster():
    code = (
        "import time, dagster; start = time.process_time(); import media_pipeline.definitions, sys; "
        "print(time.process_time() - start, *sorted({'pandas', 'matplotlib', 'boto3', "
        "'media_pipeline.sandbox', 'media_pipeline.reports', 'dagster_dbt', 'dbt', 'duckdb', 'av', "
        "'fastapi', 'uvicorn', 'prometheus_client'} & set(sys.modules)))"
    )
    best = min(
        (
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
            for _ in range(3)
        ),
        key=lambda fields: float(fields[0]),
    )
    assert float(best[0]) < IMPORT_BUDGET_SECONDS
    assert best[1:] == []


def test_the_lock_files_name_no_host_and_no_path():
    root = PACKAGE.parent
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (root / name).read_text()
        assert "://" not in text
        assert "--index" not in text
        assert "/home" not in text
        assert all("--hash=sha256:" in block for block in text.split("\n\n") if block.strip())


def test_every_variable_has_its_line_in_the_example():
    from media_pipeline.settings import Settings

    text = (PACKAGE.parent / ".env.example").read_text()
    for field in Settings.model_fields.values():
        assert f"{field.alias}=" in text
