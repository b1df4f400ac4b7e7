"""What `compatbench plan` prints: cells with what they build on, the price, and what data are missing."""

from __future__ import annotations

from collections.abc import Iterator

from compatbench.cli.bench import Bench
from compatbench.plan.cells import outcome, remaining
from compatbench.plan.estimate import gpu_hours, minutes_here
from compatbench.plan.pretrained import missing_weights
from compatbench.plan.trainings import parents
from compatbench.records.environment import device


def plan_lines(bench: Bench, jobs: int) -> Iterator[str]:
    """One line a cell, then what is left to do and what it costs."""
    for cell in bench.cells:
        record = outcome(cell, bench.store)
        state = record.status.value if record else "skip" if cell.skip else "to run"
        shared = parents(cell)
        after = f"  ({cell.skip})" if cell.skip else f"  ← {', '.join(shared)}" if shared else ""
        yield f"{state:<8} {cell.title}{after}"
    todo = remaining(bench.cells, bench.store, retry=False)
    count = f"{len(todo)} of {len(bench.cells)} cells to run"
    budget = bench.suite.gpu_hours
    if budget is None:
        yield f"{count}, {jobs} at a time, about {minutes_here(todo, bench.dataset, jobs):.0f} min"
    else:
        hours = gpu_hours(todo, bench.dataset)
        verdict = "within" if hours <= budget else "OVER"
        yield f"{count}, about {hours:.1f} GPU hours (an A100), {verdict} the suite's budget of {budget:g}"
        if device().type != "cuda":
            yield "this machine has no GPU; the suite is meant for one"
    if bench.missing:
        yield f"data that are missing, so that the plan rests on their published sizes ({bench.suite.dataset}):"
        yield from (f"  {path}" for path in bench.missing)
        yield f"`compatbench data get {bench.suite.dataset}` fetches them, or says from where they come"
    weights = missing_weights(todo)
    if weights:
        yield f"weights that are missing, and that timm downloads when the suite is run: {', '.join(weights)}"
