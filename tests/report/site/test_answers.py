"""What the first screen says, from records whose numbers are known."""

from boards import row

from compatbench.report.rows.overview import overview_rows
from compatbench.report.site.answers import answers, facts
from compatbench.report.site.scenario_report import scenario_reports


def reports(bench, scenarios):
    records = []
    for place, scenario in enumerate(scenarios):
        records += row(bench, "independent", 0.125, scenario, role="reference")
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
    assert mapped.cost.endswith("needs gallery rewrite")


def test_many_upgrades_are_told_as_a_range(bench):
    found = reports(bench, ["a", "b", "c", "d", "e"])
    assert answers(overview_rows(found), found)[0].gain.startswith("compatible in 5 of 5 upgrades, 25.0 to 50.0 points")


def test_scale_and_origin_are_counted(bench):
    about = facts(reports(bench, ["a", "b"]))
    assert about.scale == "4 rows × 2 upgrades × 3 seeds"
    assert about.records == 24
    assert about.data.startswith("toy: ")
