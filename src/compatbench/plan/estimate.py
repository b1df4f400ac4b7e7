"""The cost of a plan: its encoders' forward passes, at the measured speed of this machine or a known GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from compatbench.data.dataset import Dataset
from compatbench.data.text.trunks import is_text_trunk, text_seconds
from compatbench.encoders import Encoder
from compatbench.generations.trunk import TrunkFeatures
from compatbench.plan.cells import Cell
from compatbench.plan.trainings import trainings
from compatbench.records.environment import cpu_name, device, gpu_name
from compatbench.storage.disk_cache import cached_on_disk
from compatbench.suite.encoder_spec import BackboneSpec, EncoderSpec
from compatbench.suite.recipe import Recipe
from compatbench.vocabulary import Need

TRAINING = 3
"""Cost of a training step, in forward passes."""
CELL_SECONDS = {"here": 6.0, "gpu": 60.0}
"""Evaluation, flips, backfill and search of one cell of a small suite here, and of a large one beside a GPU: guesses
that only the estimate rests on."""
NOWHERE = Path("/dev/null")
OPERATIONS_PER_SECOND = {"bfloat16": 60e12, "float32": 23e12}
"""What one data-centre GPU (NVIDIA A100) sustains in training: it passes 2,470 images/s through ResNet-50 at 224x224 in
mixed precision and 938 in TF32 (NVIDIA DeepLearningExamples, ResNet50 v1.5 for PyTorch), at 24.5e9 operations each.
Small images and small batches reach less."""


def minutes_here(cells: Sequence[Cell], dataset: Dataset, jobs: int, features: Path = NOWHERE) -> float:
    """Minutes for `cells` on this machine with `jobs` at a time; good to a factor of two.

    What the folder `features` has of frozen trunks is not computed again.
    """

    def pass_seconds(encoder: EncoderSpec, recipe: Recipe) -> float:
        return 1 / (TRAINING * training_rate(encoder, recipe.batch_size))

    return _seconds(cells, dataset, pass_seconds, CELL_SECONDS["here"], features) / jobs / 60


def gpu_hours(cells: Sequence[Cell], dataset: Dataset, features: Path = NOWHERE) -> float:
    """Hours of one GPU for `cells`; good to a factor of two. Needs neither the GPU nor the data.

    Image files must be decoded as fast as the GPU takes them; where there are too few cores for that, it takes longer.
    """

    def pass_seconds(encoder: EncoderSpec, recipe: Recipe) -> float:
        return forward_operations(encoder) / OPERATIONS_PER_SECOND[recipe.precision]

    return _seconds(cells, dataset, pass_seconds, CELL_SECONDS["gpu"], features) / 3600


def _seconds(
    cells: Sequence[Cell],
    dataset: Dataset,
    pass_seconds: Callable[[EncoderSpec, Recipe], float],
    cell_seconds: float,
    features: Path,
) -> float:
    """The missing features of frozen trunks, all trainings, embeddings and evaluations of `cells`.

    `pass_seconds` is a forward pass of one image, or of its features where the encoder is frozen.
    """
    seconds = cell_seconds * sum(cell.skip is None for cell in cells)
    embedded = sum({id(split): len(split) for split in (dataset.query, dataset.gallery)}.values())
    trunks: dict[tuple[BackboneSpec, int | None], Recipe] = {}
    for training in trainings(cells, dataset):
        recipe, needs = training.spec.recipe, training.spec.method.needs
        seen = training.images * recipe.epochs
        passes = TRAINING * (2 if Need.TWO_VIEWS in needs else 1) + (Need.INDEPENDENT_MODEL in needs)
        seconds += sum((seen * passes + embedded) * pass_seconds(one, recipe) for one in training.encoders)
        seconds += training.held_out * recipe.epochs * pass_seconds(training.encoders[0], recipe)
        if training.old is not None:
            seconds += seen * pass_seconds(training.old, recipe)
        trunks |= {(one.trunk, training.spec.train_limit): recipe for one in training.encoders if one.frozen}
    for (trunk, limit), recipe in trunks.items():
        missing = TrunkFeatures(dataset, limit, recipe, features, NOWHERE).missing(trunk)
        if not trunk.image_size:
            seconds += missing * (text_seconds(trunk.backbone) if is_text_trunk(trunk.backbone) else 0.0)
            continue
        seconds += missing * pass_seconds(EncoderSpec(dim=1, **trunk.model_dump()), recipe)
    return seconds


@cached_on_disk("timm", "torch", machine=lambda: f"{cpu_name()}, {gpu_name()}")
def training_rate(spec: EncoderSpec, batch_size: int) -> float:
    """Training images per second of one process with one thread, by the fastest of three steps.

    Other processes slow a step down and never speed it up, and the answer is cached.
    """
    where = device()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            model = Encoder(spec.model_copy(update={"pretrained": False}))
            images = torch.randn_like(model.blank(batch_size, where), requires_grad=spec.head.none)
        model.to(where).to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last) if images.ndim == 4 else images
        labels = torch.zeros(batch_size, dtype=torch.long, device=where)
        seconds = []
        for _ in range(4):
            begun = time.perf_counter()
            F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
            if where.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begun)
        return batch_size / min(seconds[1:])  # the first one allocates
    finally:
        torch.set_num_threads(threads)


@cached_on_disk("timm", "torch")
def forward_operations(spec: EncoderSpec) -> float:
    """Multiplications and additions of one image's forward pass, counted without computing anything."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.no_grad():
        encoder = Encoder(spec.model_copy(update={"pretrained": False})).eval()
        with FlopCounterMode(display=False) as counter:
            encoder(encoder.blank(2, "meta"))
    return float(counter.get_total_flops() / 2)
