"""Ranks and their means, against slow loops and another library."""

import numpy as np
import pytest
from scipy.stats import rankdata

from compatbench.evaluation.bootstrap import RESAMPLES, hierarchical_bootstrap
from compatbench.report.rows.contests import CONTEST_STREAM, averages, ranks
from compatbench.report.rows.row import method_rows
from compatbench.report.rows.runs import scenarios
from compatbench.report.rows.scores import ScoreReader


def test_ranks_without_ties_are_those_of_scipy():
    gain, tax = np.random.default_rng(0).normal(size=(2, 50, 7))
    np.testing.assert_array_equal(ranks(gain, tax), rankdata(-gain, axis=1))


def test_equal_gains_are_ranked_by_tax_and_equal_pairs_share_their_places():
    gain = np.array([0.5, 0.1, 0.5, 0.5, 0.1 + 1e-15])
    tax = np.array([0.0, 0.2, 0.3, 0.0, 0.2])
    assert ranks(gain, tax).tolist() == [2.5, 4.5, 1.0, 2.5, 4.5]


@pytest.mark.parametrize("seed", range(5))
def test_ranks_with_ties_and_undefined_gains_are_those_of_a_slow_loop(seed):
    generator = np.random.default_rng(seed)
    gain, tax = generator.integers(0, 3, size=(2, 8)).astype(float)
    gain[generator.integers(0, 8, size=2)] = np.nan
    for own, place in enumerate(ranks(gain, tax)):
        if np.isnan(gain[own]):
            assert np.isnan(place)
            continue
        pairs = [(g, t) for g, t in zip(gain, tax, strict=True) if not np.isnan(g)]
        above = sum(pair > (gain[own], tax[own]) for pair in pairs)
        assert place == above + (1 + pairs.count((gain[own], tax[own]))) / 2


def contest(bench, scenario, crosses):
    """Ranked rows of one scenario, of random scores around the given M(n,o)."""
    generator = np.random.default_rng(len(scenario))
    records = []
    for label, cross in crosses.items():
        for seed in range(3):
            noise = generator.uniform(-0.2, 0.2, size=(4, 6))
            base = np.array([0.25, cross, 0.6, 0.75])[:, None]
            values = dict(zip(("oo", "no", "nn", "ss"), np.clip(base + noise, 0, 1).tolist(), strict=True))
            records.append(bench.record(label, seed, values, scenario=scenario))
    rows = method_rows(scenarios(records)[0], ScoreReader(bench.folder))
    return [row for row in rows if row.ranked]


def test_mean_ranks_and_their_draws_are_those_of_a_slow_loop(bench):
    contests = [
        contest(bench, "one", {"a": 0.5, "b": 0.5, "c": 0.45}),
        contest(bench, "another", {"a": 0.5, "b": 0.4, "c": 0.5, "d": 0.5}),
        contest(bench, "third", {"a": 0.45, "b": 0.5}),
    ]
    found = averages(contests)
    assert {label: one.competed for label, one in found.items()} == {"a": 3, "b": 3, "c": 2, "d": 1}
    drawn = np.random.default_rng([0, CONTEST_STREAM]).multinomial(3, [1 / 3] * 3, size=RESAMPLES)
    draws = []
    for rows in contests:
        of_rows = {}
        for row in rows:
            means = hierarchical_bootstrap(
                {name: row.scores.of("mAP", name) for name in ("M(o,o)", "M(n,o)", "M(*,*)")}
            )
            of_rows[row.label] = (means["M(n,o)"] - means["M(o,o)"]) / (means["M(*,*)"] - means["M(o,o)"])
        draws.append(of_rows)
    for draw in range(0, RESAMPLES, 37):
        places = []
        for of_rows in draws:
            gains = {label: gain[draw] for label, gain in of_rows.items()}
            places.append({label: 1 + sum(other > gain for other in gains.values()) for label, gain in gains.items()})
        for label, one in found.items():
            own = [
                (place[label], (place[label] - 1) / (len(place) - 1))
                for place, times in zip(places, drawn[draw], strict=True)
                for _ in range(times)
                if label in place
            ]
            rank, relative = np.mean(own, axis=0) if own else (np.nan, np.nan)
            np.testing.assert_allclose([one.rank_draws[draw], one.relative_draws[draw]], [rank, relative])


def test_no_contest_gives_no_averages():
    assert averages([]) == {}
