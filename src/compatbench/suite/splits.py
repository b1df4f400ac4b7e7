"""Splits: the training images of each generation, and the test data of a scenario (protocol §1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

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


def training_indices(labels: Tensor, generation: GenerationSpec, limit: int | None = None) -> Tensor:
    """Sorted positions (n,) of the training images of `generation`.

    The images of a class are those in its range, see `image_ranges`, of one fixed permutation, so that the subsets of
    a chain are nested, or disjoint where their ranges are.
    """
    members_of = torch.split(labels.argsort(stable=True), labels.bincount().tolist())
    parts = []
    for class_id, (first, last) in image_ranges(labels, generation, limit).items():
        members = members_of[class_id]
        order = torch.randperm(len(members), generator=stream(SPLIT_SEED, "split", class_id))
        parts.append(members[order[first:last]])
    return torch.cat(parts).sort().values


def image_ranges(labels: Tensor, generation: GenerationSpec, limit: int | None = None) -> dict[int, tuple[int, int]]:
    """The images of each class for `generation`, first and end; ranges of shares that touch have no image in common.

    `limit` first cuts every class to the share that leaves about so many images in all. With `imbalance` μ, class k of
    K then keeps μ^(−k/(K−1)) of its images (Cui et al., CVPR 2019, arXiv 1901.05555, §5.1), k counting all classes with
    training images: so a long tail is the same one in every generation. Every class keeps at least one image;
    RequestError where none is left for a range that does not begin at 0.
    """
    counts = labels.bincount().tolist()
    kept = min(1.0, limit / len(labels)) if limit is not None else 1.0
    bounds = generation.share_bounds
    train_classes = [class_id for class_id, count in enumerate(counts) if count]
    ranges = {}
    for class_id in generation.class_ids(train_classes):
        available = max(1, round(counts[class_id] * kept))
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
    dataset: Dataset, chain: Sequence[GenerationSpec], test_classes: TestClasses, query_limit: int | None
) -> Dataset:
    """`dataset` with the queries and the gallery of a scenario's test.

    Raises RequestError where no class is unseen.
    """
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


def split_hash(fingerprint: str, chain_indices: list[Tensor]) -> str:
    """Hash of the training images of every generation of a chain, and of its test data."""
    return digest({"dataset": fingerprint, "train": [digest(part.tolist()) for part in chain_indices]})
