"""Trials of a method's parameters: their values, their cells, and the choice among them by A on held-out images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from pydantic import JsonValue

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import Catalogue
from compatbench.evaluation.compatibility import LEAST_GAIN
from compatbench.method import Params, ranges
from compatbench.plan.cells import Cell, make_plan
from compatbench.plan.selection import Selection, select_methods
from compatbench.records.record import Record
from compatbench.suite.suite import MethodEntry, Suite
from compatbench.suite.tuned import Trial, TunedMethod
from compatbench.vocabulary import MetricName, Need, Role, Status

TRIALS = 8
"""Settings of each method that are tried, the published one included."""
SEED = 7919
"""Of the models of all trials, and of the values that are tried."""


@dataclass(frozen=True)
class TrialPlan:
    """The trials of a suite's methods."""

    seed: int
    cells: list[Cell]
    """All of them, baselines first."""
    rows: dict[str, list[tuple[str, dict[str, JsonValue]]]]
    """The trials of each row of the suite, by label: the label of their cells, and the values of tunable parameters."""
    sources: dict[str, str]
    """Hash of the method's files of each row."""


def trial_values(params: Params) -> list[dict[str, JsonValue]]:
    """Values of the tunable parameters: those of `params`, then a scrambled Sobol sequence over their ranges.

    Empty where there is nothing to tune. The same on every machine: the sequence has a fixed seed.
    """
    from scipy.stats import qmc

    searched = ranges(params)
    if not searched:
        return []
    published = {name: getattr(params, name) for name in searched}
    points = qmc.Sobol(len(searched), rng=np.random.default_rng(SEED)).random_base2((TRIALS - 1).bit_length())
    tried = [
        {name: one.at(float(place)) for (name, one), place in zip(searched.items(), point, strict=True)}
        for point in points[: TRIALS - 1]
    ]
    return [published, *tried]


def trial_plan(name: str, suite: Suite, dataset: Dataset, catalogue: Catalogue, selection: Selection) -> TrialPlan:
    """The trials of the selected methods of `suite` that claim compatibility and have ranges.

    `suite` has published settings alone. The seed is none of the suite's. Raises RequestError as `make_plan` does.
    """
    seed = next(one for one in count(SEED) if one not in suite.seeds)
    entries: list[MethodEntry] = []
    rows: dict[str, list[tuple[str, dict[str, JsonValue]]]] = {}
    sources = {}
    for entry in select_methods(suite, catalogue, selection.methods):
        plugin = catalogue.get(entry.name)
        params = plugin.resolve(entry.params)
        values = trial_values(params) if plugin.cls.role is Role.METHOD else []
        trials = [entry.model_copy(update={"params": {**entry.params, **one}}) for one in values]
        if trials:
            trials[0] = entry  # the baselines of all rows and the published trial keep their names
            rows[entry.label] = [(trial.label, one) for trial, one in zip(trials, values, strict=True)]
            sources[entry.label] = plugin.source_hash
            entries += trials
    tried = suite.model_copy(update={"methods": tuple(entries), "seeds": (seed,), "index_search": ()})
    chosen = Selection(scenarios=selection.scenarios)
    cells = make_plan(name, tried, dataset, catalogue, chosen, held_out=True) if entries else []
    return TrialPlan(seed, cells, rows, sources)


def choose(plan: TrialPlan, outcome: Callable[[Cell], Record | None]) -> dict[str, TunedMethod]:
    """The trials of each row with their scores, and the values of the best one; of equal ones the first.

    A score is the mean of A over the scenarios in which a full backfill gains LEAST_GAIN, on held-out images, and that
    the method can run in. Rows that can run in none
    are left out.
    """
    records: dict[str, dict[str, Record]] = {}
    skipped = {(cell.spec.method.label, cell.spec.scenario) for cell in plan.cells if cell.skip}
    for cell in plan.cells:
        if cell.skip is None and (record := outcome(cell)) is not None:
            records.setdefault(cell.spec.method.label, {})[cell.spec.scenario] = record
    scenarios = list(dict.fromkeys(cell.spec.scenario for cell in plan.cells))
    gains = {one: _full_gain(records, one) for one in scenarios}
    wide = [one for one in scenarios if (gain := gains[one]) is not None and gain >= LEAST_GAIN]
    found = {}
    for label, tried in plan.rows.items():
        runs = [one for one in wide if (label, one) not in skipped]
        if not runs:
            continue
        trials = [_trial(values, records.get(name, {}), runs) for name, values in tried]
        best = max(trials, key=lambda trial: -np.inf if trial.score is None else trial.score)
        chosen = {} if best is trials[0] or best.score is None else best.params
        found[label] = TunedMethod(chosen=chosen, source_hash=plan.sources[label], trials=tuple(trials))
    return found


def _trial(values: dict[str, JsonValue], records: dict[str, Record], scenarios: Sequence[str]) -> Trial:
    scores = {one: _share(records.get(one)) for one in scenarios}
    known = [score for score in scores.values() if score is not None]
    problems = [f"{one}: {record.status.value}" for one, record in records.items() if record.status is not Status.OK]
    mean = round(sum(known) / len(known), 4) if len(known) == len(scores) else None
    return Trial(params=values, score=mean, scenarios=scores, problem="; ".join(problems))


def _share(record: Record | None) -> float | None:
    """A on mAP of the newest upgrade, in random order."""
    found = (
        [one for one in record.metrics if one.name == f"{MetricName.BACKFILL_SHARE}:{MetricName.MAP}"] if record else []
    )
    newest = max(found, key=lambda one: int(one.query_generation), default=None)
    return None if newest is None or newest.value is None else round(newest.value, 4)


def _full_gain(records: dict[str, dict[str, Record]], scenario: str) -> float | None:
    """M(*,*) − M(o,o) on mAP, of any record whose first generation is the shared one."""
    for by_scenario in records.values():
        record = by_scenario.get(scenario)
        if record is None or record.status is not Status.OK or Need.OWN_FIRST_GENERATION in record.spec.method.needs:
            continue
        new, old = len(record.spec.generations) - 1, len(record.spec.generations) - 2
        ends = [record.metric(MetricName.MAP, at, at) for at in (f"*{new}", str(old))]
        values = [one.value for one in ends if one is not None and one.value is not None]
        if len(values) == 2:
            return values[0] - values[1]
    return None
