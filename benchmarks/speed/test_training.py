"""The training loop beside the bare loop that one would write for a single model.

Both train the same network with the same optimiser on the same images in memory, on one thread, in turn in the same
rounds, so that other work on the machine strikes both. `ratio` is the median over the rounds of our images by theirs
in a second of processor time. The bare loop has its images normalised beforehand and knows no methods, schedules,
logs or seeds.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytest_benchmark.fixture import BenchmarkFixture

from compatbench import encoders
from compatbench.data.normalization import Normalization
from compatbench.discovery.plugins import discover
from compatbench.encoders import Encoder
from compatbench.generations.batches import TrainingSet, channels_last
from compatbench.generations.embedding_model import EmbeddingModel
from compatbench.generations.features import Features
from compatbench.generations.loop import train
from compatbench.method import Task
from compatbench.suite.encoder_spec import EmbeddingHeadSpec, EncoderSpec
from compatbench.suite.recipe import Recipe
from compatbench.vocabulary import HeadName

IMAGES, BATCH, SIZE, DIM, CLASSES = 1280, 128, 32, 64, 10
ROUNDS = 15
RECIPE = Recipe(epochs=1, batch_size=BATCH, lr=0.05)
NORMALIZE = Normalization((128.0,), (74.0,))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (IMAGES, 1, SIZE, SIZE), dtype=torch.uint8, generator=generator)
    return TrainingSet(images, torch.randint(0, CLASSES, (IMAGES,), generator=generator))


def untrained(backbone: str) -> EmbeddingModel:
    plugin = discover().get("independent")
    method = plugin.cls(plugin.resolve({}), Task(0, backbone, DIM, HeadName.SOFTMAX, tuple(range(CLASSES)), CLASSES))
    encoder = Encoder(EncoderSpec(backbone=backbone, dim=DIM, image_size=SIZE, channels=1))
    model = EmbeddingModel(encoder, method.head(DIM, CLASSES), method)
    return model.to(memory_format=torch.channels_last)


def bare_epoch(model: EmbeddingModel, images: torch.Tensor, labels: torch.Tensor) -> float:
    """One epoch by hand; returns its seconds of processor time."""
    encoder, head = model.encoder.train(), model.head
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    begun = time.process_time()
    for index in torch.randperm(len(images)).split(BATCH):
        loss = F.cross_entropy(F.linear(encoder(images[index]), head.weight), labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.process_time() - begun


@pytest.mark.timeout(900)
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit", "test_convnext"])
def test_training(benchmark: BenchmarkFixture, data: TrainingSet, backbone: str) -> None:
    start = untrained(backbone)
    assert isinstance(data.images, torch.Tensor)
    floats = channels_last(NORMALIZE(data.images))
    bare: list[float] = []
    ours: list[float] = []

    def set_up() -> tuple[tuple[EmbeddingModel], dict[str, object]]:
        bare.append(bare_epoch(copy.deepcopy(start), floats, data.labels))
        return (copy.deepcopy(start),), {}

    def run(model: EmbeddingModel) -> None:
        begun = time.process_time()
        train(model, data, NORMALIZE, RECIPE, seed=0)
        ours.append(time.process_time() - begun)

    benchmark.pedantic(run, setup=set_up, rounds=ROUNDS, warmup_rounds=1)
    ratios = [theirs / own for theirs, own in zip(bare, ours, strict=True)][1:]
    benchmark.extra_info["ratio"] = statistics.median(ratios)
    benchmark.extra_info["best_ratio"] = min(bare[1:]) / min(ours[1:])
    benchmark.extra_info["images"] = IMAGES
    assert len(ratios) == ROUNDS


ITEMS, FEATURES, HEAD_DIM, HEAD_CLASSES = 15_000, 1280, 128, 368
HEAD = EmbeddingHeadSpec(mlp=(512,))


@pytest.mark.timeout(900)
def test_training_on_features(benchmark: BenchmarkFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An MLP head on features in a memory-mapped file, four views an item, beside a bare loop over a tensor of one."""
    monkeypatch.setattr(encoders, "feature_dim", lambda spec: FEATURES)
    generator = torch.Generator().manual_seed(0)
    floats = torch.rand(ITEMS, FEATURES, generator=generator)
    labels = torch.randint(0, HEAD_CLASSES, (ITEMS,), generator=generator)
    np.save(tmp_path / "features.npy", floats.half().numpy())
    matrix = np.load(tmp_path / "features.npy", mmap_mode="r")
    views = [Features(rows=torch.arange(ITEMS), matrix=matrix, rate=1.0) for _ in range(4)]
    data = TrainingSet(views[0], labels, lambda trunk: views)
    plugin = discover().get("independent")
    task = Task(0, "frozen", HEAD_DIM, HeadName.SOFTMAX, tuple(range(HEAD_CLASSES)), HEAD_CLASSES)
    method = plugin.cls(plugin.resolve({}), task)
    spec = EncoderSpec(backbone="frozen", dim=HEAD_DIM, image_size=SIZE, channels=3, frozen=True, head=HEAD)
    start = EmbeddingModel(Encoder(spec), method.head(HEAD_DIM, HEAD_CLASSES), method)
    bare: list[float] = []
    ours: list[float] = []

    def set_up() -> tuple[tuple[EmbeddingModel], dict[str, object]]:
        bare.append(bare_epoch(copy.deepcopy(start), floats, labels))
        return (copy.deepcopy(start),), {}

    def run(model: EmbeddingModel) -> None:
        begun = time.process_time()
        train(model, data, NORMALIZE, RECIPE, seed=0)
        ours.append(time.process_time() - begun)

    benchmark.pedantic(run, setup=set_up, rounds=7, warmup_rounds=1)
    ratios = [theirs / own for theirs, own in zip(bare, ours, strict=True)][1:]
    benchmark.extra_info["ratio"] = statistics.median(ratios)
    benchmark.extra_info["best_ratio"] = min(bare[1:]) / min(ours[1:])
    benchmark.extra_info["images"] = ITEMS
    benchmark.extra_info["items_per_processor_second"] = ITEMS / min(ours[1:])
    assert len(ratios) == 7


