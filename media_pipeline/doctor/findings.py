"""What the doctor finds: one line per check, and the exit code that they come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "fail"]

GENESYS, PERMISSIONS, STORAGE, MACHINE = "Genesys Cloud", "permissions", "storage", "this machine"
GROUPS = (GENESYS, PERMISSIONS, STORAGE, MACHINE)
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was seen, and, unless all is well, what to do."""

    group: str
    name: str
    level: Level
    seen: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All lines, what they took, and nothing secret."""

    findings: tuple[Finding, ...]
    api_calls: int
    seconds: float

    @property
    def exit_code(self) -> int:
        """0: all well, warnings allowed; 1: something fails."""
        return 1 if any(finding.level == "fail" for finding in self.findings) else 0

    def count(self, level: Level) -> int:
        """Lines of a level."""
        return sum(finding.level == level for finding in self.findings)


def not_checked(group: str, names: Iterable[str], why: str) -> list[Finding]:
    """Lines for what could not be looked at."""
    return [Finding(group, name, "warn", f"not checked: {why}", "Mend that first.") for name in names]
