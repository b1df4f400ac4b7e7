"""Scenarios: a chain of generations, and which training images each of them sees (protocol §1)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator
from torch import Tensor

from compatbench.data.dataset import Dataset, check_disjoint_classes
from compatbench.data.sampling import limit_queries, only_classes
from compatbench.encoders import EncoderSpec, full_name
from compatbench.errors import RequestError
from compatbench.machine.seeds import stream
from compatbench.storage.canonical import digest
from compatbench.vocabulary import HeadName

SPLIT_SEED = 0
"""Splits are part of the scenario, not of the seed: every seed of a cell trains on the same images."""

TestClasses = Literal["all", "unseen"]
"""What a scenario is tested on: every class, or those only that no generation of its chain was trained on."""

Bounds = tuple[int | float, int | float]


def _bounds(value: object) -> Bounds | None:
    """`x` as (0, x) and `[x, y]` as (x, y) where they are rising numbers from 0 on; None for everything else."""
    pair = tuple(value) if isinstance(value, list | tuple) else (0, value)
    if len(pair) != 2 or not all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in pair):
        return None
    return pair if 0 <= pair[0] < pair[1] < float("inf") else None


def _share(value: object) -> object:
    bounds = _bounds(value)
    if bounds is None or bounds[1] > 1:
        raise ValueError("must be above 0 and at most 1, or a range such as [0.3, 1]")
    return tuple(value) if isinstance(value, list) else value


def _classes(value: object) -> object:
    if value is not None and _bounds(value) is None:
        raise ValueError("must be a number of classes, a share of them, or a range of either such as [0.3, 1]")
    return tuple(value) if isinstance(value, list) else value


AS_IT_IS = PlainSerializer(lambda value: value)
"""Pydantic would serialise what a PlainValidator returned as the union that it is annotated with."""


class TowerSpec(BaseModel):
    """An encoder of its own for queries or documents; what it leaves open is as in the generation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str | None = None
    pretrained: bool | None = None
    small_image_stem: bool | None = None


class GenerationSpec(BaseModel):
    """One generation of a chain: the data it sees and the encoder it trains, or the two."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    backbone: str
    dim: int = Field(64, ge=2)
    share: Annotated[float | Bounds, PlainValidator(_share), AS_IT_IS] = 1.0
    """Share of the images of every class, 0.3 for the first 30%, or a range of it, [0.3, 1] for the other 70%."""
    classes: Annotated[int | float | Bounds | None, PlainValidator(_classes), AS_IT_IS] = None
    """How many classes (an integer) or which share of them (a fraction), the first ones by id; or a range of them."""
    imbalance: float | None = Field(None, gt=1)
    """Images of the largest class per image of the smallest: a long tail, falling exponentially with the class id."""
    loss: HeadName = HeadName.SOFTMAX
    pretrained: bool = False
    small_image_stem: bool = False
    batch_norm: bool = False
    query_encoder: TowerSpec | None = None
    """Queries are embedded by an encoder of their own; without it by that of the documents, with the same weights."""
    document_encoder: TowerSpec | Literal["previous"] | None = None
    """Documents are embedded by an encoder of their own, or stay as the `previous` generation embedded them."""

    @property
    def keeps_documents(self) -> bool:
        """Only the query encoder is new: the gallery is that of the generation before."""
        return self.document_encoder == "previous"

    @property
    def two_encoders(self) -> bool:
        """Queries and documents have encoders of their own, which are trained together."""
        return not self.keeps_documents and (self.query_encoder is not None or self.document_encoder is not None)

    def with_full_names(self) -> GenerationSpec:
        """The generation with the full `arch.tag` of each backbone. Raises RequestError for an unknown backbone."""
        towers = {
            side: tower.model_copy(update={"backbone": full_name(tower.backbone or self.backbone)})
            for side in ("query_encoder", "document_encoder")
            if isinstance(tower := getattr(self, side), TowerSpec)
        }
        return self.model_copy(update={"backbone": full_name(self.backbone), **towers})

    def encoder(self, channels: int, image_size: int) -> EncoderSpec:
        """The encoder of this generation's queries for images of the given shape."""
        return self._encoder(self.query_encoder, channels, image_size)

    def documents(self, channels: int, image_size: int) -> EncoderSpec | None:
        """The encoder of its documents, where they have one of their own."""
        tower = self.document_encoder if isinstance(self.document_encoder, TowerSpec) else None
        return self._encoder(tower, channels, image_size) if self.two_encoders else None

    def _encoder(self, tower: TowerSpec | None, channels: int, image_size: int) -> EncoderSpec:
        spec = EncoderSpec(
            backbone=self.backbone,
            dim=self.dim,
            image_size=image_size,
            channels=channels,
            pretrained=self.pretrained,
            small_image_stem=self.small_image_stem,
            batch_norm=self.batch_norm,
        )
        return spec.model_copy(update=tower.model_dump(exclude_none=True)) if tower else spec

    def class_ids(self, train_classes: Sequence[int]) -> tuple[int, ...]:
        """Those of the classes with training images that this generation sees, in the order of its labels.

        Raises RequestError where they are fewer than two, or more than there are.
        """
        available = len(train_classes)
        bounds = _bounds(self.classes) or (0, available)
        if any(isinstance(bound, float) for bound in bounds):
            bounds = round(bounds[0] * available), round(bounds[1] * available)
        first, last = (int(bound) for bound in bounds)
        if last > available or last - first < 2:
            given = list(self.classes) if isinstance(self.classes, tuple) else self.classes
            seen = f"the {first + 1}th to {last}th" if isinstance(self.classes, tuple) else last
            raise RequestError(
                f"a generation with classes: {given} would see {seen} of {available} classes with training "
                f"images; give a number from 2 to {available} or a share"
            )
        return tuple(train_classes[first:last])


def documents_from(chain: Sequence[GenerationSpec], generation: int) -> int:
    """The generation whose encoder embedded the gallery that `generation` searches: itself, or one that it keeps."""
    while chain[generation].keeps_documents:
        generation -= 1
    return generation


def training_indices(labels: Tensor, generation: GenerationSpec, limit: int | None = None) -> Tensor:
    """Sorted positions (n,) in the training split that `generation` sees.

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
    """Which images of each class `generation` sees, first and end; ranges of shares that touch have no image in common.

    `limit` first cuts every class to the share that leaves about so many images in all. With `imbalance` μ, class k of
    K then keeps μ^(−k/(K−1)) of its images (Cui et al., CVPR 2019, arXiv 1901.05555, §5.1), k counting all classes with
    training images: so a long tail is the same one in every generation. Every class keeps at least one image;
    RequestError where none is left for a range that does not begin at 0.
    """
    counts = labels.bincount().tolist()
    kept = min(1.0, limit / len(labels)) if limit is not None else 1.0
    bounds = _bounds(generation.share) or (0, 1)
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
    """`dataset` with the queries and the gallery that a scenario is tested on.

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
    """Hash of what every generation of a chain was trained on and what it is tested on."""
    return digest({"dataset": fingerprint, "train": [digest(part.tolist()) for part in chain_indices]})
