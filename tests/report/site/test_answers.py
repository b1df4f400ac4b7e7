"""What the first screen says, from records whose numbers are known."""

import re
from pathlib import PurePosixPath

from boards import board, row

from compatbench.records.parts import Convergence
from compatbench.report.rows.overview import overview_rows
from compatbench.report.site.answers import answers, facts
from compatbench.report.site.board import BoardSuite
from compatbench.report.site.insert import with_section
from compatbench.report.site.scenario_report import scenario_reports

TWO = ["both encoders online"]
CHECKED = ["cross below status quo"]
"""Of a control that behaves: without one nothing counts as compatible."""


def reports(bench, scenarios):
    records = []
    for place, scenario in enumerate(scenarios):
        records += row(bench, "independent", 0.125, scenario, role="reference", expects=CHECKED)
        records += row(bench, "best", 0.5 + place / 16, scenario)
        records += row(bench, "other", 0.125, scenario)
        records += row(bench, "mapped", 0.4, scenario, needs=["gallery rewrite"])
    return scenario_reports(records, bench.folder)


def test_each_league_has_its_first_row(bench):
    found = reports(bench, ["a", "b"])
    best, mapped = answers(overview_rows(found), found)
    assert (best.label, best.league, best.tied) == ("best", "index untouched", ())
    assert best.gain.startswith("+25.0 ↑ (a), +31.2 ↑ (b) points of mAP on day one; A 0.6")
    assert (mapped.label, mapped.league) == ("mapped", "index rewritten")
    assert mapped.cost == "after a backfill 12.5 points below a plain new model, needs gallery rewrite"
    assert (best.lead, mapped.lead) == ("", "")


def test_a_tax_is_told_as_gain_or_loss(bench):
    records = row(bench, "independent", 0.125, "a", role="reference")
    records += row(bench, "above", 0.5, "a", new=0.8125) + row(bench, "level", 0.5, "a", 0.7496, needs=TWO)
    above, level = answers(overview_rows(found := scenario_reports(records, bench.folder)), found)
    assert "after a backfill 6.2 points above a plain new model" in above.gain
    assert "plain new model" not in above.cost
    assert level.cost.startswith("no loss after a backfill")


def test_larger_vectors_are_a_cost(bench):
    records = row(bench, "independent", 0.125, "a", role="reference", costs={"bytes_per_vector": 512.0})
    records += row(bench, "wide", 0.5, "a", new=0.75, costs={"bytes_per_vector": 640.0})
    records += row(bench, "same", 0.5, "a", new=0.75, needs=TWO, costs={"bytes_per_vector": 512.0})
    wide, same = answers(overview_rows(found := scenario_reports(records, bench.folder)), found)
    assert wide.cost == "no loss after a backfill, stored vectors ×1.25, needs nothing"
    assert same.cost == "no loss after a backfill, needs both encoders online"


def test_a_league_in_which_nothing_is_compatible_is_told_so(bench):
    records = row(bench, "independent", 0.125, "a", role="reference", expects=CHECKED)
    for label, cross, needs in (("low", 0.125, []), ("lower", 0.0625, []), ("even", 0.25, TWO)):
        records += row(bench, label, cross, "a", needs=needs)
    found = scenario_reports(records, bench.folder)
    low, even = answers(overview_rows(found), found)
    assert (low.label, low.lead) == ("low", "none gains beyond doubt; best by A: ")
    assert even.lead == low.lead, "a gain of 0 is none"
    records += row(bench, "lower", 0.5, "b") + row(bench, "independent", 0.125, "b", role="reference", expects=CHECKED)
    found = scenario_reports(records, bench.folder)
    assert not answers(overview_rows(found), found)[0].lead, "another row, in another upgrade"
    found = scenario_reports(row(bench, "low", 0.125, "a") + row(bench, "lower", 0.0625, "a"), bench.folder)
    assert not answers(overview_rows(found), found)[0].lead, "without a control nothing is known"


