"""The golden table, computed by hand.

In points: M(o,o) = 25 and M(*,*) = 75, so Γ = (M(n,o) − 25) / 50 and Φ = (M(n,n) − 25) / 50; A = 0.6 Γ + 0.4 Φ.
"""

import pytest
from golden_case import EVIL, GOLDEN, golden_files, golden_records
from synthetic import at_chance, written

from compatbench.report.site.scenario_report import scenario_reports
from compatbench.vocabulary import MetricName, Need, Status

HAND = {
    "status quo": {"oo": "25.0 [25.0, 25.0]", "reference": "75.0 [75.0, 75.0]", "verdict": "no upgrade"},
    "independent": {"no": "12.5 [12.5, 12.5]", "nn": "75.0 [75.0, 75.0]", "verdict": "as expected", "time": "×1.00"},
    "good": {
        "rank": "1",
        "no": "*50.0* [50.0, 50.0]",
        "nn": "62.5 [62.5, 62.5]",
        "gain": "25.0 [25.0, 25.0]",  # 50 − 25
        "gamma": "*0.50* [0.50, 0.50]",  # 25 / 50
        "phi": "0.75 [0.75, 0.75]",  # 37.5 / 50
        "A": "*0.60* [0.60, 0.60]",  # 0.6 · 0.50 + 0.4 · 0.75
        "P_up": "45.8 [45.8, 45.8]",  # 1 / (1 + e^(1/6)): 62.5 lacks a sixth of 75
        "P_comp": "62.2 [62.2, 62.2]",  # 1 / (1 + e^−0.5)
        "P_1": "52.8 [52.8, 52.8]",
        "retention": "0.67 [0.67, 0.67]",  # 50 / 75
        "old_retention": "0.33 [0.33, 0.33]",
        "oracle_mean": "87.5 [87.5, 87.5]",
        "rank_gamma": "1",
        "rank_phi": "2",  # equal to varied in Φ; Γ decides
        "tax": "−12.5 [−12.5, −12.5]",  # 62.5 − 75
        "verdict": "compatible",
        "ordering": "yes",  # 62.5 > 50 > 25
        "seen": "75.0",
        "unseen": "25.0",
        "cmc1": "100.0 [100.0, 100.0]",  # AP 0.5 counts as a hit at rank 1
        "l2": "37.5",
        "time": "×2.00",  # 1000 images/s of independent over its 500
        "needs": "old encoder, old features",
    },
    "own": {
        "rank": "1",  # alone in its league, so nothing is bold
        "method": "own †",
        "oo": "37.5 [37.5, 37.5] †",
        "no": "50.0 [50.0, 50.0]",
        "gain": "12.5 [12.5, 12.5]",  # 50 − 37.5
        "shared_gain": "25.0 [25.0, 25.0]",  # 50 − 25
        "gamma": "0.33 [0.33, 0.33]",  # 12.5 / (75 − 37.5)
        "phi": "0.33 [0.33, 0.33]",  # the same, since M(n,n) = M(n,o)
        "A": "0.33 [0.33, 0.33]",
        "tax": "−25.0 [−25.0, −25.0]",
        "ordering": "undecided",  # 50 is not above 50
    },
    "varied": {
        "rank": "2",
        "oracle_mean": "–",  # only one seed has it
        "A": "*0.45* [0.08, 0.82] n.s.",  # 0.6 · 0.25 + 0.4 · 0.75
        "phi": "0.75 [0.75, 0.75]",
        "rank_phi": "3",
        "shared_gain": "–",
        "no": "*37.5* [6.4, 68.6] n.s.",  # three seeds 12.5 apart: t with 2 degrees, 4.303 · 12.5 / √3 = 31.1
        "gain": "12.5 [−18.6, 43.6]",
        "gamma": "*0.25* [−0.37, 0.87] n.s.",  # 31.1 / 50
        "verdict": "undecided",
        "ordering": "undecided",
        "cmc1": "33.3 [0.0, 100.0]",  # one seed of three reaches 0.5
        "cmc1_gain": "33.3 [−110.1, 176.8]",  # 4.303 · 57.7 / √3 = 143.4
        "time": "×1.00",  # median of 1000/800, 1000/1000, 1000/1250
        "needs": "nothing",
    },
    "weak": {
        "rank": "3",
        "A": "0.25 [0.25, 0.25]",  # 0.6 · −0.25 + 0.4 · 1
        "phi": "*1.00* [1.00, 1.00]",  # (75 − 25) / 50
        "rank_phi": "1",
        "rank_gamma": "3",
        "no": "12.5 [12.5, 12.5]",
        "nn": "*75.0* [75.0, 75.0]",
        "gamma": "−0.25 [−0.25, −0.25]",
        "tax": "*0.0* [0.0, 0.0]",
        "verdict": "not compatible",
        "ordering": "no",
    },
    "short": {"rank": "–", "method": "short ‡", "gamma": "0.25 [0.25, 0.25]", "seeds": "2/3", "verdict": "compatible"},
    "narrow": {"rank": "–", "oo": "–", "gamma": "–", "verdict": "skipped: needs 9 dimensions, not 8", "seeds": "0/3"},
    EVIL: {"rank": "–", "no": "–", "verdict": "✗ failed: ValueError: <i>no</i>", "seeds": "0/3"},
    "relational": {"rank": "–", "no": "12.5 [12.5, 12.5]", "chance": "12.5 [0.0, 25.0]", "verdict": "as expected"},
}


