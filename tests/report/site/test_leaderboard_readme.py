"""results/README.md and its part of README.md: every link leads somewhere, and every warning is told."""

import re
from dataclasses import replace
from pathlib import PurePosixPath
from urllib.parse import unquote

import pytest
from boards import board, board_suite, row

from compatbench.report.rows.runs import packed_file_of
from compatbench.report.site.insert import unknown_suite, with_section
from compatbench.report.site.leaderboard_readme import GENERATED, leaderboard_readme
from compatbench.report.site.write import write_suite
from compatbench.vocabulary import Status

MARKED = "before\n<!-- begin: compatbench leaderboard synthetic -->\nold\n<!-- end -->\nafter\n"
FOLDER = PurePosixPath("results/leaderboard")


@pytest.fixture
def records(bench):
    found = []
    for scenario in ("one", "two"):
        found += row(bench, "independent", 0.125, scenario, role="reference")
        found += row(bench, "shuffled", 0.125, scenario, role="control", expects=["cross below status quo"])
        found += row(bench, "a(x=1)", 0.5, scenario)
        found += row(bench, "b", 0.4, scenario)
    skipped = {"status": Status.SKIPPED, "reason": "needs <9> | dims"}
    found += [bench.record("c", seed, scenario="one", **skipped) for seed in range(3)]
    other = {"status": Status.SKIPPED, "reason": "other backbone", "role": "reference"}
    return found + [bench.record("finetune", seed, scenario="two", **other) for seed in range(3)]


@pytest.fixture
def made(bench, records):
    plan = {"scenarios": ["one", "two", "three"], "methods": ["a(x=1)", "b", "c"]}
    return board(board_suite(bench, records, plan))


def readme(made):
    return leaderboard_readme(made)


def targets(text):
    return [unquote(target) for target in re.findall(r"\]\(([^)\s]+)\)", text)]


def test_every_link_leads_to_a_record_a_definition_a_section_or_a_file(made, records, tmp_path):
    text = readme(made)
    files = {path.relative_to(tmp_path).as_posix() for path in write_suite(made.suites[0], tmp_path / "synthetic")}
    known = {f"leaderboard/{packed_file_of(record)}" for record in records} | {f"leaderboard/{file}" for file in files}
    known |= {f"../docs/{page}.md" for page in ("protocol", "records", "trust")} | {"index.html", "#definitions"}
    known |= {f"../docs/methods.md#{name}" for name in ("a", "b", "c", "finetune", "independent", "shuffled")}
    known |= {f"#{name}" for name in re.findall(r'<a name="([^"]+)"></a>', text)}
    assert set(targets(text)) <= known
    assert {target for target in known if target.endswith(".zip")} <= set(targets(text)), "every record is linked"
    assert len(re.findall(r'<a name="([^"]+)"', text)) == len(set(re.findall(r'<a name="([^"]+)"', text)))


def test_tables_have_the_ranks_reasons_and_what_is_missing(made):
    text = readme(made)
    assert text.startswith(f"{GENERATED}\n")
    method = "[a(x=1)](../docs/methods.md#a)"
    assert (
        f"| 1 | {method} | **0.60** [0.60, 0.60] | 25.0 ↑ | 25.0 ↑ | −12.5 | – | 2/2 | 1.0 [1.0, 1.0] | nothing |"
        in text
    )
    assert "| – | [c](../docs/methods.md#c) | – | – | – | – | – | – | – | nothing |" in text
    assert "- finetune: skipped: other backbone (two)" in text, "of references too"
    assert "- c: skipped: needs \\<9\\> \\| dims (one)" in text
    assert "Missing: 12 planned cells without a record" in text
    assert "- `synthetic`, two: c (seed 0, 1, 2)" in text
    assert "- `synthetic`, three: no record at all" in text
    assert "✅ All controls (1 kind) are as expected; every record is" in text
    assert text.count("<details") == text.count("</details>")


