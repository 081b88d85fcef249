"""From figures to Markdown: ratios only, each the median of what the rounds gave pair by pair."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from benchmarks.throughput.contenders import CONTENDERS
from benchmarks.throughput.run import Figures

Rounds = dict[str, list[Figures]]
"""Contender -> what it took in each round."""


def machine() -> str:
    """The machine in one line."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def paired(figures: Sequence[Figures], against: Sequence[Figures], value: Callable[[Figures], float]) -> float:
    """The median over rounds of one contender's value over another's in the same round."""
    return median(value(mine) / value(other) for mine, other in zip(figures, against, strict=True))


def rate(figures: Figures) -> float:
    """MB of source a second."""
    return figures.rate


def cpu_per_byte(figures: Figures) -> float:
    """CPU seconds a byte of source."""
    return figures.cpu / figures.size


def against_the_limit(sizes: dict[str, Rounds]) -> list[str]:
    """Throughput and, behind the slash, CPU per byte, both with the limit's as 1."""
    lines = ["| share of the limit (CPU per byte) | " + " | ".join(sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for name, contender in CONTENDERS.items():
        cells = []
        for rounds in sizes.values():
            mine, limit = rounds.get(name), rounds.get("limit")
            if not mine or not limit:
                cells.append("-")
                continue
            cells.append(f"{paired(mine, limit, rate):.2f} ({paired(mine, limit, cpu_per_byte):.2f})")
        if set(cells) != {"-"}:
            lines.append(f"| {contender.title} | " + " | ".join(cells) + " |")
    return lines


def ours_against(sizes: dict[str, Rounds]) -> list[str]:
    """How many times the others' throughput ours is, and its memory."""
    lines = ["| ours is | " + " | ".join(sizes) + " |", "|---" * (len(sizes) + 1) + "|"]
    for name, contender in CONTENDERS.items():
        if name in ("own", "limit"):
            continue
        cells = [
            f"{paired(rounds['own'], rounds[name], rate):.1f} x" if rounds.get("own") and rounds.get(name) else "-"
            for rounds in sizes.values()
        ]
        if set(cells) != {"-"}:
            lines.append(f"| against {contender.title} | " + " | ".join(cells) + " |")
    memory = [
        max((figures.memory_mb or 0.0 for figures in rounds.get("own", [])), default=0.0) for rounds in sizes.values()
    ]
    lines.append("| highest growth of memory, MB | " + " | ".join(f"{mb:.0f}" for mb in memory) + " |")
    return lines


def by_slots(title: str, rounds: dict[int, list[Figures]]) -> list[str]:
    """Throughput by slots, the best as 1, and against half as many."""
    best = max(median(map(rate, figures)) for figures in rounds.values())
    lines = [f"| {title}, slots | " + " | ".join(map(str, rounds)) + " |", "|---" * (len(rounds) + 1) + "|"]
    lines.append("| of the best | " + " | ".join(f"{median(map(rate, f)) / best:.2f}" for f in rounds.values()) + " |")
    halves = [
        f"{paired(figures, rounds[slots // 2], rate):.2f}" if slots // 2 in rounds else "-"
        for slots, figures in rounds.items()
    ]
    lines.append("| of half the slots | " + " | ".join(halves) + " |")
    return lines


def of_the_floor(title: str, wait_seconds: float, rounds: dict[tuple[str, int], list[Figures]]) -> list[str]:
    """Files a second with slow requests over what the slots allow if nothing but the waiting took time."""
    slots = sorted({slots for _, slots in rounds})
    lines = [f"| {title}, slots | " + " | ".join(map(str, slots)) + " |", "|---" * (len(slots) + 1) + "|"]
    for name, contender in CONTENDERS.items():
        cells = []
        for number in slots:
            figures = rounds.get((name, number), [])
            shares = [wait_seconds * f.files / number / f.seconds for f in figures]
            cells.append(f"{median(shares):.2f}" if shares else "-")
        if set(cells) != {"-"}:
            lines.append(f"| {contender.title}: share of the slot floor | " + " | ".join(cells) + " |")
    return lines
