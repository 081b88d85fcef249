"""Programs that tests need from the system: skipped by name where one is missing, failed where CI is to have it."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def program(name: str, package: str | None = None) -> str:
    """Where the program is."""
    found = shutil.which(name)
    if found is None:
        without(f"{name} is not installed: apt-get install {package or name} to run this test.")
    return found


def without(sentence: str) -> NoReturn:
    """What this test needs is not there."""
    if os.environ.get("CI") == "true":
        pytest.fail(sentence)
    pytest.skip(sentence)
