"""Trials of parameters: which values, on which images, and which one is chosen; by hand where it is a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import Catalogue
from compatbench.method import ranges
from compatbench.plan.cells import Cell
from compatbench.plan.selection import Selection
from compatbench.plan.trials import SEED, TRIALS, TrialPlan, choose, trial_plan, trial_values
from compatbench.records.parts import Metric
from compatbench.records.record import Record
from compatbench.suite.splits import held_out_indices
from compatbench.suite.suite import Suite, parse_suite
from compatbench.vocabulary import Status

Outcomes = dict[str, dict[str, float | None]]


@pytest.fixture
def suite() -> Suite:
    return parse_suite(
        {
            "title": "small",
            "dataset": "digits",
            "image_size": 16,
            "train_limit": 400,
            "seeds": [0, SEED],
            "recipe": {"epochs": 1},
            "defaults": {"backbone": "test_vit", "dim": 16},
            "scenarios": {"one": [{"share": 0.1}, {}], "two": [{"classes": 0.5}, {}]},
            "methods": ["independent", "bct", "identity", {"name": "ridge", "pairs": "train"}],
        },
        "test",
    )


@pytest.fixture
def plan(suite: Suite, digits: Dataset, catalogue: Catalogue) -> TrialPlan:
    return trial_plan("small", suite, digits, catalogue, Selection())


def test_the_published_values_are_tried_first_and_the_others_lie_in_their_ranges(catalogue: Catalogue) -> None:
    params = catalogue.get("l2").resolve({"variant": "dead_zone"})
    found = trial_values(params)
    assert len(found) == TRIALS
    assert found[0] == {"weight": params.weight, "threshold": params.threshold}
    for name, searched in ranges(params).items():
        values = [one[name] for one in found]
        assert len(set(values)) == TRIALS
        assert all(searched.low <= value <= searched.high for value in values)
        middle = searched.at(0.5)
        assert sum(value < middle for value in values[1:]) in (3, 4), "a Sobol sequence fills both halves"
    assert found == trial_values(params)
    assert trial_values(catalogue.get("independent").resolve({})) == []


def test_methods_with_ranges_are_tried_with_a_seed_of_their_own(plan: TrialPlan, digits: Dataset) -> None:
    assert set(plan.rows) == {"bct", "ridge(pairs=train)"}
    assert plan.seed == SEED + 1
    assert {cell.spec.seed for cell in plan.cells} == {plan.seed}
    labels = [cell.spec.method.label for cell in plan.cells if cell.spec.scenario == "one"]
    assert labels == ["independent", *(label for row in plan.rows.values() for label, _ in row)]
    assert len(labels) == len(set(labels)) == 1 + 2 * TRIALS
    assert labels[1] == "bct"
    assert labels[2].startswith("bct(weight=")
    assert {cell.spec.test_classes for cell in plan.cells} == {"held_out"}
    assert digits.fingerprint not in {cell.spec.dataset_fingerprint for cell in plan.cells}


def test_what_is_scored_is_neither_trained_on_nor_fitted_on(digits: Dataset) -> None:
    labels, classes = digits.train.labels, digits.train_classes
    whole, pairs, scored = (held_out_indices(labels, classes, 400, half) for half in (None, "pairs", "scored"))
    assert set(pairs.tolist()) | set(scored.tolist()) == set(whole.tolist())
    assert not set(pairs.tolist()) & set(scored.tolist())
    difference = labels[pairs].bincount() - labels[scored].bincount()
    assert set(difference.tolist()) <= {0, 1}


def outcomes(plan: TrialPlan, record: Record, shares: Outcomes, full: dict[str, float]) -> Callable[[Cell], Record]:
    """Records with A by label and scenario, 0.5 where none is given, and M(*,*) by scenario over M(o,o) = 0.25."""

    def metric(name: str, at: tuple[str, str], value: float | None) -> Metric:
        return Metric(name=name, query_generation=at[0], gallery_generation=at[1], value=value, n=9)

    def outcome(cell: Cell) -> Record:
        scenario = cell.spec.scenario
        share = shares.get(cell.spec.method.label, {}).get(scenario, 0.5)
        found: Any = [
            metric("mAP", ("0", "0"), 0.25),
            metric("mAP", ("*1", "*1"), full[scenario]),
            metric("backfill_share:mAP", ("1", "0"), share),
        ]
        return record.model_copy(update={"spec": cell.spec, "metrics": found, "status": Status.OK})

    return outcome


def test_the_best_mean_is_chosen_of_equal_ones_the_first(plan: TrialPlan, record: Record) -> None:
    names = [label for label, _ in plan.rows["bct"]]
    shares: Outcomes = {
        names[3]: {"one": 0.9, "two": 0.4},
        names[5]: {"one": 0.5, "two": 0.8},
        names[6]: {"one": 2.0, "two": None},
    }
    found = choose(plan, outcomes(plan, record, shares, {"one": 0.75, "two": 0.35}))
    assert [one.score for one in found["bct"].trials] == [0.5, 0.5, 0.5, 0.65, 0.5, 0.65, None, 0.5]
    assert found["bct"].chosen == plan.rows["bct"][3][1]
    assert found["ridge(pairs=train)"].chosen == {}, "the published values are as good as any"


def test_a_scenario_in_which_nothing_can_be_gained_does_not_count(plan: TrialPlan, record: Record) -> None:
    names = [label for label, _ in plan.rows["bct"]]
    shares: Outcomes = {names[2]: {"one": 0.6, "two": 0.0}}
    found = choose(plan, outcomes(plan, record, shares, {"one": 0.75, "two": 0.29}))
    assert found["bct"].chosen == plan.rows["bct"][2][1]
    assert set(found["bct"].trials[0].scenarios) == {"one"}
    assert choose(plan, outcomes(plan, record, {}, {"one": 0.29, "two": 0.29})) == {}


def test_held_out_images_without_a_second_of_their_class_cannot_be_searched(
    suite: Suite, digits: Dataset, catalogue: Catalogue
) -> None:
    few = torch.cat([torch.nonzero(digits.train.labels == label).flatten()[:4] for label in range(10)])
    small = replace(digits, train=digits.train.at(few.sort().values))
    with pytest.raises(Exception, match="scenario 'one': no two held-out images are of one class"):
        trial_plan("small", suite, small, catalogue, Selection())
