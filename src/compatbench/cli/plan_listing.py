"""The output of `compatbench plan`: splits of the data, cells and their models, costs, missing parts."""

from __future__ import annotations

from collections.abc import Iterator

from compatbench.cli.bench import Bench
from compatbench.data.dataset import Dataset, Split
from compatbench.plan.cells import outcome, remaining
from compatbench.plan.estimate import gpu_hours, minutes_here
from compatbench.plan.pretrained import missing_weights
from compatbench.plan.trainings import parents
from compatbench.records.environment import device
from compatbench.suite.scenarios import TestClasses
from compatbench.suite.splits import as_tested, held_out_indices, image_ranges


def plan_lines(bench: Bench, jobs: int) -> Iterator[str]:
    """The data of each scenario, one line a cell, then the remaining work and its cost."""
    yield from data_lines(bench)
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
        minutes = minutes_here(todo, bench.dataset, jobs, bench.store.features)
        yield f"{count}, {jobs} at a time, about {minutes:.0f} min"
    else:
        hours = gpu_hours(todo, bench.dataset, bench.store.features)
        verdict = "within" if hours <= budget else "OVER"
        yield f"{count}, about {hours:.1f} GPU hours (an A100), {verdict} the suite's budget of {budget:g}"
        if device().type != "cuda":
            yield "this machine has no GPU; the suite is meant for one"
    if bench.missing:
        yield f"data that are missing, so that the plan rests on their published sizes ({bench.suite.dataset}):"
        yield from (f"  {path}" for path in bench.missing)
        yield f"`compatbench data get {bench.suite.dataset}` fetches them, or says from where they come"
    weights = missing_weights(todo, bench.data)
    if weights:
        yield f"weights that are missing, and that are downloaded when the suite is run: {', '.join(weights)}"


def data_lines(bench: Bench) -> Iterator[str]:
    """The dataset's splits, then the training and test data of each scenario."""
    suite, dataset = bench.suite, bench.dataset
    where = "as published" if bench.missing else "as found"
    yield f"{dataset.name} ({where}): {dataset.num_classes:,} classes; train {_size(dataset.train)}; {_test(dataset)}"
    for scenario in dict.fromkeys(cell.spec.scenario for cell in bench.cells):
        chain = suite.scenarios[scenario]
        trained = []
        for generation in chain:
            ranges = image_ranges(dataset.train.labels, generation, suite.train_limit)
            images = sum(last - first for first, last in ranges.values())
            trained.append(f"{images:,} images of {len(ranges):,} classes")
        classes_of_newest = chain[-1].class_ids(dataset.train_classes)
        held_out = len(held_out_indices(dataset.train.labels, classes_of_newest, suite.train_limit))
        classes: TestClasses = "unseen" if scenario in suite.test_on_unseen_classes else "all"
        tested = _test(as_tested(dataset, chain, classes, suite.query_limit, suite.train_limit))
        yield f"  {scenario}: {' → '.join(trained)}; {held_out:,} images held out; {tested}"


def _test(dataset: Dataset) -> str:
    if dataset.query is dataset.gallery:
        return f"query = gallery {_size(dataset.query)}"
    return f"query {_size(dataset.query)}, gallery {_size(dataset.gallery)}"


def _size(split: Split) -> str:
    return f"{len(split):,} images of {len(set(split.labels.tolist())):,} classes"
