"""Lists end to end against lists of lists."""

import numpy as np

from compatbench.data.lists import Lists

ROWS = [[3, 1], [], [7], [2, 5, 9]]


def test_lists_come_back_row_by_row() -> None:
    lists = Lists.of(ROWS)
    assert [lists[row].tolist() for row in range(len(lists))] == ROWS
    assert lists.sizes.tolist() == [2, 0, 1, 3]
    assert lists.rows.tolist() == [0, 0, 2, 3, 3, 3]
    assert len(Lists.of([])) == 0
    assert [row.size for row in (Lists.empty(2)[0], Lists.empty(2)[1])] == [0, 0]


def test_rows_are_taken_in_any_order_and_more_than_once() -> None:
    taken = Lists.of(ROWS).take(np.array([3, 1, 0, 3]))
    assert [taken[row].tolist() for row in range(4)] == [ROWS[3], ROWS[1], ROWS[0], ROWS[3]]


def test_grouped_lists_ascend() -> None:
    lists = Lists.grouped(np.array([2, 0, 2, 2]), np.array([8, 4, 6, 7]), 4)
    assert [lists[row].tolist() for row in range(4)] == [[4], [], [6, 7, 8], []]


def test_values_between_two_bounds_have_their_row_and_place() -> None:
    found = Lists.of(ROWS).between(2, 7)
    expected = [(row, v, place) for row, values in enumerate(ROWS) for place, v in enumerate(values) if 2 <= v < 7]
    assert list(zip(*(one.tolist() for one in found), strict=True)) == expected