SEEDS = 3


@pytest.mark.timeout(900)
def test_heads_of_several_seeds_at_once(benchmark: BenchmarkFixture) -> None:
    """Bare loops over three heads, one after another and stacked with torch.func; training them so is worth it at 2."""
    generator = torch.Generator().manual_seed(0)
    floats = torch.rand(BATCH * 20, FEATURES, generator=generator)
    labels = torch.randint(0, HEAD_CLASSES, (len(floats),), generator=generator)

    def head() -> torch.nn.Module:
        layers = torch.nn.Linear(FEATURES, 512), torch.nn.ReLU(), torch.nn.Linear(512, HEAD_DIM)
        return torch.nn.Sequential(*layers, torch.nn.Linear(HEAD_DIM, HEAD_CLASSES))

    def epoch(parameters: list[torch.Tensor], loss_of: Callable[[torch.Tensor], torch.Tensor]) -> float:
        optimizer = torch.optim.AdamW(parameters)
        begun = time.process_time()
        for index in torch.arange(len(floats)).split(BATCH):
            loss = loss_of(index)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return time.process_time() - begun

    def in_turn() -> float:
        def alone(one: torch.nn.Module) -> float:
            return epoch(list(one.parameters()), lambda index: F.cross_entropy(one(floats[index]), labels[index]))

        return sum(alone(head()) for _ in range(SEEDS))

    def stacked() -> float:
        empty = head()
        parameters, buffers = torch.func.stack_module_state([head() for _ in range(SEEDS)])

        def losses(own: dict[str, torch.Tensor], images: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
            return F.cross_entropy(torch.func.functional_call(empty, (own, buffers), (images,)), wanted)

        several = torch.vmap(losses, in_dims=(0, 0, 0))

        def loss_of(index: torch.Tensor) -> torch.Tensor:  # every seed has its own order, so its own batch
            batch = torch.stack([floats[index]] * SEEDS), torch.stack([labels[index]] * SEEDS)
            return several(parameters, *batch).sum()

        return epoch(list(parameters.values()), loss_of)

    times: dict[str, list[float]] = {"in turn": [], "stacked": []}

    def both() -> None:
        times["in turn"].append(in_turn())
        times["stacked"].append(stacked())

    benchmark.pedantic(both, rounds=5, warmup_rounds=1)
    benchmark.extra_info["ratio"] = statistics.median(times["in turn"]) / statistics.median(times["stacked"])
    benchmark.extra_info["ratio_of"] = "three heads in turn / stacked"
    assert len(times["stacked"]) == 6
