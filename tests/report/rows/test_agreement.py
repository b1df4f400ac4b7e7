"""The agreement of two suites' orders: Spearman's ρ by hand and against scipy, and its interval."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from boards import row
from scipy.stats import spearmanr
from synthetic import Bench
from typer.testing import CliRunner

from compatbench.cli import app
from compatbench.errors import RequestError
from compatbench.evaluation.estimate import Estimate
from compatbench.records.record import write_record
from compatbench.records.store import Store
from compatbench.report.rows.agreement import agreement, spearman
from compatbench.report.rows.row import MethodRow, method_rows
from compatbench.report.rows.runs import scenarios
from compatbench.report.rows.scores import ScoreReader


def rows(bench: Bench, order: str) -> list[MethodRow]:
    """The methods of `order`, the best first, with independent and a control that nobody compares."""
    records = [record for place, name in enumerate(order) for record in row(bench, name, 0.5 - place / 32, "data")]
    records += row(bench, "independent", 0.125, "data", role="reference")
    records += row(bench, "shuffled", 0.125, "data", role="control")
    [runs] = scenarios(records)
    return method_rows(runs, ScoreReader(bench.folder))


@pytest.mark.parametrize(("other", "expected"), [("abcd", 1.0), ("dcba", -1.0), ("bacd", 0.8), ("xbaycd", 0.8)])
def test_the_order_of_shared_methods_is_compared(bench: Bench, other: str, expected: float) -> None:
    found = agreement("data", rows(bench, "abcd"), rows(bench, other))
    assert found.labels == tuple("abcd")
    assert found.others == tuple(name for name in other if name in "abcd")
    assert found.correlation == Estimate(*[pytest.approx(expected)] * 3), "every query is alike, so no draw differs"


def test_the_command_reads_what_was_run_or_else_what_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def unpacked(leaderboard: Store) -> Iterator[Store]:
        yield Store(leaderboard.root / "unpacked")

    monkeypatch.setattr("compatbench.trust.packs.unpacked_board", unpacked)
    published = tmp_path / "unpacked"
    bench = Bench(published / "arrays")
    for suite, order in (("one", "abc"), ("two", "acb")):
        for place, name in enumerate(order):
            for record in row(bench, name, 0.5 - place / 32, "data"):
                path = Store(published).records(suite) / f"{record.spec_hash}.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_record(record, path)
    expected = ["data: Spearman's ρ 0.50 [0.50, 0.50] over 3 methods", "  one: a, b, c", "  two: a, c, b"]
    for runs, board in ((published, "none"), (tmp_path / "none", tmp_path)):
        words = ["order", "one", "two", "--runs", str(runs), "--leaderboard", str(board)]
        assert CliRunner().invoke(app, words, catch_exceptions=False).output.splitlines() == expected
    with pytest.raises(RequestError, match="suite 'three' has no records"):
        CliRunner().invoke(app, ["order", "one", "three", "--leaderboard", str(tmp_path)], catch_exceptions=False)


def test_two_methods_have_no_order_to_speak_of(bench: Bench) -> None:
    with pytest.raises(RequestError, match="share 2 finished methods; run 3 in both"):
        agreement("data", rows(bench, "abc"), rows(bench, "abx"))


def test_spearman_is_that_of_scipy_with_ties() -> None:
    generator = np.random.default_rng(0)
    ones, others = generator.integers(0, 5, (2, 50, 7)).astype(float)
    expected = [spearmanr(one, other).statistic for one, other in zip(ones, others, strict=True)]
    np.testing.assert_allclose(spearman(ones, others), expected, atol=1e-12)
    assert np.isnan(spearman(np.ones((1, 4)), np.arange(4.0)[None])).all()
