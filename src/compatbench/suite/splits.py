"""Splits: the training images of each generation, and the test data of a scenario (protocol §1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from compatbench.data.dataset import Dataset, check_disjoint_classes
from compatbench.data.sampling import limit_queries, only_classes
from compatbench.errors import RequestError
from compatbench.machine.seeds import stream
from compatbench.storage.canonical import digest
from compatbench.suite.scenarios import GenerationSpec, TestClasses

SPLIT_SEED = 0
"""Splits are part of the scenario, not of the seed: every seed of a cell trains on the same images."""
HELD_OUT = 0.2
"""Share of the training images of every class that no generation is trained on."""


def training_indices(labels: Tensor, generation: GenerationSpec, limit: int | None = None) -> Tensor:
    """Sorted positions (n,) of the training images of `generation`.

    The images of a class are those in its range, see `image_ranges`, of one fixed permutation, so that the subsets of
    a chain are nested, or disjoint where their ranges are.
    """
    return _in_fixed_order(labels, image_ranges(labels, generation, limit))


Half = Literal["pairs", "scored"]
"""Of the held-out images: adapters of a trial are fitted on the first half of each class, and scored on the second."""


def held_out_indices(
    labels: Tensor, classes: Sequence[int], limit: int | None = None, half: Half | None = None
) -> Tensor:
    """Sorted positions (h,) of the held-out images of `classes`: kept from every training, whatever its limit.

    They are the last of each class's permutation, whose first images are trained on: a fifth, at least one where a
    class has two images, none where it has one. `half` of them, the first getting the odd one.
    """
    counts = labels.bincount().tolist()
    available = _available(labels, limit)
    ranges = {}
    for class_id in classes:
        last = counts[class_id]
        first = last - _held_out(available[class_id])
        middle = (first + last + 1) // 2
        ranges[class_id] = {None: (first, last), "pairs": (first, middle), "scored": (middle, last)}[half]
    return _in_fixed_order(labels, ranges)


def image_ranges(labels: Tensor, generation: GenerationSpec, limit: int | None = None) -> dict[int, tuple[int, int]]:
    """The images of each class for `generation`, first and end; ranges of shares that touch have no image in common.

    `limit` first cuts every class to the share that leaves about so many images in all, and a fifth of these is held
    out. With `imbalance` μ, class k of
    K then keeps μ^(−k/(K−1)) of its images (Cui et al., CVPR 2019, arXiv 1901.05555, §5.1), k counting all classes with
    training images: so a long tail is the same one in every generation. Every class keeps at least one image;
    RequestError where none is left for a range that does not begin at 0.
    """
    images = _available(labels, limit)
    bounds = generation.share_bounds
    train_classes = list(images)
    ranges = {}
    for class_id in generation.class_ids(train_classes):
        available = images[class_id] - _held_out(images[class_id])
        if generation.imbalance is not None:
            place = bisect_left(train_classes, class_id) / (len(train_classes) - 1)
            available = max(1, round(available * generation.imbalance**-place))
        first, last = (max(1, round(available * bound)) if bound else 0 for bound in bounds)
        if first >= last:
            raise RequestError(
                f"class {class_id} has {available} training images, none of them in share {generation.share}; "
                "widen the range, or take classes with more images"
            )
        ranges[class_id] = first, last
    return ranges


def as_tested(
    dataset: Dataset,
    chain: Sequence[GenerationSpec],
    test_classes: TestClasses,
    query_limit: int | None,
    train_limit: int | None = None,
) -> Dataset:
    """`dataset` with the queries and the gallery of a scenario's test.

    Raises RequestError where no class is unseen, and where no two held-out images to be scored are of one class.
    """
    if test_classes == "held_out":
        labels = dataset.train.labels
        classes = sorted({one for generation in chain for one in generation.class_ids(dataset.train_classes)})
        split = dataset.train.at(held_out_indices(labels, classes, train_limit, "scored"))
        if len(split) == 0 or int(split.labels.bincount().max()) < 2:
            raise RequestError("no two held-out images are of one class, so that nothing can be tuned on them")
        dataset = replace(dataset, query=split, gallery=split, judgements=None, protocols={}, pairs=None)
    if test_classes == "unseen":
        seen = {class_id for generation in chain for class_id in generation.class_ids(dataset.train_classes)}
        unseen = [class_id for class_id in range(dataset.num_classes) if class_id not in seen]
        if not set(unseen) & set(dataset.query.labels.tolist()):
            raise RequestError(
                "it is to be tested on classes that no generation sees, and there are none; "
                "leave some out, e.g. classes: [0.25, 0.5]"
            )
        dataset = only_classes(dataset, unseen)
        check_disjoint_classes(torch.tensor(sorted(seen)), dataset.gallery.labels, "training and test split")
    return limit_queries(dataset, query_limit)


def split_hash(fingerprint: str, chain_indices: Sequence[Tensor], held_out: Sequence[Tensor]) -> str:
    """Hash of the training and of the held-out images of every generation of a chain, and of its test data."""
    parts = {"train": chain_indices, "held out": held_out}
    hashes = {name: [digest(part.tolist()) for part in indices] for name, indices in parts.items()}
    return digest({"dataset": fingerprint, **hashes})


def _available(labels: Tensor, limit: int | None) -> dict[int, int]:
    """How many images of each class with training images `limit` leaves, at least one."""
    kept = min(1.0, limit / len(labels)) if limit is not None else 1.0
    return {class_id: max(1, round(count * kept)) for class_id, count in enumerate(labels.bincount().tolist()) if count}


def _held_out(available: int) -> int:
    return max(1, round(available * HELD_OUT)) if available > 1 else 0


def _in_fixed_order(labels: Tensor, ranges: Mapping[int, tuple[int, int]]) -> Tensor:
    """Sorted positions (n,) of the images in the range of each class of its one fixed permutation."""
    members_of = torch.split(labels.argsort(stable=True), labels.bincount().tolist())
    parts = [torch.empty(0, dtype=torch.int64)]
    for class_id, (first, last) in ranges.items():
        members = members_of[class_id]
        order = torch.randperm(len(members), generator=stream(SPLIT_SEED, "split", class_id))
        parts.append(members[order[first:last]])
    return torch.cat(parts).sort().values
