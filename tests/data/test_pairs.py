from dataclasses import replace

import numpy as np
import pytest

from compatbench.data.pairs import Pairs

PAIRS = Pairs(np.array([1, 2]), np.array([3, 4]), np.array([True, False]), np.array([0, 0]))


def test_the_hash_sees_every_column() -> None:
    others = [
        replace(PAIRS, first=np.array([1, 5])),
        replace(PAIRS, second=np.array([4, 3])),
        replace(PAIRS, same=np.array([False, True])),
        replace(PAIRS, fold=np.array([0, 1])),
    ]
    assert len({PAIRS.sha256, *(other.sha256 for other in others)}) == 5
    assert replace(PAIRS).sha256 == PAIRS.sha256
    assert len(PAIRS) == 2


def test_lists_that_ask_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="needs both same and different"):
        replace(PAIRS, same=np.array([True, True]))
    with pytest.raises(ValueError, match="equally long"):
        replace(PAIRS, fold=np.array([0]))
