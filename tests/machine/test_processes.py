"""Two processes over gloo against one: the same numbers from losses that couple the samples of a batch.

In float64 nothing but the order of sums is left between the two, and embeddings after a training agree to 1e-6. In
float32, in which suites run, rounding grows as training goes on: scores of the trainings here agree to 0.002.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pair import Pair
from PIL import Image
from torch import Tensor, nn

from compatbench.data.image_file import Decoding
from compatbench.data.image_files import ImageFiles, load_all
from compatbench.data.normalization import Normalization
from compatbench.discovery.datasets import load
from compatbench.discovery.plugins import discover
from compatbench.encoders import Encoder
from compatbench.evaluation.retrieval import evaluate
from compatbench.generations.batches import TrainingSet
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.embedding_model import EmbeddingModel
from compatbench.generations.loop import embed_images, train
from compatbench.generations.serving import serve
from compatbench.machine import processes
from compatbench.machine.seeds import global_stream
from compatbench.measurement.served_chain import ServedChain
from compatbench.method import Params, Task, TrainingMethod
from compatbench.records.environment import device
from compatbench.records.store import Store
from compatbench.storage.artefacts import Artefact, get_or_make_together
from compatbench.suite.encoder_spec import EncoderSpec
from compatbench.suite.recipe import Augmentation, Recipe
from compatbench.suite.scenarios import GenerationSpec

Array = NDArray[Any]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with Pair() as started:
        yield started


def shares(rows: int) -> tuple[int, int]:
    own = processes.share(rows)
    return own.start, own.stop


def test_shares_are_consecutive_and_cover_all_rows_once(pair: Pair) -> None:
    assert shares(7) == (0, 7), "a process on its own has them all"
    for rows in range(2, 12):
        first, second = pair.both(shares, rows)
        assert first[0] == 0
        assert first[1] == second[0]
        assert second[1] == rows
        assert abs((first[1] - first[0]) - (second[1] - second[0])) <= 1
    assert pair.both(shares, 1) == ((0, 1), (0, 1)), "too few to share"


ROWS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def coupled(rows: int, weight: Array) -> tuple[Array, list[Array]]:
    """A layer on `rows` rows in shares, and gradients of a loss over all pairs, with a layer of its own on top."""
    layer, top = nn.Linear(3, 4).double(), nn.Linear(4, 2).double()
    unused = nn.Parameter(torch.zeros(2))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.fill_(0.1)
        top.weight.copy_(torch.from_numpy(weight[:2] @ weight.T))
        top.bias.zero_()
    out = processes.in_shares(layer, ROWS[:rows])
    similarity = top(out) @ top(out).T
    loss = similarity.logsumexp(1).mean() + 0.1 * layer.weight.square().sum()  # and directly on what made the rows
    loss.backward()
    parameters = [*layer.parameters(), *top.parameters(), unused]
    processes.average_gradients(parameters)
    return out.detach().numpy(), [each.grad.numpy() for each in parameters if each.grad is not None]


@pytest.mark.parametrize("rows", [1, 2, 3, 6, 7])
def test_gradients_of_a_loss_of_the_whole_batch(pair: Pair, rows: int) -> None:
    weight = np.random.default_rng(1).normal(size=(4, 3))
    out, gradients = coupled(rows, weight)
    np.testing.assert_allclose(out, ROWS[:rows].numpy() @ weight.T + 0.1, rtol=1e-12)
    for shared, averaged in pair.both(coupled, rows, weight):
        np.testing.assert_allclose(shared, out, rtol=1e-12)
        assert len(averaged) == len(gradients) == 4
        for one, other in zip(averaged, gradients, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-14)


def normalised(rows: int) -> list[Array]:
    """A batch norm on shares: the output, the gradients of a coupled loss, and the running statistics."""
    torch.manual_seed(0)
    layer, norm = nn.Linear(3, 3).double(), nn.BatchNorm1d(3).double()
    processes.share_batch_norm(norm, torch.device("cpu"))
    out = processes.in_shares(lambda part: norm(layer(part)), ROWS[:rows])
    (out @ out.T).logsumexp(1).mean().backward()
    parameters = [*layer.parameters(), *norm.parameters()]
    processes.average_gradients(parameters)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    statistics = [norm.running_mean.numpy(), norm.running_var.numpy()]
    norm.eval()
    again = processes.in_shares(norm, ROWS[:rows]).detach().numpy()
    return [
        out.detach().numpy(),
        *(each.grad.numpy() for each in parameters if each.grad is not None),
        *statistics,
        again,
    ]


@pytest.mark.parametrize("rows", [4, 7])
def test_batch_norm_takes_the_statistics_of_the_whole_batch(pair: Pair, rows: int) -> None:
    expected = normalised(rows)
    assert abs(expected[0].mean()) < 1e-12, "normalised"
    for found in pair.both(normalised, rows):
        assert len(found) == len(expected) == 8
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@contextmanager
def float64() -> Iterator[None]:
    """Models and images in float64."""
    in_float32 = Normalization.__call__
    torch.set_default_dtype(torch.float64)
    Normalization.__call__ = lambda self, images: in_float32(self, images).double()  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        Normalization.__call__ = in_float32  # type: ignore[method-assign]


@functools.cache
def catalogue() -> Any:
    return discover()


def digits_trainer(root: Path, backbone: str, **recipe: Any) -> ChainTrainer:
    return ChainTrainer(
        tuple(
            GenerationSpec.model_validate({"backbone": backbone, "dim": 12, **step}) for step in ({"share": 0.5}, {})
        ),
        load("digits", 16, root, {}),
        76,
        Recipe.model_validate({"epochs": 2, "augmentation": {"crop_padding": 1}, **recipe}),
        0,
        catalogue(),
        Store(root / f"runs{processes.size()}"),
        device(),
        lambda stage, share: None,
        print,
    )


def in_float64(root: Path, method: str, backbone: str) -> tuple[list[Array], list[str]]:
    """Embeddings of both generations after a training whose batches are no multiple of two."""
    with float64():
        trainer = digits_trainer(root, backbone, batch_size=25, lr=0.05)
        plugin = catalogue().get(method)
        served = serve(trainer, plugin, plugin.resolve({}))
    return [one.gallery.numpy() for one in served], [one.id for one in served]


COUPLED = [
    ("bct", "test_resnet"),
    ("advbct", "test_efficientnet"),
    ("contrastive_ssl", "test_vit"),
]


@pytest.mark.parametrize(("method", "backbone"), COUPLED)
def test_a_training_is_the_same_but_for_the_order_of_sums(
    pair: Pair, tmp_path: Path, method: str, backbone: str
) -> None:
    expected, names = in_float64(tmp_path, method, backbone)
    first, second = pair.both(in_float64, tmp_path, method, backbone)
    for one, other, alone in zip(first[0], second[0], expected, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, alone, rtol=0, atol=1e-6 * np.abs(alone).max())
    assert first[1] == second[1] == names, "the number of processes is in no name"


def scores(root: Path) -> list[float]:
    trainer = digits_trainer(root, "test_resnet", batch_size=32, optimizer="adamw", lr=0.003)
    served = serve(trainer, catalogue().get("bct"), catalogue().get("bct").resolve({}))
    tested = ServedChain.of(trainer, served, {})
    results = [evaluate(*tested.pair(*at), "cosine") for at in ((0, 0), (1, 0), (1, 1))]
    return [float(each.per_query("mAP").mean()) for each in results]


def test_two_processes_score_as_one_with_the_double_batch(pair: Pair, tmp_path: Path) -> None:
    """Each process has 16 images of a batch of 32."""
    alone = scores(tmp_path)
    first, second = pair.both(scores, tmp_path)
    assert first == second
    assert first == pytest.approx(alone, abs=0.002)
    assert alone[0] > 0.15, "they have learned something"


def frozen(root: Path, runs: str) -> tuple[list[Array], list[Array]]:
    """Features of a trunk, and embeddings by heads that are trained on them."""
    trainer = digits_trainer(root, "test_resnet", batch_size=25, lr=0.05)
    head = {"mlp": [24], "batch_norm": True}
    trainer.chain = tuple(
        GenerationSpec.model_validate(one.model_dump() | {"frozen": True, "head": head}) for one in trainer.chain
    )
    trainer.store = Store(root / runs)
    served = serve(trainer, catalogue().get("l2"), catalogue().get("l2").resolve({}))
    trunk = served[0].trained.model.encoder.spec.trunk
    views = trainer.features.views(trunk, trainer.indices[1])
    return [view.read(slice(None)).numpy() for view in views], [one.gallery.numpy() for one in served]


def test_features_and_the_heads_trained_on_them_are_those_of_one_process(pair: Pair, tmp_path: Path) -> None:
    """In 16 bits a feature may be rounded to its neighbour where a share is computed by another kernel."""
    features, embeddings = frozen(tmp_path, "alone")
    first, second = pair.both(frozen, tmp_path, "two")
    for one, other, alone in zip(first[0], second[0], features, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, alone, rtol=2e-3, atol=1e-4)
    for one, other, alone in zip(first[1], second[1], embeddings, strict=True):
        np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(one, alone, rtol=0, atol=0.02 * np.abs(alone).max())


FILES = 29


class Plain(TrainingMethod):
    """Nothing but classification."""

    name = "plain"


def from_files(folder: Path) -> tuple[Array, Array]:
    """Embeddings of images in files before and after a training on them."""
    files = ImageFiles(
        folder,
        np.array([f"{number}.png".encode() for number in range(FILES)]),
        np.zeros((FILES, 32), np.uint8),
        Decoding(channels=1),
        16,
        rows=torch.arange(FILES),
    )
    images = files if processes.size() > 1 else load_all(files)
    method = Plain(Params(), Task(0, "test_vit", 6, "softmax", (0, 1), 2))
    with global_stream(0, "test"):
        encoder = Encoder(EncoderSpec(backbone="test_vit", dim=6, image_size=16, channels=1))
        model = EmbeddingModel(encoder, method.head(6, 2), method)
    normalize = Normalization((127.0,), (73.0,))
    before = embed_images(model, images, normalize)
    data = TrainingSet(images, torch.arange(FILES) % 2)
    train(
        model, data, normalize, Recipe(epochs=1, batch_size=13, lr=0.01, augmentation=Augmentation(crop_padding=1)), 0
    )
    return before.numpy(), embed_images(model, images, normalize).numpy()


def test_images_in_files_are_decoded_in_shares_and_embedded_one_row_each_in_order(pair: Pair, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(FILES):
        Image.fromarray(rng.integers(0, 256, (16, 16), np.uint8)).save(tmp_path / f"{number}.png")
    before, after = from_files(tmp_path)
    assert before.shape == after.shape == (FILES, 6)
    distances = np.linalg.norm(before[:, None] - before[None], axis=2) + np.eye(FILES)
    assert distances.min() > 1e-3, "no two alike, so that a repeated or a misplaced row shows"
    assert np.abs(after - before).max() > 1e-3, "it was trained"
    for shared_before, shared_after in pair.both(from_files, tmp_path):
        np.testing.assert_allclose(shared_before, before, rtol=0, atol=1e-5)
        np.testing.assert_allclose(shared_after, after, rtol=0, atol=1e-5)


def made(folder: Path) -> tuple[int, float]:
    """How often this process made an artefact that holds its rank, and what it got."""
    times = 0

    def make() -> Artefact:
        nonlocal times
        times += 1
        return Artefact({"rank": torch.tensor([processes.rank()]), "sum": _sum(torch.ones(1))})

    got = get_or_make_together(folder, "one", make).tensors
    return times, float(got["rank"]) + 10 * float(got["sum"])


def _sum(value: Tensor) -> Tensor:
    """Takes all processes."""
    return processes.gather(value, processes.size()).sum()


def test_an_artefact_is_made_by_all_and_written_by_the_first(pair: Pair, tmp_path: Path) -> None:
    assert pair.both(made, tmp_path) == ((1, 20.0), (1, 20.0))
    assert pair.both(made, tmp_path) == ((0, 20.0), (0, 20.0)), "found"
    assert made(tmp_path) == (0, 20.0)
    [path] = tmp_path.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    assert pair.both(made, tmp_path) == ((1, 20.0), (1, 20.0)), "damaged"
