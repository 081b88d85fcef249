"""dbt's manifest: parsed when the code location loads and the project is newer, never in the middle of a run.

A deployment parses once when its image is built, `dbt parse --project-dir dbt_reports --profiles-dir dbt_reports`:
then no process of it parses at all.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.reports.places import PROJECT

PARSED = ("partial_parse.msgpack", "manifest.json")
"""What a run of dbt needs so as not to parse again; the manifest, which is looked at, is put in place last."""
_FOLDERS = ("models", "macros", "tests")
_PARSE_SECONDS = 120


def dbt_executable() -> Path:
    """dbt of this Python; raises ConfigurationError when it is not installed."""
    executable = Path(sys.executable).with_name("dbt")
    if importlib.util.find_spec("dagster_dbt") is None or not executable.exists():
        raise ConfigurationError(
            "The code location reports needs dbt, which is not installed: install the extra reports "
            "(pip install 'media-pipeline[reports]') or take the location out of workspace.yaml."
        )
    return executable


def fresh_manifest(project: Path = PROJECT) -> Path:
    """The project's manifest.json, parsed now if it is missing, older than the project or of another dbt."""
    executable = dbt_executable()
    if not (project / "dbt_project.yml").exists():
        raise ConfigurationError(
            f"There is no dbt project in {project}: the code location reports runs from a checkout, installed with "
            "pip install -e, or with dbt_reports beside the package."
        )
    manifest = project / "target" / "manifest.json"
    if not _is_fresh(project, manifest):
        _parse(executable, project)
    return manifest


def _is_fresh(project: Path, manifest: Path) -> bool:
    if not all(manifest.with_name(name).exists() for name in PARSED):
        return False
    parsed_at = manifest.stat().st_mtime_ns
    if any(path.stat().st_mtime_ns > parsed_at for path in _sources(project)):
        return False
    try:
        parsed_by = json.loads(manifest.read_bytes())["metadata"]["dbt_version"]
    except ValueError:  # dbt by hand writes it this moment, or was killed when it did
        return False
    return bool(parsed_by == importlib.metadata.version("dbt-core"))


def _sources(project: Path) -> Iterator[Path]:
    """The files dbt parses, and their folders: a folder changes when a file in it is removed."""
    yield from project.glob("*.yml")
    for name in _FOLDERS:
        yield project / name
        yield from (project / name).rglob("*")


def _parse(executable: Path, project: Path) -> None:
    """Parse beside the target and move the results: several processes may load the location at once."""
    target = project / "target"
    try:
        target.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".parsing-", dir=target) as folder:
            command = [str(executable), "--quiet", "parse", "--target-path", folder, "--log-path", folder]
            command += ["--project-dir", str(project), "--profiles-dir", str(project)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=_PARSE_SECONDS, check=False)  # noqa: S603  our own dbt
            if done.returncode != 0:
                raise ConfigurationError(f"dbt cannot parse {project}: {(done.stdout + done.stderr).strip()[-2000:]}")
            for name in PARSED:
                (Path(folder) / name).replace(target / name)
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"dbt did not parse {project} in {_PARSE_SECONDS} s: try again.") from None
    except OSError as error:
        raise ConfigurationError(
            f"{target} cannot be written ({error.strerror}): parse when the image is built, with "
            "dbt parse --project-dir dbt_reports --profiles-dir dbt_reports."
        ) from error
