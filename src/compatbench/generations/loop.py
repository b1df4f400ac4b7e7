"""The training loop: one for all methods. A method adds terms to the loss and never sees this file."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from compatbench.data.image_files import read, read_batches, slices
from compatbench.data.normalization import Normalization
from compatbench.errors import ContractError
from compatbench.generations.batches import TrainingSet, channels_last, training_batches
from compatbench.generations.embedding_model import EmbeddingModel
from compatbench.generations.features import EncoderInputs, Features
from compatbench.generations.loss_log import LossLog
from compatbench.generations.optimizer import build_optimizer
from compatbench.heads import Head
from compatbench.machine import processes
from compatbench.machine.seeds import global_stream, stream
from compatbench.method import Batch, TrainingMethod
from compatbench.model import NewModel, OldModel, View
from compatbench.suite.recipe import Recipe
from compatbench.vocabulary import Need

EMBEDDING_BATCH = 512
DOCUMENTS_TERM = "classification of documents"
"""Loss of the encoder of the documents, where they have one of their own."""
ACCURACY = "training accuracy"
"""Logged beside the terms of the loss."""
REPORT_EVERY = 20
"""Steps between two looks at the losses: each look waits for the device."""


@dataclass
class TrainingReport:
    """Curves and speed of a training."""

    losses: dict[str, list[float]]
    """Mean of each term per epoch."""
    accuracy: list[float]
    """Share of the images that the model's own head classified right, per epoch; empty without a trained classifier."""
    held_out: dict[str, list[float]]
    """`loss` of the model's own head and `accuracy` on held-out images, without augmentation, after every epoch.

    Empty without a trained classifier, and without held-out images.
    """
    seconds: float
    images_per_second: float
    """Median over the epochs' windows of steps, without set-up."""
    step_seconds: float = 0.0
    """Mean time of a step without set-up, of the processor; on an accelerator, of the clock."""

    @property
    def facts(self) -> dict[str, Any]:
        """As an artefact keeps it."""
        return {
            "losses": self.losses,
            "accuracy": self.accuracy,
            "held_out": self.held_out,
            "train_seconds": self.seconds,
            "train_images_per_second": self.images_per_second,
            "step_seconds": self.step_seconds,
        }

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> TrainingReport:
        """From what `facts` gave; models of earlier versions have no curves of accuracy."""
        speed = facts["train_seconds"], facts["train_images_per_second"]
        curves = facts["losses"], facts.get("accuracy", []), facts.get("held_out", {})
        return cls(*curves, *speed, facts.get("step_seconds", 0.0))


Progress = Callable[[float], None]
"""Told the share of the work done, in [0, 1]."""


@torch.no_grad()
def embed_images(model: EmbeddingModel, images: EncoderInputs, normalize: Normalization) -> Tensor:
    """Embeddings (N, D) float32 of uint8 images (N, C, H, W) or features (N, F), in evaluation mode, not normalised."""
    was_training = model.training
    model.eval()
    own = images[processes.share(len(images))]
    places = slices(len(own), EMBEDDING_BATCH)
    if isinstance(own, Features):
        parts = [model(own.read(place)).float() for place in places]
    else:
        parts = [model(channels_last(normalize(batch))).float() for batch in read_batches(own, places)]
    model.train(was_training)
    return processes.gather(torch.cat(parts), len(images))


def training_stage(model: str) -> str:
    """The stage in which a model such as `independent 0` is trained."""
    return f"train {model}"


