"""GPU hours of a plan, from the arithmetic of its encoders: an estimate that needs neither the GPU nor the data."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from compatbench.data.dataset import Dataset
from compatbench.encoders import Encoder
from compatbench.plan.cells import Cell
from compatbench.plan.trainings import trainings
from compatbench.storage.remembered import remembered
from compatbench.suite.encoder_spec import EncoderSpec
from compatbench.vocabulary import Need

OPERATIONS_PER_SECOND = {"bfloat16": 60e12, "float32": 23e12}
"""What one data-centre GPU (NVIDIA A100) sustains in training: it passes 2,470 images/s through ResNet-50 at 224x224 in
mixed precision and 938 in TF32 (NVIDIA DeepLearningExamples, ResNet50 v1.5 for PyTorch), at 24.5e9 operations each.
Small images and small batches reach less."""
TRAINING = 3
"""Operations of a training step, relative to those of a forward pass."""
CELL_SECONDS = 60.0
"""Evaluation, flips, backfill and search of one cell; a guess that only the estimate rests on."""


def gpu_hours(cells: Sequence[Cell], dataset: Dataset) -> float:
    """Hours of one GPU for all trainings, embeddings and evaluations of `cells`; good to a factor of two.

    Image files must be decoded as fast as the GPU takes them; where there are too few cores for that, it takes longer.
    """
    seconds = 0.0
    embedded = {id(split): len(split) for split in (dataset.query, dataset.gallery)}
    for training in trainings(cells, dataset):
        forward = sum(forward_operations(encoder) for encoder in training.encoders)
        step = TRAINING * forward
        if Need.TWO_VIEWS in training.spec.method.needs:
            step *= 2
        if training.old is not None:
            step += forward_operations(training.old)
        if Need.INDEPENDENT_MODEL in training.spec.method.needs:
            step += forward
        operations = training.images * training.epochs * step + sum(embedded.values()) * forward
        seconds += operations / OPERATIONS_PER_SECOND[training.spec.recipe.precision]
    return (seconds + CELL_SECONDS * sum(cell.skip is None for cell in cells)) / 3600


@remembered("timm", "torch")
def forward_operations(spec: EncoderSpec) -> float:
    """Multiplications and additions of one image's forward pass, counted without computing anything."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.no_grad():
        encoder = Encoder(spec.model_copy(update={"pretrained": False})).eval()
        images = torch.empty(2, spec.channels, spec.image_size, spec.image_size)
        with FlopCounterMode(display=False) as counter:
            encoder(images)
    return float(counter.get_total_flops() / 2)
