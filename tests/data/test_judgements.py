import numpy as np
import pytest

from compatbench.data.judgements import Judgements, across_groups
from compatbench.data.lists import Lists


def judged(queries, relevant, ignored) -> Judgements:
    return Judgements(np.array(queries), Lists.of(relevant), Lists.of(ignored))


def test_queries_are_found_by_id_in_any_order() -> None:
    one = judged([9, 2, 5], [[1], [2], [3]], [[], [], []])
    assert one.rows(np.array([5, 9])).tolist() == [2, 0]
    with pytest.raises(ValueError, match="some of the queries have no judgements"):
        one.rows(np.array([5, 4]))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([1, 2], [[3]], [[], []]), "2 queries, 1 lists of relevant"),
        (([1, 1], [[3], [4]], [[], []]), "a query is judged twice"),
        (([1], [[3, 4]], [[4]]), "query 1: an image is listed twice"),
        (([1], [[3, 3]], [[]]), "query 1: an image is listed twice"),
    ],
)
def test_lists_that_contradict_each_other_are_refused(parts, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judged(*parts)


def test_the_hash_sees_every_list() -> None:
    plain = judged([1, 2], [[3], [4]], [[], [5]])
    others = [
        judged([1, 9], [[3], [4]], [[], [5]]),
        judged([1, 2], [[3, 4], []], [[], [5]]),
        judged([1, 2], [[3], [4]], [[5], []]),
        judged([1, 2], [[3], [5]], [[], [4]]),
    ]
    assert plain.sha256 == judged([1, 2], [[3], [4]], [[], [5]]).sha256
    assert len({plain.sha256, *(other.sha256 for other in others)}) == 5


def test_across_groups_equals_a_loop() -> None:
    rng = np.random.default_rng(0)
    query = rng.permutation(100)[:12], rng.integers(0, 5, 12), rng.integers(0, 3, 12)
    gallery = rng.permutation(100)[:40] + 100, rng.integers(0, 6, 40), rng.integers(0, 3, 40)
    found = across_groups(query, gallery)
    assert found.queries.tolist() == query[0].tolist()
    for row, (_, label, camera) in enumerate(zip(*query, strict=True)):
        relevant = [i for i, other, place in zip(*gallery, strict=True) if other == label and place != camera]
        ignored = [i for i, other, place in zip(*gallery, strict=True) if other == label and place == camera]
        assert sorted(found.relevant[row].tolist()) == sorted(relevant)
        assert sorted(found.ignored[row].tolist()) == sorted(ignored)
