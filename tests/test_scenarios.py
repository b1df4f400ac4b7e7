"""Which images each generation of a chain sees: nested, stratified, and the same for every seed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from compatbench.errors import RequestError
from compatbench.scenarios import GenerationSpec, split_hash, training_indices

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


def test_shares_are_nested_and_the_whole_is_everything() -> None:
    tenth, third, whole = (seen(LABELS, share=share) for share in (0.1, 0.3, 1.0))
    assert tenth < third < whole == set(range(len(LABELS)))


def test_every_class_keeps_its_share() -> None:
    assert counts(seen(LABELS, share=0.1)) == {0: 10, 1: 6, 2: 4, 4: 1}
    assert counts(seen(LABELS, share=0.3)) == {0: 30, 1: 18, 2: 12, 4: 3}


def test_no_class_vanishes_however_small_the_share() -> None:
    assert counts(seen(LABELS, share=0.001)) == {0: 1, 1: 1, 2: 1, 4: 1}


def test_a_limit_cuts_every_class_alike_before_the_shares() -> None:
    assert counts(seen(LABELS, limit=105)) == {0: 50, 1: 30, 2: 20, 4: 5}
    assert counts(seen(LABELS, limit=105, share=0.1)) == {0: 5, 1: 3, 2: 2, 4: 1}
    assert seen(LABELS, limit=105, share=0.1) < seen(LABELS, limit=105) < seen(LABELS, limit=150)
    assert seen(LABELS, limit=10**9) == seen(LABELS)


def test_classes_are_the_first_by_id_that_have_images() -> None:
    assert counts(seen(LABELS, classes=3)) == {0: 100, 1: 60, 2: 40}
    assert counts(seen(LABELS, classes=0.5)) == {0: 100, 1: 60}
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
    hashes = {split_hash("a", [one, two]), split_hash("b", [one, two]), split_hash("a", [two, one])}
    assert len(hashes) == 3
    assert split_hash("a", [one.clone(), two.clone()]) in hashes
