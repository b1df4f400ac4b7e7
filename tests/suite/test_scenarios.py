"""Which images each generation of a chain sees: nested, stratified, and the same for every seed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from compatbench.data.dataset import Dataset, Split
from compatbench.errors import RequestError
from compatbench.suite.scenarios import GenerationSpec
from compatbench.suite.splits import as_tested, held_out_indices, split_hash, training_indices

LABELS = torch.tensor([0] * 100 + [1] * 60 + [2] * 40 + [4] * 10)[torch.randperm(210, generator=torch.manual_seed(5))]
"""Four classes of unequal size; 3 has no training image."""


def generation(**spec: Any) -> GenerationSpec:
    return GenerationSpec.model_validate({"backbone": "test_vit", **spec})


def seen(labels: Tensor, limit: int | None = None, **spec: Any) -> set[int]:
    indices = training_indices(labels, generation(**spec), limit)
    assert indices.tolist() == sorted(set(indices.tolist()))
    return set(indices.tolist())


def counts(indices: set[int]) -> dict[int, int]:
    labels = LABELS[sorted(indices)].tolist()
    return {label: labels.count(label) for label in set(labels)}


def held_out(labels: Tensor, classes: Sequence[int] = (0, 1, 2, 4), limit: int | None = None) -> set[int]:
    indices = held_out_indices(labels, classes, limit)
    assert indices.tolist() == sorted(set(indices.tolist()))
    return set(indices.tolist())


def test_shares_are_nested_and_the_whole_is_everything_that_is_not_held_out() -> None:
    tenth, third, whole = (seen(LABELS, share=share) for share in (0.1, 0.3, 1.0))
    assert tenth < third < whole == set(range(len(LABELS))) - held_out(LABELS)


def test_a_fifth_of_every_class_is_held_out_but_never_its_last_image() -> None:
    assert counts(held_out(LABELS)) == {0: 20, 1: 12, 2: 8, 4: 2}
    assert counts(held_out(LABELS, [1, 4])) == {1: 12, 4: 2}
    assert counts(held_out(LABELS, limit=105)) == {0: 10, 1: 6, 2: 4, 4: 1}
    sizes = torch.arange(6).repeat_interleave(torch.tensor([1, 2, 3, 5, 7, 8]))
    left = torch.bincount(sizes[sorted(held_out(sizes, range(6)))], minlength=6).tolist()
    assert left == [0, 1, 1, 1, 1, 2]
    assert seen(sizes) | held_out(sizes, range(6)) == set(range(26))


def test_nothing_held_out_is_ever_trained_on_whatever_the_limits() -> None:
    for limit in (2, 40, 105, 209, None):
        assert held_out(LABELS, limit=limit) <= held_out(LABELS)
        for spec in ({}, {"share": 0.7}, {"imbalance": 100}, {"classes": [0.5, 1.0]}):
            assert not seen(LABELS, limit, **spec) & held_out(LABELS)


def test_every_class_keeps_its_share() -> None:
    assert counts(seen(LABELS, share=0.1)) == {0: 8, 1: 5, 2: 3, 4: 1}
    assert counts(seen(LABELS, share=0.3)) == {0: 24, 1: 14, 2: 10, 4: 2}


def test_no_class_vanishes_however_small_the_share() -> None:
    assert counts(seen(LABELS, share=0.001)) == {0: 1, 1: 1, 2: 1, 4: 1}


def test_a_limit_cuts_every_class_alike_before_the_shares() -> None:
    assert counts(seen(LABELS, limit=105)) == {0: 40, 1: 24, 2: 16, 4: 4}
    assert counts(seen(LABELS, limit=105, share=0.1)) == {0: 4, 1: 2, 2: 2, 4: 1}
    assert seen(LABELS, limit=105, share=0.1) < seen(LABELS, limit=105) < seen(LABELS, limit=150)
    assert seen(LABELS, limit=10**9) == seen(LABELS)


def test_classes_are_the_first_by_id_that_have_images() -> None:
    assert counts(seen(LABELS, classes=3)) == {0: 80, 1: 48, 2: 32}
    assert counts(seen(LABELS, classes=0.5)) == {0: 80, 1: 48}
    assert seen(LABELS, classes=2, share=0.3) == {index for index in seen(LABELS, share=0.3) if LABELS[index] < 2}
    only_new_classes_in_the_test = (3, 5, 8, 9)
    assert generation(classes=0.5).class_ids(only_new_classes_in_the_test) == (3, 5)
    assert generation().class_ids(only_new_classes_in_the_test) == only_new_classes_in_the_test


@pytest.mark.parametrize(("classes", "count"), [(1, 1), (5, 5), (0.1, 0), (0.25, 1), (1.5, 6)])
def test_an_impossible_number_of_classes_is_named(classes: float, count: int) -> None:
    with pytest.raises(RequestError) as caught:
        training_indices(LABELS, generation(classes=classes))
    assert str(caught.value) == (
        f"a generation with classes: {classes} would see {count} of 4 classes with training images; "
        "give a number from 2 to 4 or a share"
    )


def test_ranges_of_images_touch_without_overlap_and_together_are_the_whole() -> None:
    old, new = seen(LABELS, share=0.3), seen(LABELS, share=[0.3, 1])
    assert old == seen(LABELS, share=[0, 0.3])
    assert not old & new
    assert old | new == set(range(len(LABELS))) - held_out(LABELS)
    assert counts(new) == {0: 56, 1: 34, 2: 22, 4: 6}
    thirds = [seen(LABELS, share=bounds) for bounds in ([0, 1 / 3], [1 / 3, 2 / 3], [2 / 3, 1])]
    assert sum(map(len, thirds)) == len(set.union(*thirds)) == len(seen(LABELS))


def test_ranges_of_classes_are_disjoint_where_their_bounds_are() -> None:
    assert counts(seen(LABELS, classes=[1, 3])) == {1: 48, 2: 32}
    assert counts(seen(LABELS, classes=[0.5, 1])) == {2: 32, 4: 8}
    assert counts(seen(LABELS, classes=[0, 0.5])) == counts(seen(LABELS, classes=0.5)) == {0: 80, 1: 48}


@pytest.mark.parametrize("bounds", [[2, 5], [3, 4], [0.75, 1.0], [0.5, 1.5]])
def test_a_range_of_classes_outside_of_them_or_with_one_is_refused(bounds: list[float]) -> None:
    with pytest.raises(RequestError, match=re.escape(f"a generation with classes: {bounds} would see the ")):
        generation(classes=bounds).class_ids((0, 1, 2, 4))


def test_a_class_too_small_for_a_range_is_named() -> None:
    labels = torch.tensor([0, 0, 0, 7])
    assert 3 in seen(labels, share=0.3)
    with pytest.raises(RequestError, match=r"class 7 has 1 training images, none of them in share \(0.3, 1\)"):
        training_indices(labels, generation(share=[0.3, 1]))


def test_a_long_tail_falls_exponentially_with_the_class() -> None:
    labels = torch.arange(5).repeat_interleave(1250)
    sizes = torch.bincount(labels[training_indices(labels, generation(imbalance=100))]).tolist()
    by_hand = [1000, 316, 100, 32, 10]  # 1000 / 100^(k/4)
    assert sizes == by_hand
    tenth = torch.bincount(labels[training_indices(labels, generation(imbalance=100, share=0.1))]).tolist()
    assert tenth == [100, 32, 10, 3, 1]
    assert seen(labels, imbalance=100, share=0.1) < seen(labels, imbalance=100) < seen(labels)


def test_a_long_tail_is_the_same_one_whatever_classes_a_generation_sees() -> None:
    labels = torch.arange(5).repeat_interleave(1250)
    whole, last = seen(labels, imbalance=100), seen(labels, imbalance=100, classes=[2, 5])
    assert last == {index for index in whole if labels[index] >= 2}


def with_test_split(train: Sequence[int], test: Sequence[int]) -> Dataset:
    def split(labels: Sequence[int], first_id: int) -> Split:
        ids = torch.arange(first_id, first_id + len(labels))
        return Split(torch.zeros(len(labels), 1, 4, 4, dtype=torch.uint8), torch.tensor(labels), ids)

    tested = split(test, 1000)
    return Dataset("toy", tuple(map(str, range(max(*train, *test) + 1))), split(train, 0), tested, tested)


def test_unseen_classes_are_those_that_no_generation_of_the_chain_sees() -> None:
    dataset = with_test_split([0, 1, 2, 3, 4, 5] * 2, [0, 1, 2, 3, 4, 5, 6] * 3)
    chain = [generation(classes=2), generation(classes=[2, 4])]
    tested = as_tested(dataset, chain, "unseen", None)
    assert sorted(set(tested.query.labels.tolist())) == [4, 5, 6]
    assert tested.query is tested.gallery
    assert len(tested.gallery) == 9
    assert tested.train is dataset.train
    assert tested.train_fingerprint == dataset.train_fingerprint
    assert tested.fingerprint != dataset.fingerprint
    assert as_tested(dataset, chain, "all", None) is dataset
    fewer = as_tested(dataset, chain, "unseen", 3)
    assert len(fewer.query) == 3
    assert len(fewer.gallery) == 9


def test_unseen_classes_need_a_class_that_is_left_out() -> None:
    dataset = with_test_split([0, 1, 2, 3], [0, 1, 2, 3])
    with pytest.raises(RequestError, match="classes that no generation sees, and there are none; leave some out"):
        as_tested(dataset, [generation(classes=2), generation()], "unseen", None)


@pytest.mark.parametrize("spec", [{"share": 0}, {"share": 1.01}, {"classes": 0}, {"dim": 1}, {"colour": "red"}])
def test_impossible_generations_are_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(spec))):
        generation(**spec)


def test_the_images_do_not_depend_on_torchs_global_stream() -> None:
    torch.manual_seed(1)
    first = seen(LABELS, share=0.3)
    torch.manual_seed(2)
    assert seen(LABELS, share=0.3) == first


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    shares=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
    limit=st.none() | st.integers(2, 100),
)
def test_the_smaller_share_is_always_part_of_the_larger(
    sizes: list[int], shares: tuple[float, float], limit: int | None
) -> None:
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    smaller, larger = (seen(labels, limit, share=share) for share in sorted(shares))
    assert smaller <= larger
    assert {int(labels[index]) for index in smaller} == set(range(len(sizes)))


def test_the_split_hash_changes_with_the_data_and_with_any_generations_images() -> None:
    one, two = torch.tensor([1, 2]), torch.tensor([1, 2, 3])
    hashes = {
        split_hash("a", [one, two], [one]),
        split_hash("b", [one, two], [one]),
        split_hash("a", [two, one], [one]),
        split_hash("a", [one, two], [two]),
    }
    assert len(hashes) == 4
    assert split_hash("a", [one.clone(), two.clone()], [one.clone()]) in hashes
