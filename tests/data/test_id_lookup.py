"""Finding ids, against looking at every one of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compatbench.data.id_lookup import IdLookup

IDS = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5)


@given(ids=st.lists(IDS, min_size=1, max_size=20), wanted=st.lists(IDS, max_size=20))
def test_rows_hold_what_is_wanted(ids: list[int], wanted: list[int]) -> None:
    rows = IdLookup(np.array(ids)).rows(np.array(wanted, dtype=np.int64)).tolist()
    assert len(rows) == len(wanted)
    for one, row in zip(wanted, rows, strict=True):
        assert ids[row] == one if one in ids else row == -1


@given(ids=st.lists(IDS, min_size=1, max_size=20))
def test_repeated_ids_are_known(ids: list[int]) -> None:
    assert IdLookup(np.array(ids)).repeated().tolist() == sorted({one for one in ids if ids.count(one) > 1})
