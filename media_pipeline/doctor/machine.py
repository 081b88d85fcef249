"""What runs here: versions, Dagster's instance, receivers of messages. No secret is read, and none shown."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from media_pipeline.doctor.findings import MACHINE, Finding
from media_pipeline.genesys.errors import ConfigurationError
from media_pipeline.notify.webhooks import parse_webhooks
from media_pipeline.settings import Settings, dagster_home

DAEMON = "dagster-daemon run (or dagster dev) must stay up for schedules and sensors"


def look_at_machine(settings: Settings) -> list[Finding]:
    """The lines about this machine."""
    return [_versions(settings), _instance(), _receivers(settings)]


def _versions(settings: Settings) -> Finding:
    seen = (
        f"media-pipeline {_version('media-pipeline')}, Python {platform.python_version()}, "
        f"dagster {_version('dagster')}, dialect {settings.dialect}"
    )
    if settings.dialect == "guide":
        todo = "Real orgs answer the published API only: set GENESYS_DIALECT=platform, unless this is a rehearsal."
        return Finding(MACHINE, "versions", "ok", seen, todo)
    return Finding(MACHINE, "versions", "ok", seen)


def _instance() -> Finding:
    home, name = dagster_home(), "DAGSTER_HOME"
    if home is None:
        todo = "Set it to a folder of its own: run history, schedules and sensors live there."
        return Finding(MACHINE, name, "warn", "not set", todo)
    if not home.is_absolute():
        return Finding(MACHINE, name, "fail", f"{home} is relative", "Give an absolute path: Dagster refuses others.")
    if not home.is_dir() or not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        return Finding(
            MACHINE, name, "fail", f"{home} is no folder this user may use", "Make it, or correct its owner."
        )
    if not (home / "dagster.yaml").is_file():
        todo = "Copy dagster.yaml.example there as dagster.yaml: it bounds runs at a time and repeats killed ones."
        return Finding(MACHINE, name, "warn", f"{home} has no dagster.yaml", todo)
    return Finding(MACHINE, name, "ok", f"{home} has a dagster.yaml; {DAEMON}")


def _receivers(settings: Settings) -> Finding:
    try:
        receivers = parse_webhooks(settings.webhooks.get_secret_value(), settings.webhook_key.get_secret_value())
    except ConfigurationError as error:
        seen, _, todo = str(error).partition("; ")
        return Finding(MACHINE, "webhooks", "fail", seen, todo.capitalize())
    if not receivers:
        return Finding(MACHINE, "webhooks", "ok", "none: messages about failed days go to the daemon's log only")
    how = "signed" if receivers[0].keys else "not signed: MEDIA_WEBHOOK_KEY is not set"
    seen = f"{len(receivers)}: {', '.join(each.host for each in receivers)}; {how}"
    return Finding(MACHINE, "webhooks", "ok", seen)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