@pytest.mark.parametrize("label", HAND)
def test_rows_are_as_computed_by_hand(golden, label):
    found = written(golden.scores)[label]
    assert {key: found[key] for key in HAND[label]} == HAND[label]


def test_groups_keep_leagues_references_and_controls_apart(golden):
    groups = {
        group.title: [row.cell(golden.scores.label).value for row in group.rows] for group in golden.scores.groups
    }
    assert groups == {
        "References": ["status quo", "independent"],
        "Index untouched": ["good", "varied", "weak", "short", EVIL, "narrow"],
        "Planned ahead": ["own"],
        "Controls": ["relational"],
    }


@pytest.mark.parametrize(
    ("number", "order"),
    [
        (MetricName.BACKFILL_SHARE, ["good", "varied", "weak"]),  # 0.6, 0.45, 0.25
        (MetricName.UPDATE_GAIN, ["good", "varied", "weak"]),  # 0.5, 0.25, −0.25
        (MetricName.FINAL_SHARE, ["weak", "good", "varied"]),  # 1, 0.75, 0.75, and then Γ
    ],
)
def test_the_reader_chooses_the_number_that_ranks(bench, number, order):
    table = scenario_reports(golden_records(bench), bench.folder, number)[0].scores
    cells = written(table)
    assert [label for label in cells if label in order] == order
    assert [cells[label]["rank"] for label in order] == ["1", "2", "3"]
    assert f"Ranks within a league: by {number.heading}, then" in table.caption


def test_bold_and_ranks_do_not_cross_leagues(bench):
    """The better rows of another league take neither the first place nor the bold type from these."""
    records = golden_records(bench)
    for record in records:
        if record.spec.method.label in ("good", "varied"):
            record.spec.method.needs.append(Need.GALLERY_REWRITE)
    cells = written(scenario_reports(records, bench.folder)[0].scores)
    assert [cells[label]["rank"] for label in ("good", "varied", "own", "weak")] == ["1", "2", "1", "1"]
    assert cells["good"]["A"] == "*0.60* [0.60, 0.60]"
    assert cells["weak"]["phi"] == "1.00 [1.00, 1.00]", "alone in its league"


def test_a_published_row_stands_under_its_tuned_one_unranked_and_with_the_distance(bench):
    """The tuned row has 50 and 62.5 in M(n,o) and M(n,n), so 0.6 · 50 + 0.4 · 62.5 = 55; the published one 5 less."""
    records = []
    for seed in range(3):
        for setting, cross, new in (("tuned", 0.5, 0.625), ("published", 0.45, 0.575)):
            scores = {"oo": [0.25] * 4, "no": [cross] * 4, "nn": [new] * 4, "ss": [0.75] * 4}
            records.append(bench.record(f"both(x=1, {setting})", seed, scores, setting=setting))
    cells = written(scenario_reports(records, bench.folder)[0].scores)
    assert list(cells) == ["status quo", "both(x=1, tuned)", "both(x=1, published)"]
    assert [cells[label]["rank"] for label in list(cells)[1:]] == ["1", "–"]
    assert cells["both(x=1, published)"]["tuning"] == "5.0 [5.0, 5.0]"
    assert cells["both(x=1, tuned)"]["tuning"] == "–"