def train(
    model: EmbeddingModel,
    data: TrainingSet,
    normalize: Normalization,
    recipe: Recipe,
    seed: int,
    *,
    held_out: TrainingSet | None = None,
    generation: int = 0,
    old: OldModel | None = None,
    independent: EmbeddingModel | None = None,
    progress: Progress = lambda share: None,
) -> TrainingReport:
    """Train `model` in place by `recipe` and its method, and return the loss curves and the speed.

    `held_out` images are looked at after every epoch, and change nothing.

    Order, augmentation, set-up, dropout and the method's own draws come from separate streams of `seed`, so
    that all methods of a cell see the same batches. Raises InvalidResultError where a loss term is not finite.
    """
    device = data.images.device
    method = model.method
    mixed = recipe.precision == "bfloat16"
    view = functools.partial(View, mixed_precision=mixed)

    new = NewModel(model, lambda: embed_images(model, data.images, normalize), data.labels)
    with global_stream(seed, "setup", generation):
        method.setup(new, old)
    model.to(device).to(memory_format=torch.channels_last)
    model.train()
    for encoder in model.encoders:
        processes.share_batch_norm(encoder, device)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = build_optimizer(recipe, parameters)

    order = stream(seed, "order", generation)
    source = training_batches(data, model.encoder, normalize, recipe.augmentation, seed, generation)
    own = stream(seed, "method", generation, device=device)
    batch_size = min(recipe.batch_size, len(data))
    steps = len(data) // batch_size
    log = LossLog()
    unseen: dict[str, list[float]] = {}
    clock = _StepClock(device)
    begun = time.perf_counter()

    with global_stream(seed, "training", generation):  # what dropout draws from
        for epoch in range(recipe.epochs):
            method.start_epoch(epoch, recipe.epochs, new, old)
            permutation = torch.randperm(len(data), generator=order)
            clock.start()
            indices = permutation.split(batch_size)[:steps]  # type: ignore[no-untyped-call]
            batches = source.batches(indices, two_views=Need.TWO_VIEWS in method.needs)
            moved = permutation.to(device).split(batch_size)[:steps]  # type: ignore[no-untyped-call]
            for step, (index, views) in enumerate(zip(moved, batches, strict=True)):
                done = (epoch * steps + step) / (recipe.epochs * steps)
                for group in optimizer.param_groups:
                    group["lr"] = recipe.rate(done)
                images = views.first
                batch = Batch(
                    images=images,
                    labels=data.labels[index],
                    index=index,
                    epoch=epoch,
                    epochs=recipe.epochs,
                    progress=done,
                    generator=own,
                    second_view=views.second,
                    independent=view(independent, images, frozen=True) if independent is not None else None,
                )
                seen_by_old = old.view(images, mixed_precision=mixed, own=views.own) if old is not None else None
                seen = view(model, images, frozen=False)
                terms = loss_terms(method, batch, seen, seen_by_old)
                if model.document_encoder is not None:  # the shared head ties the two encoders to one space
                    documents = view(model.documents, views.own(model.document_encoder, images), frozen=False)
                    terms[DOCUMENTS_TERM] = method.classification(batch, documents, seen_by_old).float()
                log.add(terms | _accuracy(method, model.head, seen, batch.labels))
                _step(optimizer, parameters, torch.stack(list(terms.values())).sum())
                if (step + 1) % REPORT_EVERY == 0 or step + 1 == steps:
                    log.look()
                    clock.stop(step % REPORT_EVERY + 1)
                    progress((epoch * steps + step + 1) / (recipe.epochs * steps))
            log.end_epoch()
            _look_at(held_out, model, normalize, unseen)

    processes.copy_from_first(model.state_dict().values())
    model.eval()
    return TrainingReport(
        losses={name: curve for name, curve in log.curves.items() if name != ACCURACY},
        accuracy=log.curves.get(ACCURACY, []),
        held_out=unseen,
        seconds=time.perf_counter() - begun,
        images_per_second=batch_size * statistics.median(clock.rates),
        step_seconds=clock.busy_seconds / (recipe.epochs * steps),
    )


class _StepClock:
    """Times windows of steps."""

    def __init__(self, device: torch.device) -> None:
        self._busy = time.process_time if device.type == "cpu" else time.perf_counter
        self.rates: list[float] = []
        """Steps a second of each window, by the clock."""
        self.busy_seconds = 0.0
        """Of all windows, by the processor; on an accelerator, by the clock."""

    def start(self) -> None:
        self._since = time.perf_counter(), self._busy()

    def stop(self, steps: int) -> None:
        """End a window of so many steps, and begin the next one."""
        clock, busy = self._since
        self.start()
        self.rates.append(steps / (self._since[0] - clock))
        self.busy_seconds += self._since[1] - busy


@torch.no_grad()
def _look_at(
    held_out: TrainingSet | None, model: EmbeddingModel, normalize: Normalization, curves: dict[str, list[float]]
) -> None:
    """Add loss and accuracy of the model's own head on the images `held_out` to `curves`."""
    if held_out is None or not model.method.trains_classifier:
        return
    embeddings = embed_images(model, held_out.images, normalize).to(model.head.weight.dtype)
    right = model.head(embeddings).argmax(dim=1) == held_out.labels
    curves.setdefault("loss", []).append(model.head.loss(embeddings, held_out.labels).item())
    curves.setdefault("accuracy", []).append(right.float().mean().item())


@torch.no_grad()
def _accuracy(method: TrainingMethod, head: Head, seen: View, labels: Tensor) -> dict[str, Tensor]:
    """The share of a batch that the head classified right before the step; nothing of a method without classifier."""
    if not method.trains_classifier:
        return {}
    return {ACCURACY: (head(seen.embeddings).argmax(dim=1) == labels).float().mean()}


def _step(optimizer: torch.optim.Optimizer, parameters: Sequence[Parameter], loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    processes.average_gradients(parameters)
    optimizer.step()


def loss_terms(method: TrainingMethod, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
    """All terms of the loss by name: that of `classification`, and those of `loss`."""
    base = method.classification_term
    terms: dict[str, Tensor] = {base: method.classification(batch, new, old)}
    extra: dict[str, Tensor] = method.loss(batch, new, old)
    if base in extra:
        raise ContractError(f"loss() returns a term '{base}': rename it, or override classification()")
    terms |= extra
    for name, value in terms.items():
        if value.ndim != 0:
            raise ContractError(f"loss term '{name}' has shape {tuple(value.shape)}: return a scalar, e.g. its mean")
    return {name: value.float() for name, value in terms.items()}


def embedding_rate(model: EmbeddingModel, images: EncoderInputs, normalize: Normalization) -> float:
    """Images per second of embedding one batch, median of three after a warm-up.

    From features, the time that their trunk took is added.
    """
    batch: EncoderInputs = (
        images[:EMBEDDING_BATCH] if isinstance(images, Features) else read(images, slice(0, EMBEDDING_BATCH))
    )
    seconds = []
    for _ in range(4):
        begun = time.perf_counter()
        embed_images(model, batch, normalize).cpu()
        seconds.append(time.perf_counter() - begun)
    trunk = 1 / images.rate if isinstance(images, Features) else 0.0
    return 1 / (statistics.median(seconds[1:]) / len(batch) + trunk)
