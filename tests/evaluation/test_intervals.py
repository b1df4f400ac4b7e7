"""Thresholds above scores against a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatbench.evaluation.intervals import above

pytestmark = pytest.mark.usefixtures("way_to_count")


@given(
    scores=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60),
    thresholds=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=60),
    crowding=st.sampled_from([1, 1e-3, 1e-7]),
)
@settings(max_examples=200, deadline=None)
def test_thresholds_above_a_score_are_counted(scores: list[float], thresholds: list[float], crowding: float) -> None:
    """Scores that equal thresholds, and thresholds that crowd around one value, included; a second row is as good."""
    limits = -np.sort(-np.array(thresholds, dtype=np.float32) * np.float32(crowding))
    values = np.concatenate((np.array(scores, dtype=np.float32), limits, np.nextafter(limits, np.float32(2))))
    spread = -np.sort(limits)
    expected = [[sum(limit > value for limit in row) for value in values] for row in (limits, spread)]
    assert above(np.stack((values, values)), np.stack((limits, spread))).tolist() == expected
