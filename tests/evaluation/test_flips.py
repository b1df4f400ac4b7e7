"""Flips between two systems, counted by hand."""

import numpy as np
import pytest

from compatbench.evaluation.arrays import QueryResults
from compatbench.evaluation.flips import flip_rates, negative_flips, positive_flips


def ranked(*first_ranks: int) -> QueryResults:
    """Results whose first relevant items have these ranks; 0 where nothing is relevant."""
    ranks = np.array(first_ranks, dtype=np.int32)
    ap = np.where(ranks > 0, 0.5, np.nan).astype(np.float32)
    return QueryResults(np.arange(len(ranks)), ranks, ap, ap, (ranks > 0).astype(np.int32))


OLD = ranked(1, 1, 3, 9, 2, 0)
NEW = ranked(1, 6, 1, 2, 7, 0)


def test_flips_by_hand() -> None:
    """Hits in the first 5: old ✓✓✓✗✓, new ✓✗✓✓✗; the sixth query has no answer."""
    np.testing.assert_array_equal(negative_flips(OLD, NEW, 5), [0, 1, 0, 0, 1, np.nan])
    np.testing.assert_array_equal(positive_flips(OLD, NEW, 5), [0, 0, 0, 1, 0, np.nan])
    assert flip_rates(OLD, NEW, 5) == pytest.approx({"NFR@5": 2 / 5, "PFR@5": 1 / 5, "relative_NFR@5": 2 / 4})
    assert flip_rates(OLD, NEW, 1) == pytest.approx({"NFR@1": 1 / 5, "PFR@1": 1 / 5, "relative_NFR@1": 1 / 2})


def test_the_same_system_flips_nothing() -> None:
    assert flip_rates(OLD, OLD, 5) == {"NFR@5": 0.0, "PFR@5": 0.0, "relative_NFR@5": 0.0}


def test_flips_account_for_the_change_in_hits() -> None:
    rates = flip_rates(OLD, NEW, 5)
    assert rates["PFR@5"] - rates["NFR@5"] == pytest.approx(NEW.metrics()["CMC@5"] - OLD.metrics()["CMC@5"])


def test_rates_of_nothing_are_none() -> None:
    assert flip_rates(ranked(9, 8), ranked(1, 8), 5) == {"NFR@5": 0.0, "PFR@5": 0.5, "relative_NFR@5": None}
    assert flip_rates(ranked(0), ranked(0), 1) == {"NFR@1": None, "PFR@1": None, "relative_NFR@1": None}


def test_other_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="query ids differ"):
        flip_rates(OLD, ranked(1, 2), 1)
