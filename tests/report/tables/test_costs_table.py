from compatbench.report.render.table import TableCell
from compatbench.report.site.scenario_report import scenario_reports


def test_costs_are_medians_with_their_range(bench):
    flat = {"oo": [0.25], "no": [0.5], "nn": [0.5], "ss": [0.75]}
    costs = [
        {"train_seconds": 10.0, "extra_serving_parameters": 7.0, "bytes_per_vector": 32.0},
        {"train_seconds": 40.0, "bytes_per_vector": 32.0, "embed_images_per_second": None},
        {"train_seconds": 20.0, "bytes_per_vector": 32.0, "surprise": 1.0},
    ]
    records = [bench.record("a", seed, flat, costs=cost, needs=["old encoder"]) for seed, cost in enumerate(costs)]
    table = scenario_reports(records, bench.folder)[0].tables["costs"]
    (row,) = table.groups[0].rows
    assert row.cells["train_seconds"] == TableCell(20.0, 10.0, 40.0)
    assert row.cells["extra_serving_parameters"] == TableCell(7.0)
    assert row.cells["bytes_per_vector"] == TableCell(32.0)
    assert row.cells["embed_images_per_second"] == TableCell()
    assert row.tags == ("old encoder",)
    assert "surprise" not in row.cells


def test_rows_without_a_finished_seed_have_no_costs(golden):
    labels = [row.cells["method"].value for group in golden.tables["costs"].groups for row in group.rows]
    assert labels == ["independent", "good", "varied", "weak", "short", "own", "relational"]
