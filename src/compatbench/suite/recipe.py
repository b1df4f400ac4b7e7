"""The training recipe: the optimisation settings shared by all methods of a suite."""

from __future__ import annotations

import math
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from compatbench.storage.validation import NoTruthValues
from compatbench.suite.encoder_spec import Setting


class Augmentation(NoTruthValues):
    """Random crop after zero padding and random horizontal flip, drawn for each image on its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop_padding: int = Field(0, ge=0)
    """Black pixels added at each side before a crop of the original size; 0 for no crop."""
    horizontal_flip: bool = False
    """Mirror half of the images; not for digits or text."""


class Recipe(Setting):
    """Optimiser, schedule, precision and augmentation of every generation of a suite."""

    later = frozenset({"views"})

    epochs: int = Field(ge=1, le=1_000_000)
    batch_size: int = Field(128, ge=2)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = Field(0.1, gt=0, le=1e6)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(5e-4, ge=0)
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    steps: tuple[float, ...] = ()
    """For `step`: rising shares of the training after which the rate is divided by 10."""
    warmup: float = Field(0.0, ge=0, lt=1)
    """Share of the training over which the rate rises linearly."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """`bfloat16`: mixed precision, weights stay float32."""
    augmentation: Augmentation = Augmentation()
    views: int = Field(4, ge=1, le=64)
    """V: augmented views of each training image that a frozen backbone computes features of; without augmentation 1."""

    @property
    def drawn_views(self) -> int:
        """V, or 0 if no augmentation makes views differ."""
        return self.views if self.augmentation != Augmentation() else 0

    @model_validator(mode="after")
    def _steps_belong_to_step(self) -> Self:
        if self.schedule != "step" and self.steps:
            raise ValueError(f"steps are for schedule 'step', not '{self.schedule}'; remove one of the two")
        if self.schedule == "step" and not self.steps:
            raise ValueError("schedule 'step' needs steps, e.g. steps: [0.33, 0.67]")
        if any(not 0 < share < 1 for share in self.steps) or list(self.steps) != sorted(set(self.steps)):
            raise ValueError("steps must rise, each between 0 and 1, e.g. steps: [0.33, 0.67]")
        return self

    def rate(self, progress: float) -> float:
        """Learning rate at `progress` in [0, 1) of the training."""
        if progress < self.warmup:
            return self.lr * (progress / self.warmup * 0.99 + 0.01)
        if self.schedule == "cosine":
            done = (progress - self.warmup) / (1 - self.warmup)
            return self.lr * 0.5 * (1 + math.cos(math.pi * done))
        if self.schedule == "step":
            return self.lr * 0.1 ** sum(progress >= boundary for boundary in self.steps)
        return self.lr