def test_what_had_not_converged_is_marked(bench):
    ended = {False: Convergence(converged=False, loss_fall=0.5, accuracy=[0.5])}
    ended[True] = ended[False].model_copy(update={"converged": True})
    records = []
    for scenario in ("a", "b"):
        records += row(bench, "independent", 0.125, scenario, role="reference", convergence={"1": ended[True]})
        records += row(bench, "sound", 0.375, scenario, convergence={"1": ended[True]})
        for seed, one in enumerate(row(bench, "early", 0.5, scenario)):
            missed = (scenario, seed) == ("b", 2)
            records.append(one.model_copy(update={"convergence": {"1": ended[not missed]}}))
    found = scenario_reports(records, bench.folder)
    rows = overview_rows(found)
    (first,) = answers(rows, found)
    assert first.label == "early §"
    assert first.gain.endswith("; § not converged in 1 of 2 upgrades")
    assert {one.label: one.unconverged for one in rows} == {"early": 1, "sound": 0, "independent": 0}
    text = with_section(
        "<!-- begin: compatbench leaderboard synthetic -->\n<!-- end -->\n",
        board(BoardSuite("synthetic", None, tuple(found), "Plain numbers")),
        PurePosixPath("results/leaderboard"),
    )
    assert re.search(r"^\| early § ", text, re.MULTILINE)
    assert not re.search(r"^\| sound § ", text, re.MULTILINE)
    assert "§ a model of it had not converged in some upgrade." in text


def test_rows_with_an_old_model_of_their_own_are_told_beside_the_shared_one(bench):
    records = row(bench, "independent", 0.125, "a", role="reference")
    for seed in range(3):
        own = {"oo": [0.5] * 4, "no": [0.625] * 4, "nn": [0.75] * 4, "ss": [0.75] * 4}
        records.append(bench.record("own", seed, own, scenario="a", needs=["own first generation"]))
    found = scenario_reports(records, bench.folder)
    (planned,) = answers(overview_rows(found), found)
    assert planned.gain.startswith(
        "+12.5 ↑ (a) points of mAP on day one on its own old model, 37.5 points on the shared one;"
    )


def test_what_the_first_row_does_on_other_data_is_told(bench):
    """In the project's README.md, beside what it gains on the data there."""

    def of_texts(record):
        return record.model_copy(update={"spec": record.spec.model_copy(update={"dataset": "texts"})})

    records = row(bench, "independent", 0.125, "a", role="reference", expects=CHECKED)
    records += row(bench, "best", 0.1, "a")
    texts = scenario_reports([of_texts(one) for one in records], bench.folder)
    suites = [BoardSuite("synthetic", None, tuple(reports(bench, ["a", "b"])), "Plain numbers")]
    suites.append(BoardSuite("texts", None, tuple(texts), "Texts"))
    marks = "<!-- begin: compatbench leaderboard synthetic -->\n<!-- end -->\n"
    told = "**Other data, other answers**. [Texts](board/texts/README.md): no row gains (best: −15.0 points)."
    assert told in with_section(marks, board(*suites), PurePosixPath("board"))
    assert "other answers" not in with_section(marks, board(suites[0]), PurePosixPath("board"))


def test_a_row_behind_by_a_that_gains_in_more_upgrades_is_told_so(bench):
    """The first row gains much in one of two upgrades; which of the two is drawn decides who is ahead."""
    records = []
    for scenario, gains in (("a", {"wide": 0.9, "even": 0.3}), ("b", {"wide": 0.2, "even": 0.3})):
        records += row(bench, "independent", 0.125, scenario, role="reference", expects=CHECKED)
        for label, cross in gains.items():
            records += row(bench, label, cross, scenario)
    found = scenario_reports(records, bench.folder)
    (first,) = answers(overview_rows(found), found)
    assert (first.label, first.tied) == ("wide", ("even (compatible in 2 of 2)",))


def test_many_upgrades_are_told_as_a_range(bench):
    found = reports(bench, ["a", "b", "c", "d", "e"])
    assert answers(overview_rows(found), found)[0].gain.startswith("compatible in 5 of 5 upgrades, 25.0 to 50.0 points")
    alone = [record for scenario in "abcde" for record in row(bench, "best", 0.5, scenario)]
    found = scenario_reports(alone, bench.folder)
    assert answers(overview_rows(found), found)[0].gain.startswith("25.0 points"), "without a control"


def test_scale_and_origin_are_counted(bench):
    about = facts(reports(bench, ["a", "b"]))
    assert about.scale == "4 rows × 2 upgrades × 3 seeds"
    assert about.records == 24
    assert about.data.startswith("toy: ")
