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


@given(
    ids=st.lists(IDS, min_size=1, max_size=9),
    wanted=st.lists(st.integers(0, 2**64 - 1) | st.integers(2**62, 2**62 + 9)),
)
def test_signed_and_unsigned_ids_are_not_rounded(ids: list[int], wanted: list[int]) -> None:
    """Nor are neighbours of large numbers taken for them; in either direction."""
    near = [*ids, 2**62 + 1, 2**62 + 2, 2**63 - 1]
    signed, unsigned = np.array(near, dtype=np.int64), np.array([*wanted, 2**62 + 2], dtype=np.uint64)
    for held, asked in ((signed, unsigned), (unsigned, signed)):
        for one, row in zip(asked.tolist(), IdLookup(held).rows(asked).tolist(), strict=True):
            assert held.tolist()[row] == one if one in held.tolist() else row == -1
