"""A run's progress for whoever watches it in the same process; without a watcher it does nothing."""

from __future__ import annotations


class Progress:
    """Told once per day how many recordings there are, and once per settled recording."""

    def begin(self, title: str, total: int) -> None:
        """A day begins."""

    def advance(self, bytes_fetched: int) -> None:
        """One recording is settled."""

    def end(self) -> None:
        """The day is done."""
