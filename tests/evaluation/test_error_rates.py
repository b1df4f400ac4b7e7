"""The rule of significance errs as often as it says: simulated with the variances of real rows.

`make error-rates` simulates every rate of docs/protocol.md.
"""

import error_rates as simulated
import numpy as np
import pytest
from error_rates import BEGIN, DOCS, END, HIGH, MEDIAN, ROWS, SEEDS, SETTINGS

COVERAGE = 0.93, 0.97
FAMILIES = 0.07
"""At most this share of families may have an error, by the protocol."""


def noise(rate: float, trials: int) -> float:
    """Three standard errors of a simulated rate."""
    return 3 * float(np.sqrt(rate * (1 - rate) / trials))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_intervals_of_three_seeds_cover(setting):
    low, high = COVERAGE
    found = simulated.coverage(setting, 3, 1000, seed=1)
    assert low - noise(0.95, 1000) <= found <= high + noise(0.95, 1000)


@pytest.mark.parametrize("share", simulated.TRUE)
def test_intervals_of_a_share_cover(share):
    low, high = COVERAGE
    found = simulated.share_coverage(MEDIAN, 3, 10, 300, seed=1, share=share)
    assert low - noise(0.95, 300) <= found <= high + noise(0.95, 300)


def test_rows_as_good_as_the_first_are_rarely_behind_it_and_worse_ones_often():
    assert simulated.wrong_bold(HIGH, 10, 3, 60, seed=1) <= FAMILIES + noise(FAMILIES, 60)
    assert simulated.wrong_bold(MEDIAN, 10, 5, 10, seed=1, worse=8.0) >= 0.6


def test_rows_without_a_gain_are_undecided():
    assert simulated.wrong_verdicts(HIGH, 10, 3, 60, seed=1) <= FAMILIES + noise(FAMILIES, 60)


def test_the_protocol_has_a_table_of_every_rate_within_its_bounds():
    """Read from the page, so that nobody can publish a rate that breaks the promise."""
    lines = DOCS.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0].strip().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [(one[0], int(one[1])) for one in cells] == [(one.name, seeds) for one in SETTINGS for seeds in SEEDS]
    for row in cells:
        assert all(93 <= float(one) <= 97 for one in row[2:7]), row
        families = [int(one) for cell in row[7:9] for one in cell.split("/")]
        assert len(families) == 2 * len(ROWS)
        assert max(families) <= 100 * FAMILIES, row


@pytest.mark.simulation
@pytest.mark.timeout(0)
def test_the_table_is_what_a_simulation_gives():
    """Every rate again with other draws: within the noise of both, and within the bounds of the protocol."""
    for setting in SETTINGS:
        for seeds in SEEDS:
            assert COVERAGE[0] <= simulated.coverage(setting, seeds, 6000, seed=2) <= COVERAGE[1]
            for share in simulated.TRUE:
                found = simulated.share_coverage(setting, seeds, 10, 2000, seed=2, share=share)
                assert COVERAGE[0] - noise(0.95, 2000) <= found <= COVERAGE[1] + noise(0.95, 2000)
            for rows in ROWS:
                trials = 12_000 // rows
                for rate in (simulated.wrong_bold, simulated.wrong_verdicts):
                    assert rate(setting, rows, seeds, trials, seed=2) <= FAMILIES + noise(FAMILIES, trials)
