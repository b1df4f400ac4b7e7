"""Checks of published claims: their form, and their outcome on records whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import Bench

from compatbench.errors import RequestError
from compatbench.report.rows.claims import Check, ClaimOutcome, Finding, Term, findings, overall
from compatbench.report.rows.row import MethodRow, method_rows
from compatbench.report.rows.runs import ScenarioRuns, scenarios
from compatbench.report.rows.scores import ScoreReader
from compatbench.vocabulary import ParameterSetting

QUERIES = 40
RIPPLE = np.linspace(-0.02, 0.02, QUERIES)


def around(mean: float) -> list[float]:
    return (mean + RIPPLE).tolist()


def outcomes(bench: Bench, checks: list[str], rows: dict[str, tuple[float, float]], seeds: int = 3) -> list[Finding]:
    """Of `a`, where every row has M(o,o) = 0.4, M(*,*) = 0.6, and the given M(n,o) and M(n,n)."""
    records = []
    for label, (cross, new) in rows.items():
        setting = next((word for word in ("tuned", "published") if word in label), None)
        for seed in range(seeds):
            values = {"oo": around(0.4), "no": around(cross), "nn": around(new), "ss": around(0.6)}
            name = label.partition("(")[0]
            records.append(bench.record(label, seed, values, name=name, setting=setting))
    (runs,) = scenarios(records)
    tables = [(runs, method_rows(runs, ScoreReader(bench.folder)))]
    told = findings({"a": [Check.parse(text) for text in checks]}, tables)
    return [finding for _, several in told["a"] for finding in several]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("M(n,o) > M(o,o)", (Term(1, "M(n,o)", ""), Term(1, "M(o,o)", ""), 0.0, ())),
        ("M(n,n) < M(*,*) − 2", (Term(1, "M(*,*)", ""), Term(1, "M(n,n)", ""), 0.02, ())),
        ("M(n,o) > 0.9 M(n,o) of b(k=1) + 1.5 in x, y", (Term(1, "M(n,o)", ""), Term(0.9, "M(n,o)", "b(k=1)"), 0.015,
                                                        ("x", "y"))),
    ],
)  # fmt: skip
def test_a_text_says_which_numbers_are_compared(text: str, expected: tuple[object, ...]) -> None:
    check = Check.parse(text)
    assert (check.high, check.low, check.offset, check.scenarios) == expected


@pytest.mark.parametrize("text", ["M(n,o)", "M(n,o) = M(o,o)", "gain > M(o,o)", "mean M(β) > M(o,o)", ""])
def test_another_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(RequestError) as error:
        Check.parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("check", "points", "outcome"),
    [
        ("M(n,o) > M(o,o)", 10, ClaimOutcome.CONFIRMED),
        ("M(n,o) < M(o,o)", -10, ClaimOutcome.REFUTED),
        ("M(n,n) > M(*,*) − 2", -3, ClaimOutcome.REFUTED),
        ("M(n,n) > M(*,*) − 6", 1, ClaimOutcome.CONFIRMED),
        ("M(n,o) > 0.5 M(*,*)", 20, ClaimOutcome.CONFIRMED),
        ("M(n,o) > M(n,o) of b", 5, ClaimOutcome.CONFIRMED),
        ("M(n,o) of b > M(n,o)", -5, ClaimOutcome.REFUTED),
        ("M(n,o) > M(n,o) of b + 5", 0, ClaimOutcome.UNDECIDED),
        ("NFR(n,o) > NFR(n,n)", 0, ClaimOutcome.UNDECIDED),
    ],
)
def test_the_surplus_is_that_of_the_means(bench: Bench, check: str, points: float, outcome: ClaimOutcome) -> None:
    (found,) = outcomes(bench, [check], {"a": (0.5, 0.55), "b": (0.45, 0.6)})
    assert found.surplus.value == pytest.approx(points / 100, abs=1e-7)
    assert (found.outcome, found.seeds) == (outcome, 3)


def test_one_seed_an_absent_row_and_another_scenario_say_nothing(bench: Bench) -> None:
    rows = {"a": (0.5, 0.55)}
    assert outcomes(bench, ["M(n,o) > M(o,o)"], rows, seeds=1) == []
    assert outcomes(bench, ["M(n,o) > M(n,o) of b", "M(n,o) > M(o,o) in elsewhere"], rows) == []


def test_tuned_and_published_rows_are_judged_apart_each_beside_its_like(bench: Bench) -> None:
    rows = {"a(tuned)": (0.5, 0.6), "a(published)": (0.3, 0.6), "b(tuned)": (0.45, 0.6), "b(published)": (0.2, 0.6)}
    found = outcomes(bench, ["M(n,o) > M(n,o) of b"], {**rows, "c": (0.4, 0.6)})
    assert [(one.setting, round(100 * (one.surplus.value or 0))) for one in found] == [("tuned", 5), ("published", 10)]
    beside_its_only_row = outcomes(bench, ["M(n,o) > M(n,o) of c"], {**rows, "c": (0.4, 0.6)})
    assert [one.outcome for one in beside_its_only_row] == [ClaimOutcome.CONFIRMED, ClaimOutcome.REFUTED]


def test_an_own_only_row_is_compared_with_the_tuned_one(bench: Bench) -> None:
    (found,) = outcomes(bench, ["M(n,o) > M(n,o) of b"], {"a": (0.5, 0.6), "b(tuned)": (0.45, 0.6)})
    assert (found.setting, found.outcome) == (None, ClaimOutcome.CONFIRMED)


def test_what_two_suites_computed_alike_is_one_comparison(bench: Bench) -> None:
    """`a(published)` is the cell of `a` under another name; `a(tuned)` has equal scores by other parameters."""
    values = {"oo": around(0.4), "no": around(0.5), "nn": around(0.6), "ss": around(0.6)}

    def table(
        suite: str, rows: dict[str, tuple[ParameterSetting | None, float]]
    ) -> tuple[ScenarioRuns, list[MethodRow]]:
        records = []
        for label, (setting, weight) in rows.items():
            changed = {"label": label, "setting": setting, "params": {"weight": weight}}
            for record in (bench.record("a", seed, values) for seed in range(3)):
                method = record.spec.method.model_copy(update=changed)
                spec = record.spec.model_copy(update={"suite": suite, "method": method})
                records.append(record.model_copy(update={"spec": spec}))
        (runs,) = scenarios(records)
        return runs, method_rows(runs, ScoreReader(bench.folder))

    again = {"a(published)": (ParameterSetting.PUBLISHED, 1.0), "a(tuned)": (ParameterSetting.TUNED, 2.0)}
    tables = [table("first", {"a": (None, 1.0)}), table("second", again)]
    ((_, found),) = findings({"a": [Check.parse("M(n,o) > M(o,o)")]}, tables)["a"]
    assert [(one.suite, one.setting) for one in found] == [("first", None), ("second", "tuned")]


def test_a_claim_is_what_all_its_checks_are() -> None:
    assert overall([]) is ClaimOutcome.NOT_TESTED
    assert overall([ClaimOutcome.REFUTED] * 2) is ClaimOutcome.REFUTED
    assert overall([ClaimOutcome.UNDECIDED]) is ClaimOutcome.UNDECIDED
    assert overall([ClaimOutcome.CONFIRMED, ClaimOutcome.UNDECIDED]) is ClaimOutcome.PARTLY_CONFIRMED
    assert overall([ClaimOutcome.UNDECIDED, ClaimOutcome.REFUTED]) is ClaimOutcome.PARTLY_REFUTED
    for more in ([], [ClaimOutcome.UNDECIDED]):
        assert overall([ClaimOutcome.CONFIRMED, ClaimOutcome.REFUTED, *more]) is ClaimOutcome.MIXED
