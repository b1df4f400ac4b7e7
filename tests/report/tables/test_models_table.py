"""How well models learned, by hand."""

from compatbench.records.parts import Convergence
from compatbench.report.render.table import TableCell
from compatbench.report.site.scenario_report import scenario_reports
from compatbench.report.tables.models import models_table

SCORES = {"oo": [0.25] * 4, "no": [0.5] * 4, "nn": [0.5] * 4, "ss": [0.75] * 4}


def ended(training, held_out, *, converged=True):
    return Convergence(
        converged=converged, loss_fall=0.25, accuracy=[0.125, training], held_out_accuracy=[0.125, held_out]
    )


def test_shared_models_come_first_and_then_the_new_one_of_each_method(bench):
    records = []
    for seed, training in enumerate((0.5, 0.75)):
        shared = {"0": ended(0.625, 0.5), "*1": ended(training, 0.25, converged=bool(seed))}
        own = {"0": ended(0.25, 0.25), "1": ended(1.0, 0.875)}
        records += [
            bench.record("independent", seed, SCORES, role="reference", convergence=shared | {"1": shared["*1"]}),
            bench.record("a", seed, SCORES, convergence=shared | {"1": ended(0.875, 0.75)}),
            bench.record("own", seed, SCORES, needs=["own first generation"], convergence=shared | own),
        ]
    table = models_table(scenario_reports(records, bench.folder)[0])
    rows = {row.cells["method"].value: row.cells for group in table.groups for row in group.rows}
    assert list(rows) == ["the old model", "the independent new model", "a", "own, old model", "own"]
    assert rows["the independent new model"]["training"] == TableCell(62.5, 50.0, 75.0)
    assert rows["the independent new model"]["converged"] == TableCell("not with seed 0")
    assert (rows["a"]["training"].value, rows["a"]["held_out"].value, rows["a"]["fall"].value) == (87.5, 75.0, 25.0)
    assert rows["own, old model"]["training"].value == 25.0
    assert rows["the old model"]["converged"] == TableCell("yes")


def test_records_without_figures_have_no_table(bench):
    found = scenario_reports([bench.record("a", seed, SCORES) for seed in range(3)], bench.folder)[0]
    assert "models" not in found.tables