def test_a_published_row_stands_there_also_where_a_better_one_is_between(bench):
    def three(label, cross, setting=None):
        scores = {"oo": [0.25] * 4, "no": [cross] * 4, "nn": [cross] * 4, "ss": [0.75] * 4}
        return [bench.record(label, seed, scores, setting=setting) for seed in range(3)]

    records = [
        *three("a(tuned)", 0.5, "tuned"),
        *three("a(published)", 0.3, "published"),
        *three("b", 0.4, "not tuned"),
    ]
    table = scenario_reports(records, bench.folder)[0].scores
    cells = written(table)
    assert cells["b"]["method"] == "b ~"
    assert "no tuned values yet" in table.footnotes["~"]
    assert [(cells[label]["rank"], label) for label in list(cells)[1:]] == [
        ("1", "a(tuned)"), ("–", "a(published)"), ("2", "b"),
    ]  # fmt: skip


def test_marks_are_explained(golden):
    assert list(golden.scores.footnotes) == ["†", "n.s.", "‡"]
    assert "short: seed 2 ✗ oom" in golden.scores.footnotes["‡"]


def test_the_caption_names_estimator_units_and_reference_of_time(golden):
    assert (
        "95% intervals over seeds and queries, with Student's t for the part of the seeds (3 seeds)."
        in golden.scores.caption
    )
    assert "mAP in points" in golden.scores.caption
    assert "Holm" in golden.scores.caption
    assert (
        "step as a multiple of that of independent, median of 3 repeats of 48 steps, all rows in turn"
        in golden.scores.caption
    )


def test_columns_without_any_number_are_left_out_and_l2_where_it_agrees(bench):
    """Only `good` has seen, unseen and L2 readings in the golden suite, and its L2 reading differs by 12.5 points."""
    records = [record for record in golden_records(bench) if record.spec.method.label != "good"]
    table = scenario_reports(records, bench.folder)[0].scores
    assert {"seen", "unseen", "l2"}.isdisjoint(column.key for column in table.columns)
    assert "L2" not in table.caption
    for record in records:
        if record.spec.method.label == "independent":
            alike = record.metrics[0].model_copy(update={"name": "mAP", "value": 0.1254, "distance": "l2"})
            record.metrics.append(alike)
    table = scenario_reports(records, bench.folder)[0].scores
    assert "l2" not in [column.key for column in table.columns]
    assert "L2 distance gives the same M(n,o) to one decimal." in table.caption


def test_nothing_is_bold_without_a_rival_and_one_seed_is_said(bench):
    records = [record for record in golden_records(bench) if record.spec.seed == 0]
    table = scenario_reports(records, bench.folder)[0].scores
    assert not any(cell.bold for group in table.groups for row in group.rows for cell in row.cells.values())
    assert "(one seed: over queries only)" in table.caption
    assert "rank" not in written(table)["good"], "nobody is ranked"


def test_a_misbehaving_control_is_marked_in_its_row(bench):
    records = golden_records(bench)
    for record in records:
        if record.spec.method.label == "relational":
            leaking = {one.name: one for one in at_chance(0.5)}
            record.metrics[:] = [leaking.get(metric.name, metric) for metric in record.metrics]
    assert written(scenario_reports(records, bench.folder)[0].scores)["relational"]["verdict"] == "✗ not as expected"


def test_a_seed_that_was_not_run_is_told_from_one_that_failed(bench):
    records = [r for r in golden_records(bench) if r.spec.seed != 1 or r.spec.method.label not in ("good", "own")]
    note = scenario_reports(records, bench.folder)[0].scores.footnotes["‡"]
    assert note == "fewer seeds than the scenario has. good, own: seed 1 not run; short: seed 2 ✗ oom."


def test_a_table_of_failures_has_every_row(bench):
    records = [bench.record(name, 0, status=Status.OOM) for name in ("independent", "bct")]
    table = scenario_reports(records, bench.folder)[0].scores
    assert {name: cells["verdict"] for name, cells in written(table).items()} == {
        "independent": "✗ oom",
        "bct": "✗ oom",
    }


@pytest.mark.parametrize("name", ["scores.md", "scores.csv", "scores.html", "scores.tex", "costs.md"])
def test_golden_files_are_current(golden, name):
    expected = (GOLDEN / name).read_text(encoding="utf-8")
    assert golden_files(golden)[name] == expected, "if the change is right: python tests/report/golden_case.py"
