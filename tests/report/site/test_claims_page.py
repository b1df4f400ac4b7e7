"""docs/claims.md: claims from their file, judged by the records of a board."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import Bench

from compatbench.errors import RequestError
from compatbench.report.rows.gaps import SuitePlan
from compatbench.report.site.board import Board, BoardSuite
from compatbench.report.site.claims_page import claims_page, read_claims
from compatbench.report.site.scenario_report import scenario_reports

CLAIMS = """\
a: {claim: "M(n,o) > M(o,o), *mostly*.", checks: ["M(n,o) > M(o,o)", "M(n,n) > M(*,*) + 5"]}
b: {claim: Nothing., untested: "Why it is not."}
"""


def board(bench: Bench) -> Board:
    values = {"oo": [0.4, 0.5, 0.6], "no": [0.5, 0.6, 0.7], "nn": [0.6, 0.7, 0.8], "ss": [0.6, 0.7, 0.8]}
    records = [bench.record("a", seed, values) for seed in range(3)]
    plan = SuitePlan(scenarios=("extended_data",), labels=(), seeds=(0, 1, 2))
    return Board.of([BoardSuite("synthetic", plan, tuple(scenario_reports(records, bench.folder)), "Synthetic")])


def test_the_page_says_what_each_claim_came_to(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(CLAIMS, encoding="utf-8")
    lines = claims_page(read_claims(path), board(bench)).splitlines()
    rows = [line for line in lines if line.startswith("| [")]
    assert rows == [
        r"| [a](methods.md#a) | M(n,o) \> M(o,o), \*mostly\*. | **mixed** | 1 confirmed, 1 refuted | |",
        "| [b](methods.md#b) | Nothing. | **not tested** | – | Why it is not. |",
        "| [a](methods.md#a) | `M(n,o) > M(o,o)` | synthetic | extended_data | – | 3 | +10.0 [+10.0, +10.0] | "
        "**confirmed** |",
        "| [a](methods.md#a) | `M(n,n) > M(*,*) + 5` | synthetic | extended_data | – | 3 | -5.0 [-5.0, -5.0] | "
        "**refuted** |",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {claim: x, checks: [A > B]}", "'A > B' is no check"),
        ("a: {claim: x, cheks: []}", "did you mean 'checks'"),
        ("a: {checks: []}", "claim: is required"),
    ],
)
def test_a_wrong_entry_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RequestError, match=message) as error:
        read_claims(path)
    assert "\n" not in str(error.value)
