"""Scenarios that rank nobody, and why."""

import pytest
from boards import row

from compatbench.records.parts import Convergence
from compatbench.report.render.table import Place
from compatbench.report.rows.controls import suite_rows
from compatbench.report.rows.runs import scenarios
from compatbench.report.rows.scores import ScoreReader
from compatbench.report.site.scenario_report import scenario_reports


def rows(bench, **changes):
    """Two methods and independent, with M(o,o) = 25 and M(*,*) = 75 unless `changes` say otherwise."""
    return [
        record
        for label, role in (("independent", "reference"), ("a", "method"), ("b", "method"))
        for record in row(bench, label, 0.5, "one", role=role, **changes)
    ]


def closed(bench, records):
    (found,) = suite_rows(scenarios(records), ScoreReader(bench.folder))
    assert bool(found.contests) == (not found.closed)
    assert all(
        (record.unranked == "the scenario is not ranked") == bool(found.closed)
        for record in found.rows[1:]
        if record.league
    )
    return found.closed


@pytest.mark.parametrize(("classes", "judged", "ranks"), [(49, False, False), (50, False, True), (10, True, True)])
def test_boards_need_fifty_classes_or_judgements(bench, classes, judged, ranks):
    found = closed(bench, rows(bench, query_classes=classes, judged=judged))
    assert found == (() if ranks else (f"{classes} classes, fewer than 50, and no judgements",))


@pytest.mark.parametrize(("full", "ranks"), [(0.296875, False), (0.3125, True)])
def test_a_full_backfill_must_gain_five_points(bench, full, ranks):
    """M(o,o) = 25 in both, M(*,*) = 29.7 and 31.2."""
    scores = {"oo": [0.25] * 4, "no": [0.28] * 4, "nn": [full] * 4, "ss": [full] * 4}
    records = [bench.record(label, seed, scores) for label in ("a", "b") for seed in range(3)]
    assert closed(bench, records) == (
        () if ranks else ("a full backfill gains 4.7 points, and shares of less than 5 are noise",)
    )


def test_shares_of_little_are_not_shown(bench):
    scores = {"oo": [0.25] * 4, "no": [0.28125] * 4, "nn": [0.265625] * 4, "ss": [0.28125] * 4}
    records = [bench.record("a", seed, scores) for seed in range(3)]
    table = scenario_reports(records, bench.folder)[0].scores.narrow(Place.COMPACT)
    keys = [column.key for column in table.columns]
    assert {"A", "gamma", "phi", "rank"}.isdisjoint(keys)
    assert table.groups[1].rows[0].cells["gain"].value == 3.125


def test_shared_models_must_have_converged(bench):
    records = rows(bench, convergence={**_good(), "1": _bad()})
    assert closed(bench, records) == (), "the new model of a method is its own affair"
    broken = [record for record in records if record.spec.seed != 1]
    broken += [
        record.model_copy(update={"convergence": {"0": _bad(), "*1": _bad()}})
        for record in records
        if record.spec.seed == 1
    ]
    assert closed(bench, broken) == (
        "the old model has not converged with seed 1",
        "the independent new model has not converged with seed 1",
    )


def test_a_first_generation_of_its_own_closes_nothing(bench):
    records = rows(bench, convergence=_good())
    own = row(bench, "own", 0.5, "one", needs=["own first generation"], convergence={"0": _bad(), "*1": _good()["*1"]})
    assert closed(bench, records + own) == ()


def _good():
    good = Convergence(converged=True, loss_fall=0.001, accuracy=[0.5, 0.95])
    return {"0": good, "*1": good}


def _bad():
    return Convergence(converged=False, loss_fall=0.3, accuracy=[0.3, 0.5])
