"""How often the one rule of significance errs, simulated; `python tests/evaluation/error_rates.py` writes the table.

Scores are those of rows that are all equally good, so every difference that is called significant is an error:

    score = what all rows share + what is the row's own, each an effect of the seed, one of the query, and a rest

Standard deviations, in points of mAP, are those of real rows. They came from the records of the suite fashion_micro
(commit fbb6840: 4 scenarios, 3 seeds, 400 queries), by the mean squares of `compatbench.evaluation.spread`: of the
cross gains of 123 rows, and of the differences in M(n,o) of 1,830 pairs of rows of one scenario. Half of the variance
of such a difference is a row's own; the rows share what then lacks of that of a gain.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compatbench.evaluation.compatibility import gain_share
from compatbench.evaluation.means import Means, mean_estimate
from compatbench.evaluation.significance import behind_the_first, corrected_p_values, verdict
from compatbench.vocabulary import Verdict

QUERIES = 400
SEEDS, ROWS = (3, 5, 10), (2, 10, 30)
TRUE = {"Γ": 0.3, "Φ": 0.9, "A": 0.6}
"""Shares of the gain; A is the mean of a curve that rises evenly from Γ to Φ."""
HEADS = (
    "seed variance",
    "seeds",
    "interval of a gain covers",
    "of Γ, room 10",
    "of Γ, room 25",
    "of Φ, room 10",
    "of A, room 10",
    "wrong bold, 2 / 10 / 30 rows",
    "wrong verdict, 2 / 10 / 30 rows",
    "found: rows 8 points worse, of 10",
)
FACTORS = {2: 8, 10: 3, 30: 1}
"""Of the trials, by the number of rows, since fewer rows take less time."""
DOCS = Path(__file__).parents[2] / "docs/protocol.md"
BEGIN, END = "<!-- error rates: python tests/evaluation/error_rates.py -->", "<!-- end of error rates -->"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """Standard deviations in points: of the seed, of the query, and of the rest."""

    seed: float
    query: float
    rest: float

    def draw(self, rng: np.random.Generator, rows: int, seeds: int) -> Values:
        """(R, S, Q) fractions."""
        drawn = self.seed * rng.normal(size=(rows, seeds, 1)) + self.query * rng.normal(size=(rows, 1, QUERIES))
        return (drawn + self.rest * rng.normal(size=(rows, seeds, QUERIES))) / 100


@dataclass(frozen=True)
class Setting:
    """How scores vary: of the gain of a row, and of the difference of two rows."""

    name: str
    gain: Noise
    pair: Noise

    def gains(self, rng: np.random.Generator, rows: int, seeds: int) -> Values:
        """(R, S, Q) gains of 0, of which all rows share a part."""
        own = Noise(*(one / np.sqrt(2) for one in vars(self.pair).values()))
        shared = [
            np.sqrt(max(0.0, gain**2 - one**2))
            for gain, one in zip(vars(self.gain).values(), vars(own).values(), strict=True)
        ]
        return own.draw(rng, rows, seeds) + Noise(*shared).draw(rng, 1, seeds)


MEDIAN = Setting("median", Noise(1.62, 12.1, 10.0), Noise(2.33, 12.9, 10.9))
HIGH = Setting("75th percentile", Noise(2.58, 12.1, 10.0), Noise(3.49, 12.9, 10.9))
SETTINGS = (MEDIAN, HIGH)


def coverage(setting: Setting, seeds: int, trials: int, seed: int = 0) -> float:
    """Share of 95% intervals of a gain of 0 that contain 0."""
    rng = np.random.default_rng([seed, seeds])
    found = (mean_estimate(setting.gains(rng, 1, seeds)[0]) for _ in range(trials))
    return float(np.mean([one.low <= 0 <= one.high for one in found]))


def share_coverage(setting: Setting, seeds: int, room: float, trials: int, seed: int = 0, share: str = "Γ") -> float:
    """Share of 95% intervals that contain the true Γ, Φ or A where a full backfill gains `room` points.

    M(o,o) and M(*,*) vary by seed by 1.8 and 1.0 points at the median (the same records), and so in proportion; M(n,n)
    as M(*,*) does. M(β) leads evenly from M(n,o) to M(n,n).
    """
    rng = np.random.default_rng([seed, seeds, 1])
    scale = setting.gain.seed / MEDIAN.gain.seed
    covered = []
    for _ in range(trials):
        query = 16 * rng.normal(size=(1, 1, QUERIES)) / 100
        old = query + Noise(1.8 * scale, 10, 6).draw(rng, 1, seeds)
        reference = query + room / 100 + Noise(1.0 * scale, 14, 6).draw(rng, 1, seeds)
        cross = old + TRUE["Γ"] * room / 100 + setting.gains(rng, 1, seeds)
        new = query + TRUE["Φ"] * room / 100 + Noise(1.0 * scale, 14, 6).draw(rng, 1, seeds) if share != "Γ" else cross
        scores = {"Γ": cross, "Φ": new, "A": (cross + new) / 2}
        columns = {"oo": old[0], share: scores[share][0], "**": reference[0]}
        found = Means(columns).estimate(gain_share, "oo", share, "**")
        if found.low is not None and found.high is not None:
            covered.append(found.low <= TRUE[share] <= found.high)
    return float(np.mean(covered))


def wrong_bold(setting: Setting, rows: int, seeds: int, trials: int, seed: int = 0, worse: float = 0.0) -> float:
    """Share of families in which a row is called worse than the first; with `worse` points, of the rows that are."""
    rng = np.random.default_rng([seed, seeds, rows, 2])
    shares = []
    for _ in range(trials):
        values = setting.gains(rng, rows, seeds)
        values[: rows // 2] -= worse / 100
        order = [int(row) for row in np.argsort(-values.mean(axis=(1, 2)))]
        behind = behind_the_first({row: values[row] for row in order}, dict.fromkeys(order, tuple(range(seeds))))
        found = [row < rows // 2 for row in behind] if worse else [bool(behind)]
        shares.append(sum(found) / (rows // 2 if worse else 1))
    return float(np.mean(shares))


def wrong_verdicts(setting: Setting, rows: int, seeds: int, trials: int, seed: int = 0) -> float:
    """Share of families in which a row without any gain gets another verdict than `undecided`."""
    rng = np.random.default_rng([seed, seeds, rows, 3])
    wrong = 0
    for _ in range(trials):
        gains = dict(enumerate(setting.gains(rng, rows, seeds)))
        p_values = corrected_p_values(gains)
        wrong += any(
            verdict(mean_estimate(values), p_values[row]) is not Verdict.UNDECIDED for row, values in gains.items()
        )
    return wrong / trials


def table(trials: int) -> Iterator[str]:
    """The lines of the table in docs/protocol.md; `trials` for each rate of 30 rows, more for the cheaper ones."""
    yield f"| {' | '.join(HEADS)} |"
    yield "|---|" + "---:|" * (len(HEADS) - 1)
    for setting in SETTINGS:
        for seeds in SEEDS:
            bold, words = (
                " / ".join(f"{100 * rate(setting, rows, seeds, trials * FACTORS[rows]):.0f}" for rows in ROWS)
                for rate in (wrong_bold, wrong_verdicts)
            )
            cells = [
                setting.name,
                str(seeds),
                f"{100 * coverage(setting, seeds, 20 * trials):.1f}",
                *(
                    f"{100 * share_coverage(setting, seeds, room, times * trials, share=share):.1f}"
                    for share, room, times in (("Γ", 10, 8), ("Γ", 25, 8), ("Φ", 10, 40), ("A", 10, 40))
                ),
                bold,
                words,
                f"{100 * wrong_bold(setting, 10, seeds, trials, worse=8.0):.0f}",
            ]
            yield f"| {' | '.join(cells)} |"


def written(text: str, lines: list[str]) -> str:
    """`text` with these lines between the marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return "\n".join([before + BEGIN, *lines, END + after])


if __name__ == "__main__":
    lines = list(table(int(os.environ.get("TRIALS", "100"))))
    DOCS.write_text(written(DOCS.read_text(encoding="utf-8"), lines), encoding="utf-8")
    print("\n".join(lines))
