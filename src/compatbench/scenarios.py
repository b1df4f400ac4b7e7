"""Scenarios: a chain of generations, and which training images each of them sees (protocol §1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from compatbench.canonical import digest
from compatbench.encoders import EncoderSpec
from compatbench.errors import RequestError
from compatbench.heads import HeadName
from compatbench.seeds import stream

SPLIT_SEED = 0
"""Splits are part of the scenario, not of the seed: every seed of a cell trains on the same images."""


class GenerationSpec(BaseModel):
    """One generation of a chain: the data it sees and the encoder it trains."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    backbone: str
    dim: int = Field(64, ge=2)
    share: float = Field(1.0, gt=0, le=1)
    """Share of the images of every class. Shares are nested: 10% is a part of 30%."""
    classes: int | float | None = Field(None, gt=0)
    """How many classes (an integer) or which share of them (a fraction), the first ones by id."""
    loss: HeadName = "softmax"
    pretrained: bool = False
    small_image_stem: bool = False
    batch_norm: bool = False

    def encoder(self, channels: int, image_size: int) -> EncoderSpec:
        """The encoder of this generation for images of the given shape."""
        return EncoderSpec(
            backbone=self.backbone,
            dim=self.dim,
            image_size=image_size,
            channels=channels,
            pretrained=self.pretrained,
            small_image_stem=self.small_image_stem,
            batch_norm=self.batch_norm,
        )

    def class_ids(self, train_classes: Sequence[int]) -> tuple[int, ...]:
        """Those of the classes with training images that this generation sees, in the order of its labels.

        Raises RequestError where they are fewer than two, or more than there are.
        """
        available = len(train_classes)
        if self.classes is None:
            count = available
        else:
            count = self.classes if isinstance(self.classes, int) else round(self.classes * available)
        if not 2 <= count <= available:
            raise RequestError(
                f"a generation with classes: {self.classes} would see {count} of {available} classes with training "
                f"images; give a number from 2 to {available} or a share"
            )
        return tuple(train_classes[:count])


def training_indices(labels: Tensor, generation: GenerationSpec, limit: int | None = None) -> Tensor:
    """Sorted positions (n,) in the training split that `generation` sees.

    Every class keeps the same share of its images (at least one), taken from the front of one fixed
    permutation, so that the subsets of a chain are nested. `limit` first cuts the whole split, in the same
    stratified way, to about that many images.
    """
    kept = min(1.0, limit / len(labels)) if limit is not None else 1.0
    parts = []
    for class_id in generation.class_ids(sorted(set(labels.tolist()))):
        members = torch.nonzero(labels == class_id).flatten()
        order = torch.randperm(len(members), generator=stream(SPLIT_SEED, "split", class_id))
        available = max(1, round(len(members) * kept))
        parts.append(members[order[: max(1, round(available * generation.share))]])
    return torch.cat(parts).sort().values


def split_hash(fingerprint: str, chain_indices: list[Tensor]) -> str:
    """Hash of what every generation of a chain was trained on and what it is tested on."""
    return digest({"dataset": fingerprint, "train": [digest(part.tolist()) for part in chain_indices]})
