"""What seekable gzip costs: our blocks against one plain ISA-L stream, side by side, on telephone calls.

Both take the same calls in pieces of four blocks (255 KiB; `blocks, 256 KiB` shows what the copies of other sizes
cost), each thread its own copy, in rounds that alternate. Printed are MB of source per second (best round; MB of 10^6
bytes) and two ratios to the plain stream, medians over the rounds: of the time by the clock, which a busy neighbour
disturbs, and of the CPU time, which does not see threads wait for each other. Only ratios within one run mean
something. mp3 shows what storing saves; then what reading back costs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from isal import isal_zlib

from media_pipeline.sandbox import audio, dialogue, phrases
from media_pipeline.storage.bgzf import BLOCK_BYTES, GZIP_LEVEL, BlockCompressor
from media_pipeline.storage.ranges import source_range

BYTES_PER_MB = 10**6
PIECE_BYTES = 4 * BLOCK_BYTES
UNEVEN_BYTES = 256 * 1024
GOAL = 0.97
"""Of the plain stream's throughput, on speech. ISA-L starting anew for each block takes most of what is missing."""
GZIP_WINDOW_BITS = 31

Work = Callable[[bytes], int]
"""Source to the bytes it becomes."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Best MB/s, throughput by clock and by CPU time as shares of the first way's, size as a share of the source."""

    mb_per_second: float
    clock_share: float
    cpu_share: float
    size: float


def main() -> None:
    """Measure and print; the figures are for reading, so nothing fails by them."""
    options = _options()
    print(f"Making {options.mb} MB of calls ...", file=sys.stderr, flush=True)
    sources = _sources(options.mb * BYTES_PER_MB)
    ways: dict[str, Work] = {"plain stream": _plain, "blocks": _blocks, "blocks, 256 KiB": _uneven}
    speech = []
    print(f"{'source':>10} {'threads':>7} {'way':>15} {'MB/s':>7} {'clock':>6} {'CPU':>6} {'size':>6}")
    for name, source in sources.items():
        for threads in options.threads:
            figures = _measured(ways, source, threads, options.rounds)
            _print(name, threads, figures)
            if name != "mp3":
                speech.append(figures["blocks"])
    print("\nReading back, without files:")
    for name, source in sources.items():
        readers = _readers(source)
        for threads in options.threads:
            _print(name, threads, _measured(readers, source, threads, options.rounds))
    clock, cpu = min(figure.clock_share for figure in speech), min(figure.cpu_share for figure in speech)
    print(f"\nLeast share of the plain stream on speech: {clock:.3f} by clock, {cpu:.3f} by CPU; the goal is {GOAL}.")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Blocked gzip against one plain stream.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--mb", type=int, default=16, help="source per thread and round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=lambda text: [int(part) for part in text.split(",")], default="1,2")
    return parser.parse_args()


def _sources(size: int) -> dict[str, bytes]:
    """Calls of the sandbox one after another: as 16-bit PCM, as u-law (ITU-T G.711), and as mp3."""
    import numpy as np

    topics = list(phrases.TOPICS)
    calls = [dialogue.mix(dialogue.plan(0, topics[0]))]
    while sum(call.nbytes for call in calls) < size:
        calls.append(dialogue.mix(dialogue.plan(len(calls), topics[len(calls) % len(topics)])))
    samples = np.concatenate(calls)
    magnitude = np.minimum(np.abs(samples.astype(np.int32)), 32_635) + 132
    exponent = np.frexp(magnitude)[1] - 8
    mantissa = magnitude >> (exponent + 3) & 15
    ulaw = (~((samples < 0) << 7 | exponent << 4 | mantissa) & 255).astype(np.uint8).tobytes()
    mp3 = audio.encode(samples[: len(samples) // 2], "mp3")
    return {
        "PCM16": audio.encode(samples, "wav")[:size],
        "u-law": (ulaw * 2)[:size],
        "mp3": (mp3 * (size // len(mp3) + 1))[:size],
    }


def _plain(source: bytes) -> int:
    compressor = isal_zlib.compressobj(level=GZIP_LEVEL, wbits=GZIP_WINDOW_BITS)
    size = sum(len(compressor.compress(piece)) for piece in _pieces(source))
    return size + len(compressor.flush())


def _blocks(source: bytes, piece_bytes: int = PIECE_BYTES) -> int:
    compressor = BlockCompressor()
    size = sum(len(out) for piece in _pieces(source, piece_bytes) for out in compressor.compress(piece))
    return size + len(compressor.finish()[0])


def _uneven(source: bytes) -> int:
    return _blocks(source, UNEVEN_BYTES)


def _readers(source: bytes) -> dict[str, Work]:
    stream = isal_zlib.compress(source, GZIP_LEVEL, GZIP_WINDOW_BITS)
    compressor = BlockCompressor()
    pieces = compressor.compress(source)
    rest, index = compressor.finish()
    blocks = b"".join([*pieces, rest])

    def plain(_: bytes) -> int:
        decompressor = isal_zlib.decompressobj(wbits=GZIP_WINDOW_BITS)
        return sum(len(decompressor.decompress(piece)) for piece in _pieces(stream))

    def ranged(source: bytes) -> int:
        read = partial(_read, blocks)
        return sum(map(len, source_range(read, index, 0, len(source))))

    return {"plain stream": plain, "blocks": ranged}


def _read(data: bytes, offset: int, length: int) -> bytes:
    return data[offset : offset + length]


def _pieces(data: bytes, size: int = PIECE_BYTES) -> list[memoryview]:
    view = memoryview(data)
    return [view[start : start + size] for start in range(0, len(view), size)]


def _measured(ways: dict[str, Work], source: bytes, threads: int, rounds: int) -> dict[str, Figure]:
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    sizes = {name: work(source) for name, work in ways.items()}  # also warms up
    for number in range(rounds):
        order = list(ways.items())
        for name, work in order if number % 2 else reversed(order):
            times[name].append(_seconds(work, source, threads))
    clock, cpu = ({name: [pair[kind] for pair in pairs] for name, pairs in times.items()} for kind in (0, 1))
    return {
        name: Figure(
            threads * len(source) / min(clock[name]) / BYTES_PER_MB,
            _share(next(iter(clock.values())), clock[name]),
            _share(next(iter(cpu.values())), cpu[name]),
            sizes[name] / len(source),
        )
        for name in ways
    }


def _share(first: Sequence[float], other: Sequence[float]) -> float:
    return statistics.median(one / two for one, two in zip(first, other, strict=True))


def _seconds(work: Work, source: bytes, threads: int) -> tuple[float, float]:
    """By the clock and of CPU, for one copy of the work in each thread."""
    workers = [threading.Thread(target=work, args=(source,)) for _ in range(threads)]
    began, cpu_began = time.perf_counter(), time.process_time()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began, time.process_time() - cpu_began


def _print(name: str, threads: int, figures: dict[str, Figure]) -> None:
    for way, figure in figures.items():
        print(
            f"{name:>10} {threads:>7} {way:>15} {figure.mb_per_second:>7.0f} {figure.clock_share:>6.3f} "
            f"{figure.cpu_share:>6.3f} {figure.size:>6.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
