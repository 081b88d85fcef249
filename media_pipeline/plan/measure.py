"""Figures from a sample of what the source lists: sizes asked of the media host, a byte each."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from media_pipeline.genesys.endpoints import MediaHosts
from media_pipeline.genesys.errors import GenesysError
from media_pipeline.genesys.pacing import CallStats
from media_pipeline.genesys.source import DayCount, ListedRecording, RecordingSource, Sample
from media_pipeline.plan.model import Figures
from media_pipeline.transfer.sizes import SizeProbe

SAMPLED = 100
"""Entries looked at: with call lengths that vary as widely as their mean, a tenth off is one standard error."""
ASKED_WITH_DURATION = 25
"""Files asked for their size where the listing states durations; the rest follow from bytes per second, if they do."""
PRECISE = 0.03
"""Standard error of those sizes, as a share of them, from which on the rest of the sample is asked too."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A sample's figures, and the calls of the source per unit of it."""

    figures: Figures
    calls: dict[str, float]
    units: dict[str, float]


class Sampler:
    """Asks a source for a sample of counted days and sizes it up."""

    def __init__(
        self, source: RecordingSource, stats: CallStats, hosts: MediaHosts, codecs: Collection[str], threads: int
    ) -> None:
        self._source = source
        self._stats = stats
        self._hosts = hosts
        self._codecs = codecs
        self._threads = threads

    def measure(self, days: Sequence[DayCount]) -> Measured:
        """Figures of a sample; raises GenesysError when the source cannot be listed."""
        before = self._stats.snapshot()
        sample = self._source.sample(days, SAMPLED)
        calls: dict[str, float] = {}
        for (operation, _), number in self._stats.since(before).calls.items():
            calls[operation] = calls.get(operation, 0) + number
        wanted = [each for each in sample.files if each.file_state == "available" and each.format in self._codecs]
        with_durations = sum(each.duration_seconds is not None for each in wanted)
        asked = _spread(wanted, ASKED_WITH_DURATION) if with_durations > len(wanted) / 2 else wanted
        sizes = self._sizes(asked)
        if len(asked) < len(wanted) and not _is_precise(wanted, sizes):
            among = set(map(_key, asked))
            sizes |= self._sizes([each for each in wanted if _key(each) not in among])
        total = _total(wanted, sizes)
        files = len(sample.files)
        # One call at least; where there is no transcript, each communication is asked: something in between.
        transcripts = sum((1 + len(each.communication_ids)) / 2 for each in sample.files if each.communication_ids)
        calls |= {"media": len(wanted)} if any(each.communication_ids is None for each in sample.files) else {}
        calls |= {"transcript_url": transcripts} if transcripts else {}
        return Measured(
            Figures(
                files_per_entry=files / sample.entries if sample.entries else 1.0,
                bytes_per_file=total / files if files else 0.0,
                stored_share=None,
                largest_bytes=max(sizes.values(), default=0),
                seconds_per_file=None,
                files=files,
                basis=_sentence(sample, len(sizes)),
            ),
            calls,
            {"batch": max(1.0, -(-sample.entries // 100)), "entry": sample.entries, "file": files},
        )

    def _sizes(self, files: Sequence[ListedRecording]) -> dict[tuple[str, int], int]:
        probe = SizeProbe(self._hosts)

        def size(file: ListedRecording) -> int | None:
            try:
                found = self._source.resolve(file)
            except GenesysError:
                return None
            if found.size_bytes is not None or found.link is None:
                return found.size_bytes
            return probe.size_of(found.link)

        self._source.expect(files)
        try:
            with ThreadPoolExecutor(self._threads) as threads:
                found = list(threads.map(size, files))
        finally:
            probe.close()
        return {_key(file): size for file, size in zip(files, found, strict=True) if size is not None}


def _is_precise(wanted: Sequence[ListedRecording], sizes: dict[tuple[str, int], int]) -> bool:
    """Whether the sizes that are known tell those of the other files, format by format."""
    missed: float = 0.0
    for kind in {file.format for file in wanted}:
        alike = [file for file in wanted if file.format == kind]
        known = [file for file in alike if _key(file) in sizes]
        if len(known) < min(2, len(alike)):
            return False  # of one nobody knows how much they vary
        per_file = [float(sizes[_key(file)]) for file in known]
        per_second = [sizes[_key(file)] / file.duration_seconds for file in known if file.duration_seconds]
        spread = _variation(per_file)
        if len(per_second) == len(known):
            spread = min(spread, _variation(per_second))
        missed += (sum(per_file) * spread) ** 2 / len(known)
    return math.sqrt(missed) <= PRECISE * sum(sizes.values())


def _total(wanted: Sequence[ListedRecording], sizes: dict[tuple[str, int], int]) -> float:
    """Bytes of all wanted files by those whose size is known: by the second where that fits better, else by the file.

    Which fits is what varies less; formats differ in bytes per second and are judged apart where both are known.
    """
    total = 0.0
    for kind in {file.format for file in wanted}:
        alike = [file for file in wanted if file.format == kind]
        known = [file for file in alike if _key(file) in sizes]
        if not known:
            known = [file for file in wanted if _key(file) in sizes]
        per_file = [float(sizes[_key(file)]) for file in known]
        per_second = [sizes[_key(file)] / file.duration_seconds for file in known if file.duration_seconds]
        seconds = [file.duration_seconds for file in known if file.duration_seconds]
        if len(seconds) == len(known) > 0 and _variation(per_second) < _variation(per_file):
            rate = sum(per_file) / sum(seconds)
            total += sum((file.duration_seconds or 0.0) * rate for file in alike)
        elif per_file:
            total += len(alike) * statistics.fmean(per_file)
    return total


def _variation(values: Sequence[float]) -> float:
    mean = statistics.fmean(values)
    return statistics.pstdev(values) / mean if mean else 0.0


def _spread(files: Sequence[ListedRecording], most: int) -> list[ListedRecording]:
    """Some of the files, of every format in turn."""
    kinds: dict[str | None, list[ListedRecording]] = {}
    for file in files:
        kinds.setdefault(file.format, []).append(file)
    share = max(1, most // max(1, len(kinds)))
    return [file for alike in kinds.values() for file in alike[:: max(1, -(-len(alike) // share))]]


def _key(file: ListedRecording) -> tuple[str, int]:
    return file.recording_id, file.file_index


def _sentence(sample: Sample, sized: int) -> str:
    return f"a sample of {len(sample.files):,} recordings, {sized:,} of them asked for their size"
