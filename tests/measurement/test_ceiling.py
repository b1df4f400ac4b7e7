"""The oracle's queries among the entries of a cell: when there are any, and what queries without a mean ask with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from known_vectors import known_chain

from compatbench.evaluation.arrays import QueryResults
from compatbench.measurement.matrix import matrix

TWO_PAIRS = [0, 0, 1, 1]
OPPOSITE = [[1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [1.0, 0.1], [0.6, 0.8]]


@pytest.mark.parametrize(("labels", "there"), [(TWO_PAIRS, False), ([0, 0, 0, 1, 2], True)])
def test_it_is_left_out_where_each_query_has_one_relevant_item(
    tmp_path: Path, labels: Sequence[int], there: bool
) -> None:
    vectors = torch.tensor(OPPOSITE[: len(labels)])
    tested = known_chain(tmp_path, [vectors, vectors], torch.tensor(labels), torch.arange(len(labels)))
    arrays, results = matrix(tested)
    tested.arrays.save(tmp_path)
    assert (("oracle", "0") in {one.at for one in arrays}) is there
    assert ("oracle", "0") not in results


def test_a_mean_of_nothing_and_opposite_vectors_leave_the_query_as_it_was(tmp_path: Path) -> None:
    """The relevant items of the first query cancel out; the last two queries have none."""
    vectors = torch.tensor(OPPOSITE)
    tested = known_chain(tmp_path, [vectors, vectors], torch.tensor([0, 0, 0, 1, 2]), torch.arange(5))
    arrays, results = matrix(tested)
    [name] = [one.array for one in arrays if one.query_generation == "oracle"]
    files = tested.arrays.save(tmp_path)
    found = QueryResults.read(tmp_path, name.replace("shared", files["shared"]))
    assert found.relevant.tolist() == [2, 2, 2, 0, 0]
    assert found.average_precision[0] == results["0", "0"].average_precision[0]
    assert found.first_rank.tolist() == [3, 1, 3, 0, 0]  # (1, 0): both others behind items 3 and 4; (1, −1); (1, 1)
