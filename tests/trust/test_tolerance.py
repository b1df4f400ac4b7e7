"""The power of a comparison within the tolerance, counted on the board: it tells rows apart, and not their seeds."""

from __future__ import annotations

import json
import lzma
import zipfile
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.trust.packs import RECORDS
from compatbench.trust.reproduce import HITS, MEANS, TOLERANCE

BOARD = Path(__file__).parents[2] / "results" / "leaderboard" / "icons" / "records"


def in_tolerances(record: Any) -> NDArray[np.float64]:
    """Its scores, each in multiples of what it may be off; not those of the oracle, which the first records lack."""
    return np.array(
        [
            value / (TOLERANCE if name in MEANS else HITS * TOLERANCE)
            for entry in record["metrics"]
            if "subset" not in entry and "distance" not in entry and entry["query"].isdecimal()
            for name, [value, *_] in sorted(entry["numbers"].items())
            if name in MEANS or name.startswith("CMC@")
        ]
    )


def test_another_row_is_out_of_the_tolerance_and_another_seed_is_not() -> None:
    rows, seeds = [], []
    for path in sorted(BOARD.glob("*.zip")):
        records = json.loads(lzma.decompress(zipfile.ZipFile(path).read(RECORDS))).values()
        scores = [(one["spec"]["method"]["label"], in_tolerances(one)) for one in records if "metrics" in one]
        for (row, one), (other_row, other) in combinations(scores, 2):
            (seeds if row == other_row else rows).append(len(one) == len(other) and np.abs(one - other).max() <= 1)
    print(f"{sum(rows)} of {len(rows)} pairs of rows, {sum(seeds)} of {len(seeds)} pairs of seeds")
    assert np.mean(rows) < 0.05
    assert np.mean(seeds) > 10 * np.mean(rows)
