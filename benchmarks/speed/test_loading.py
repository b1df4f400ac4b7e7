"""Speed of the data path: reading Fashion-MNIST, resizing it, gathering and augmenting batches, decoding files."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytest_benchmark.fixture import BenchmarkFixture

from compatbench.data.dataset import Dataset, Split
from compatbench.data.families import fashion_mnist
from compatbench.data.families.fashion_mnist import IdxFile
from compatbench.data.image_file import Decoding
from compatbench.data.image_files import ImageFiles, slices
from compatbench.data.normalization import Normalization
from compatbench.data.resize import resize
from compatbench.data.sound_files import verify_files
from compatbench.generations.augmentation import augment
from compatbench.suite.recipe import Augmentation

BATCH = 128
PHOTOGRAPHS = 32
"""In a batch."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of the true format and size. Real clothes compress about twofold, so half of each image is noise."""
    folder = tmp_path_factory.mktemp("fashion_mnist")
    random = np.random.default_rng(0)
    for what, file in fashion_mnist.FILES.items():
        count = 60_000 if what.startswith("train") else 10_000
        if "images" in what:
            array = random.integers(0, 256, (count, 28, 28), np.uint8)
            array[:, :14] = 0
        else:
            array = random.integers(0, 10, count, np.uint8)
        header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (folder / file.name).write_bytes(gzip.compress(header + array.tobytes(), compresslevel=1))
    return folder


@pytest.fixture(scope="module")
def dataset(folder: Path) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "FILES", synthetic_files(folder))
        return fashion_mnist.read_folder(folder)


@pytest.fixture(scope="module")
def train(dataset: Dataset) -> Split:
    """The training images as models of the default suite see them, 32x32."""
    assert isinstance(dataset.train.images, torch.Tensor)
    return Split(resize(dataset.train.images, 32), dataset.train.labels, dataset.train.ids)


def synthetic_files(folder: Path) -> dict[str, IdxFile]:
    return {
        what: IdxFile(
            file.name, file.size, hashlib.sha256(gzip.decompress((folder / file.name).read_bytes())).hexdigest(), ""
        )
        for what, file in fashion_mnist.FILES.items()
    }


def test_read_fashion_mnist(benchmark: BenchmarkFixture, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "FILES", synthetic_files(folder))
    dataset = benchmark.pedantic(fashion_mnist.read_folder, (folder,), rounds=3)
    assert (len(dataset.train), len(dataset.query)) == (60_000, 10_000)


def test_resize_fashion_mnist(benchmark: BenchmarkFixture, dataset: Dataset) -> None:
    resized = benchmark.pedantic(resize, (dataset.train.images, 32), rounds=3)
    assert resized.shape == (60_000, 1, 32, 32)


def test_fingerprint(benchmark: BenchmarkFixture, dataset: Dataset) -> None:
    def fingerprint() -> str:
        return Dataset(dataset.name, dataset.class_names, dataset.train, dataset.query, dataset.gallery).fingerprint

    assert len(benchmark(fingerprint)) == 64


def test_gather(benchmark: BenchmarkFixture, train: Split) -> None:
    rows = torch.randperm(len(train))[:BATCH]
    benchmark.extra_info["images"] = BATCH
    assert len(benchmark(train.gather, rows)) == BATCH


@pytest.mark.parametrize("kind", ["none", "crop", "flip", "crop and flip"])
def test_gather_augment_normalize(benchmark: BenchmarkFixture, train: Split, kind: str) -> None:
    """What a training step waits for; images a second are `images` / the time."""
    augmentation = Augmentation(crop_padding=4 if "crop" in kind else 0, horizontal_flip="flip" in kind)
    normalize = Normalization.of(train)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randperm(len(train))[:BATCH]
    benchmark.extra_info["images"] = BATCH
    batch = benchmark(lambda: normalize(augment(train.gather(rows), augmentation, generator)))
    assert batch.shape == (BATCH, 1, 32, 32)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> ImageFiles:
    """JPEG files of ImageNet's usual size, 500x375 pixels and about 70 kB."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    paths = [f"{number}.jpg" for number in range(4 * PHOTOGRAPHS)]
    for path in paths:
        coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(folder / path, quality=90)
    return ImageFiles(
        folder=folder,
        paths=np.array([path.encode() for path in paths]),
        hashes=np.zeros((len(paths), 32), np.uint8),
        decoding=Decoding(fit="centre"),
        size=224,
        rows=torch.arange(len(paths)),
    )


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_decode_batches(benchmark: BenchmarkFixture, photographs: ImageFiles, workers: int) -> None:
    """Four batches of 224x224 out of files, the start of the worker processes included."""
    benchmark.extra_info["images"] = len(photographs)
    batches = slices(len(photographs), PHOTOGRAPHS)
    found = benchmark.pedantic(lambda: list(photographs.batches(batches, workers)), rounds=3)
    assert [batch.shape for batch in found] == [(PHOTOGRAPHS, 3, 224, 224)] * 4


def test_look_at_known_files(benchmark: BenchmarkFixture, photographs: ImageFiles) -> None:
    """What loading a dataset costs once its files were verified."""
    paths = [path.decode() for path in photographs.paths]
    ledger = photographs.folder / ".checked" / "toy.parquet"
    verify_files(photographs.folder, paths, ledger, lambda line: None)
    benchmark.extra_info["images"] = len(paths)
    found = benchmark(verify_files, photographs.folder, paths, ledger, lambda line: None)
    assert len(found.sizes) == len(paths)
