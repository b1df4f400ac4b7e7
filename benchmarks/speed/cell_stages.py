"""Where the seconds of a cell of `icons` go: `python benchmarks/speed/cell_stages.py`.

Cells of extended_data, seed 0, one after another in one process of one thread, in a folder of runs of their own with
the features of `--runs`; independent's models, which all others need, are in the first cell. The table is written to
benchmarks/speed/results/cell_stages.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from compatbench.cli import bench
from compatbench.discovery.plugins import discover
from compatbench.execution.cell import RunContext, run_cell
from compatbench.measurement import measure as measuring
from compatbench.plan.cells import make_plan
from compatbench.plan.selection import Selection
from compatbench.records.environment import environment
from compatbench.records.store import Store

METHODS = ("independent", "bct", "mixbct", "procrustes", "ridge", "dmu")
PARTS = {
    "matrix": "matrix, scored",
    "backfill_curves": "backfill curves, fixed orders",
    "backfilled_queries": "backfill curves, by query",
    "index_search": "index search",
    "threshold_transfer": "thresholds",
    "worst_flips": "flips",
    "example_retrievals": "examples",
    "costs": "speed of embedding",
}
"""Functions that `measure` calls, and what they do."""
OTHER = "intervals, and the rest"
RESULTS = Path(__file__).parent / "results"


def timed(call: Callable[..., Any], name: str, seconds: dict[str, float]) -> Callable[..., Any]:
    """`call`, which adds its seconds under this name."""

    def replacement(*args: Any, **kwargs: Any) -> Any:
        begun = time.perf_counter()
        try:
            return call(*args, **kwargs)
        finally:
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - begun

    return replacement


def main() -> None:
    """Run the cells and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--runs", type=Path, default=Path("results/runs"), help="has the features of icons")
    chosen = parser.parse_args()
    features = Store(chosen.runs).features
    if not features.is_dir():
        sys.exit(f"{features} is missing: run a cell of icons first")
    torch.set_num_threads(1)
    parts: dict[str, float] = {}
    for name, title in PARTS.items():
        setattr(measuring, name, timed(getattr(measuring, name), title, parts))
    found: list[tuple[str, dict[str, float]]] = []
    with tempfile.TemporaryDirectory(dir=chosen.runs.parent) as folder:
        runs = Path(folder)
        shutil.copytree(features, runs / features.name, copy_function=os.link)
        selection = Selection(METHODS, ("extended_data",), (0,))
        suite = bench.prepare("icons", selection, Store(runs), chosen.data, (), print, ())
        for cell in make_plan(suite.name, suite.suite, suite.dataset, discover(()), selection):
            if cell.spec.method.label not in METHODS:
                continue  # a variant
            parts.clear()
            record = run_cell(cell.spec, RunContext(runs, chosen.data), lambda stage, share: None, print)
            if record.status != "ok":
                sys.exit(f"{cell.title}: {record.status}, {record.reason}")
            inside = {**parts, OTHER: record.timings["evaluation"] - sum(parts.values())}
            found.append((cell.spec.method.label, {**record.timings, **inside, "cell": record.seconds}))
            print(cell.title, round(record.seconds, 1), "s", flush=True)
    write(found)


def write(found: list[tuple[str, dict[str, float]]]) -> None:
    """A column of seconds for each cell."""
    stages = ["data", "features", "reference", "models", "evaluation"]
    shares = [f"{times['evaluation'] / times['cell']:.0%}" for _, times in found]
    lines = [
        f"| Seconds | {' | '.join(label for label, _ in found)} |",
        f"| --- |{' ---: |' * len(found)}",
        *(row(name, [times.get(name, 0.0) for _, times in found]) for name in stages),
        *(row(f"– {name}", [times.get(name, 0.0) for _, times in found]) for name in (*PARTS.values(), OTHER)),
        row("whole cell", [times["cell"] for _, times in found]),
        f"| evaluation, share | {' | '.join(shares)} |",
    ]
    text = (
        "# Seconds of a cell of icons by stage\n\n"
        f"Written by `python benchmarks/speed/cell_stages.py`. {environment().cpu}, one thread. The cell of "
        "independent trains two models and computes what others find again; models of adapters are independent's.\n\n"
    )
    (RESULTS / "cell_stages.md").write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


def row(name: str, seconds: list[float]) -> str:
    """One line of the table."""
    return f"| {name} | {' | '.join(f'{one:.2f}' for one in seconds)} |"


if __name__ == "__main__":
    main()
