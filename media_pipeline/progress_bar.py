"""A terminal's progress bar over a run's recordings."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from media_pipeline.assets.progress import Progress
from media_pipeline.storage.space import BYTES_PER_MB


class ProgressBar(Progress):
    """One bar a day: recordings settled, megabytes fetched, time."""

    def __init__(self, console: Console) -> None:
        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[megabytes]:,.1f} MB"),
            TimeElapsedColumn(),
            console=console,
        )
        self._bytes = 0
        self._task = None

    def __enter__(self) -> ProgressBar:
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.stop()

    def begin(self, title: str, total: int) -> None:
        self._bytes = 0
        self._task = self._bars.add_task(title, total=total, megabytes=0.0)

    def advance(self, bytes_fetched: int) -> None:
        self._bytes += bytes_fetched
        if self._task is not None:
            self._bars.update(self._task, advance=1, megabytes=self._bytes / BYTES_PER_MB)


class OneBar(ProgressBar):
    """The same with one bar for all days: an archive has more of them than a screen has lines."""

    def begin(self, title: str, total: int) -> None:
        if self._task is None:
            super().begin(title, total)
        else:
            self._bars.reset(self._task, total=total, description=title, megabytes=self._bytes / BYTES_PER_MB)
