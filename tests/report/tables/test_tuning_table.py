"""The table of tuned against published settings: differences known by hand."""

from __future__ import annotations

from synthetic import written

from compatbench.report.site.scenario_report import scenario_reports
from compatbench.report.site.write import write_report
from compatbench.report.tables.tuning import tuning_table


def test_it_has_both_distances_of_each_method_and_marks_the_significant_ones(bench, tmp_path):
    """`steady` gains 10 points in every query and seed. `noisy` gains 0 on average, with −1, 0 and 1 by seed."""
    records = []
    for seed, noise in enumerate((-0.01, 0.0, 0.01)):
        for label, weight, cross in (
            ("steady(tuned)", 3.0, 0.5), ("steady(published)", 1.0, 0.4),
            ("noisy(tuned)", 2.5, 0.4 + noise), ("noisy(published)", 1.0, 0.4),
        ):  # fmt: skip
            scores = {"oo": [0.25] * 4, "no": [cross] * 4, "nn": [0.625] * 4, "ss": [0.75] * 4}
            setting = label.partition("(")[2][:-1]
            record = bench.record(label, seed, scores, setting=setting)
            method = record.spec.method.model_copy(update={"params": {"weight": weight, "kept": 1}})
            records.append(record.model_copy(update={"spec": record.spec.model_copy(update={"method": method})}))
        scores = {"oo": [0.25] * 4, "no": [0.5] * 4, "nn": [0.625] * 4, "ss": [0.75] * 4}
        records.append(bench.record("best", seed, scores, setting="tuned = published"))
    reports = scenario_reports(records, bench.folder)
    table = tuning_table(reports)
    cells = written(table)
    assert set(cells) == {"steady(tuned)", "noisy(tuned)", "best"}
    assert cells["steady(tuned)"]["values"] == "weight 1 → 3"
    assert cells["steady(tuned)"]["extended_data-cross_gain"] == "10.0 [10.0, 10.0] ↑"
    assert cells["steady(tuned)"]["extended_data-backfill_share"] == "6.0 [6.0, 6.0] ↑", "0.6 of M(β) is M(n,o)"
    assert cells["noisy(tuned)"]["extended_data-cross_gain"].startswith("0.0 [−")
    assert "↑" not in cells["noisy(tuned)"]["extended_data-cross_gain"]
    assert cells["best"]["values"] == "tuned = published"
    assert cells["best"]["extended_data-cross_gain"] == "–"
    write_report(reports, tmp_path / "out", "Both")
    assert "weight 1 → 3" in (tmp_path / "out" / "tables" / "tuning.md").read_text()
    assert "## Tuned against published by method" in (tmp_path / "out" / "README.md").read_text()


def test_there_is_none_without_tuned_values(golden):
    assert tuning_table([golden]) is None
