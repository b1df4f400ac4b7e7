"""Time and memory of scoring and of a board's statistics as they grow: `python benchmarks/speed/growth.py`.

Every point is a process of its own, so that its peak of memory is its own; vectors are float16 in a file, read in
chunks. The table is written to benchmarks/speed/results/growth.md; a point that is in benchmarks/speed/results/
growth.json is not measured again.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results"
QUERIES, CHUNK = 2_000, 2**16
Setting = Mapping[str, int]

BASE = {"items": 10**5, "dim": 64, "classes": 1_000}
AXES: Mapping[str, tuple[str, list[Setting]]] = {
    "items": (
        "Items, 64 dimensions, 100 to a class",
        [BASE | {"items": 10**power, "classes": 10 ** (power - 2)} for power in (4, 5, 6, 7)],
    ),
    "dim": ("Dimensions, 100,000 items", [BASE | {"dim": dim} for dim in (64, 256, 1_024)]),
    "classes": ("Classes of 100,000 items", [BASE | {"classes": 10**power} for power in (1, 2, 3, 4)]),
    "cells": (
        "Cells of a board, 1,000 queries, 5 seeds",
        [
            {"rows": 4, "scenarios": 5},
            {"rows": 40, "scenarios": 5},
            {"rows": 60, "scenarios": 8},
            {"rows": 250, "scenarios": 8},
        ],
    ),
}


def score_items(items: int, dim: int, classes: int) -> Callable[[], object]:
    """Exact scoring of 2,000 queries in a gallery that is a file."""
    from compatbench.evaluation.relevance import by_label
    from compatbench.evaluation.scoring import System, score

    folder = Path(tempfile.mkdtemp())
    path = folder / "vectors.f16"
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(classes, dim, generator=generator)
    labels = np.arange(items) % classes
    with path.open("wb") as file:
        for begin in range(0, items, CHUNK):
            part = centres[torch.from_numpy(labels[begin : begin + CHUNK])]
            part = torch.nn.functional.normalize(part + 3 * torch.randn(part.shape, generator=generator))
            file.write(part.half().numpy().tobytes())
    stored = np.memmap(path, np.float16, "r", shape=(items, dim))
    path.unlink()  # the mapping keeps it until the process ends
    folder.rmdir()
    rows = np.arange(min(QUERIES, items))
    relevance = by_label(labels[rows], labels, rows)
    systems = {"": System(torch.from_numpy(stored[rows].astype(np.float32)), "items")}

    def chunks(size: int) -> Iterator[Mapping[str, torch.Tensor]]:
        for begin in range(0, items, size):
            yield {"items": torch.from_numpy(stored[begin : begin + size].astype(np.float32))}

    return lambda: score(systems, chunks, relevance, rows, chunk_items=CHUNK)


def report_board(rows: int, scenarios: int) -> Callable[[], object]:
    """Values, intervals, bold type and resampled numbers of all rows, scenario by scenario."""
    from compatbench.report.rows.estimates import best_rows, estimate, resampled
    from compatbench.report.rows.scores import FOLLOWED_OLD, FOLLOWED_REFERENCE, MEAN, Scores
    from compatbench.vocabulary import DERIVED_FROM, RANKED_BY, Entry

    generator = np.random.default_rng(0)

    def row() -> Scores:
        entries = (*Entry, MEAN, FOLLOWED_OLD, FOLLOWED_REFERENCE)
        values: dict[tuple[str, str], NDArray[np.float64]] = {
            (metric, entry): generator.random((5, 1_000)) for metric in DERIVED_FROM for entry in entries
        }
        return Scores(tuple(range(5)), values)

    def report() -> None:
        for _ in range(scenarios):
            board = {str(number): row() for number in range(rows)}
            estimate(board)
            best_rows(board, (*Entry, *RANKED_BY))
            for number in RANKED_BY:
                resampled(board, number)

    return report


def measure(axis: str, setting: Setting) -> dict[str, float]:
    """Seconds (the faster of two calls, or one where it takes over a minute), and the peak of memory in MiB."""
    call = report_board(**setting) if axis == "cells" else score_items(**setting)
    seconds: list[float] = []
    while len(seconds) < 2 and sum(seconds) < 60:
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return {"seconds": min(seconds), "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def size_of(axis: str, setting: Setting) -> int:
    """The number on the axis."""
    return setting["rows"] * setting["scenarios"] * 5 if axis == "cells" else setting[axis]


def table(found: Mapping[str, Mapping[str, float]], machine: str) -> str:
    """Markdown: of every point its time and memory, and how its time grew since the one before."""
    lines = [
        "# Growth",
        f"Written by `python benchmarks/speed/growth.py`. {machine}. 2,000 queries; the faster of two calls.",
        "The exponent is log(time ratio) / log(size ratio) to the line above: 1 is proportional.",
    ]
    for axis, (title, settings) in AXES.items():
        rows = ["| Size | Seconds | Exponent | Peak of memory, MiB |", "| ---: | ---: | ---: | ---: |"]
        before: tuple[int, float] | None = None
        for setting in settings:
            size, now = size_of(axis, setting), found[point_name(axis, setting)]
            exponent = math.log(now["seconds"] / before[1]) / math.log(size / before[0]) if before else math.nan
            grown = f"{exponent:.2f}" if before else ""
            rows.append(f"| {size:,} | {now['seconds']:.2f} | {grown} | {now['mib']:,.0f} |")
            before = size, now["seconds"]
        lines += [f"## {title}", "\n".join(rows)]
    return "\n\n".join(lines) + "\n"


def point_name(axis: str, setting: Setting) -> str:
    """Unique, readable."""
    return f"{axis}: " + ", ".join(f"{key} {value}" for key, value in setting.items())


def main() -> None:
    """Measure the missing points and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--point", help="measure this one and print it as JSON")
    chosen = parser.parse_args()
    points = {point_name(axis, one): (axis, one) for axis, (_, settings) in AXES.items() for one in settings}
    if chosen.point:
        print(json.dumps(measure(*points[chosen.point])))
        return
    kept = RESULTS / "growth.json"
    found: dict[str, dict[str, float]] = json.loads(kept.read_text()) if kept.is_file() else {}
    for name in (name for name in points if name not in found):
        print(name, flush=True)
        done = subprocess.run([sys.executable, __file__, "--point", name], check=True, capture_output=True, text=True)
        found[name] = json.loads(done.stdout)
        kept.write_text(json.dumps(found, indent=1) + "\n")
    from compatbench.records.environment import environment

    here = environment()
    (RESULTS / "growth.md").write_text(table(found, f"{here.cpu}, {torch.get_num_threads()} threads"))


if __name__ == "__main__":
    main()