def test_rows_of_every_table_have_as_many_cells_as_headings(made):
    lines = re.sub(r"\\\|", "", readme(made)).splitlines()
    tables = "\n".join(line if line.startswith("|") else "" for line in lines).split("\n\n")
    widths = [{line.count("|") for line in table.strip().splitlines()} for table in tables if table.strip()]
    assert len(widths) == 3, "the overview of the suite, and its two scenarios"
    assert all(len(width) == 1 for width in widths)


def test_what_is_wrong_stands_on_top_in_words_with_a_red_mark(bench, records):
    wrong = row(bench, "worse", 0.5, "one", role="control", expects=["cross below status quo"])
    made = board(board_suite(bench, [*records, *wrong], outdated={"x.json": ("the source of method 'b' changed",)}))
    text = readme(made)
    top = text[: text.index("## Plain numbers")]
    assert "> ❌ **Not everything is as it should be" in top
    assert "> - synthetic, one: worse: M(n,o) = 50.0 should be below M(o,o) = 25.0" in top
    assert "> - synthetic: 1 record is outdated, run before a change: the source of method 'b' changed" in top
    assert "✅" not in top
    assert "✗ not as expected" in text[text.index("## Plain numbers") :]
    assert "> ❌" in with_section(MARKED, made, FOLDER)


def test_the_part_of_the_projects_readme_stands_between_its_marks(made):
    once = with_section(MARKED, made, FOLDER)
    assert once.startswith("before\n<!-- begin: compatbench leaderboard synthetic -->\n")
    assert once.endswith("<!-- end -->\nafter\n")
    assert "\nold\n" not in once
    assert "**a(x=1)**" in once, "the best method of the league, with"
    assert (
        "Gain: +25.0 ↑ (one), +25.0 ↑ (two) points of mAP on day one; A 0.60. Cost: after a backfill 12.5 points below"
        in once
    )
    lines = [re.sub(r"\s*\|\s*", "|", line) for line in once.splitlines() if line.startswith("|")]
    assert "|a(x=1)|**0.60**|25.0 ↑|25.0 ↑|−12.5|–|" in lines
    assert "|status quo|–|25.0|25.0|–|–|" in lines
    assert not any("shuffled" in line for line in lines), "controls stay on the page"
    assert with_section(once, made, FOLDER) == once


def test_the_projects_readme_says_who_leads_by_tuned_values(bench, made):
    records = row(bench, "independent", 0.125, "two", role="reference")
    for label, cross in (
        ("b(tuned)", 0.625),
        ("b(published)", 0.4),
        ("a(x=1, tuned)", 0.5),
        ("a(x=1, published)", 0.5),
    ):
        records += row(bench, label, cross, "two", setting=label.rpartition("(")[2][:-1].rpartition(" ")[2])
    tuned = replace(board_suite(bench, records), name="other")
    text = with_section(MARKED, board(*made.suites, tuned), FOLDER)
    told = (
        "Constants are as published; tuning changes who leads: b (A 0.75) before a(x=1) (0.60) in *two* of "
        "[other](results/leaderboard/"
    )
    assert told in text
    assert "tuning" not in with_section(MARKED, made, FOLDER)


def test_marks_of_what_is_not_there_leave_the_text_alone(made):
    other = MARKED.replace("synthetic", "gone")
    assert with_section(other, made, FOLDER) == other
    assert unknown_suite(other, made) == "gone"
    assert unknown_suite(MARKED, made) == ""
    assert with_section("no marks", made, FOLDER) == "no marks"


def test_a_suite_on_the_leaderboard_keeps_no_page_no_latex_and_no_lists_of_flips(made, tmp_path):
    written = sorted(path.relative_to(tmp_path).as_posix() for path in write_suite(made.suites[0], tmp_path))
    tables = [f"tables/{name}{kind}" for name in ("one", "two") for kind in ("", "-costs", "-flips")]
    expected = [f"{table}.{ending}" for table in tables for ending in ("csv", "md")]
    assert written == sorted([*expected, "README.md", "plots/one-pareto.svg", "plots/two-pareto.svg"])
    text = (tmp_path / "README.md").read_text()
    linked = [target for target in targets(text) if not target.startswith("..")]
    assert sorted(linked) == sorted(set(written) - {"README.md"})
