"""Requirements: what holds, what does not, and what is refused."""

from __future__ import annotations

import pytest
from upgrades import interval, references, row

from compatbench.comparison.gates import NAMES, check_adapters, check_gates, parse_requirement
from compatbench.errors import RequestError
from compatbench.vocabulary import MetricName


def holds(*texts: str) -> list[bool]:
    """Of two adapters: `a` gains 3 ± 1 points and breaks 9 ± 1%, `b` gains 1 ± 2 points and breaks 2 ± 1%."""
    rows = [row("a", 0.03, 0.01), row("b", 0.01, 0.02)]
    for one, broken in zip(rows, (0.09, 0.02), strict=True):
        one.metrics |= {"relative_NFR@1": interval(broken, 0.01), "retention:mAP": interval(0.8, 0.05)}
    gates = check_gates([parse_requirement(text) for text in texts], [*references(0.05), *rows])
    assert [gate.requirement for gate in gates] == list(texts)
    return [gate.met for gate in gates]


def test_requirements_are_of_the_number_that_systems_are_judged_by() -> None:
    one = row("a", 0.03)
    one.metrics["cross_gain:nDCG@10"] = interval(-0.02, 0.01)
    (gate,) = check_gates([parse_requirement("cross-gain>0")], [*references(0.05), one], MetricName.NDCG10)
    assert not gate.met


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("cross-gain>0", True),
        ("cross-gain>1.9", True),
        ("cross-gain>2.1", False),  # the whole interval, 2 to 4, must be above
        ("a:cross-gain>0", True),
        ("b:cross-gain>0", False),
        ("b:cross-gain>-1.5", True),
        ("relative-nfr1<4", True),
        ("relative-nfr1<2.5", False),
        ("a:relative-nfr1<=9.5", False),
        ("retention>=0.74", True),
        ("retention>=0.76", False),
        ("backfill-gain>3.9", True),
        ("backfill-gain>4.1", False),
        ("tax>-1", False),  # no number, no gate
    ],
)
def test_the_whole_interval_must_be_on_the_right_side(text: str, met: bool) -> None:
    assert holds(text) == [met]


def test_all_requirements_are_asked_of_one_adapter() -> None:
    assert holds("cross-gain>0", "relative-nfr1<4") != [True, True]
    assert holds("cross-gain>0", "relative-nfr1<11") == [True, True]
    assert holds("cross-gain>-5", "relative-nfr1<4") == [True, True]


def test_without_adapters_nothing_holds_but_the_backfill() -> None:
    requirements = [parse_requirement(text) for text in ("cross-gain>0", "ridge:cross-gain>0", "backfill-gain>0")]
    assert [gate.met for gate in check_gates(requirements, references(0.05))] == [False, False, True]


@pytest.mark.parametrize("text", ["cross-gain", "cross-gain=0", "cross-gain>many", ">0", "cross-gain>0 and more"])
def test_what_is_no_requirement_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"e\.g\. --require 'cross-gain>0'"):
        parse_requirement(text)


def test_unknown_names_are_refused_with_what_was_meant() -> None:
    with pytest.raises(RequestError, match="did you mean 'cross-gain'"):
        parse_requirement("cross-gian>0")
    with pytest.raises(RequestError, match="did you mean 'cross-gain'"):
        parse_requirement("gain>2")
    with pytest.raises(RequestError, match="no adapter 'rigde'; did you mean 'ridge'"):
        check_adapters([parse_requirement("rigde:cross-gain>0")], ["ridge", "mlp"])
    assert all(parse_requirement(f"{name}>0").name == name for name in NAMES)
