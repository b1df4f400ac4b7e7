"""Images that stay in their files give what images in memory give, batch by batch, in training and embedding."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compatbench.data.dataset import Dataset, Split
from compatbench.data.image_file import Decoding, decode
from compatbench.data.image_files import ImageFiles, load_all, read, read_batches, slices
from compatbench.data.normalization import Normalization
from compatbench.discovery.datasets import load
from compatbench.errors import RequestError

COUNT, SIZE = 23, 8
Make = Callable[..., ImageFiles]


@pytest.fixture
def files(tmp_path: Path) -> ImageFiles:
    """Noise of various shapes, modes and orientations, the third with a box."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(COUNT):
        pixels = Image.fromarray(rng.integers(0, 256, (10 + number, 14, 3), np.uint8))
        image = pixels.convert(["RGB", "L", "CMYK"][number % 3])
        exif = Image.Exif()
        exif[0x0112] = [1, 6, 3][number % 3]
        paths.append(f"{number:02d}-é.jpg")
        image.save(tmp_path / paths[-1], "JPEG", exif=exif)
    boxes = np.tile([0, 0, 14, 10], (COUNT, 1)).astype(np.int64)
    boxes[2] = [3, 2, 9, 8]
    return ImageFiles(
        folder=tmp_path,
        paths=np.array([path.encode() for path in paths]),
        hashes=rng.integers(0, 256, (COUNT, 32), np.uint8),
        decoding=Decoding(),
        size=SIZE,
        rows=torch.arange(COUNT),
        boxes=boxes,
    )


@pytest.fixture
def in_memory(files: ImageFiles) -> torch.Tensor:
    """Decoded one by one, without any of the code under test but the decoder."""
    contents = [(files.folder / path.decode()).read_bytes() for path in files.paths]
    return torch.stack(
        [
            torch.from_numpy(decode(one, Decoding(), SIZE, tuple(box)))
            for one, box in zip(contents, files.boxes, strict=True)
        ]
    )


def test_they_look_like_a_tensor(files: ImageFiles, in_memory: torch.Tensor) -> None:
    assert (len(files), files.shape, files.ndim, files.dtype) == (COUNT, in_memory.shape, 4, torch.uint8)
    for index in (torch.tensor([4, 4, 0]), slice(3, 9), torch.arange(0)):
        assert files[index].shape == in_memory[index].shape
    assert files.to("meta").device == torch.device("meta")


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_are_those_of_memory_in_order(files: ImageFiles, in_memory: torch.Tensor, workers: int) -> None:
    indices = list(torch.randperm(COUNT, generator=torch.Generator().manual_seed(1)).split(5))
    found = list(files.batches(indices, workers))
    assert len(found) == len(indices) == 5
    for batch, index in zip(found, indices, strict=True):
        assert torch.equal(batch, in_memory[index])


def test_reading_takes_the_same_calls_for_both(files: ImageFiles, in_memory: torch.Tensor) -> None:
    picked = torch.tensor([5, 2, 9, 2])
    for images in (files, in_memory):
        assert torch.equal(read(images, picked), in_memory[picked])
        assert torch.equal(read(images[picked], slice(1, 3)), in_memory[[2, 9]])
        assert torch.equal(torch.cat(list(read_batches(images, slices(COUNT, 7)))), in_memory)
    assert torch.equal(load_all(files), in_memory)
    assert [(part.start, part.stop) for part in slices(COUNT, 10)] == [(0, 10), (10, 20), (20, COUNT)]


def test_reading_draws_no_random_numbers(files: ImageFiles) -> None:
    before = torch.get_rng_state()
    list(files.batches(slices(COUNT, 5), 1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_breaks_later_is_named_not_skipped(files: ImageFiles, workers: int) -> None:
    broken = files.folder / files.paths[11].decode()
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(RequestError, match=r"11-é.jpg was sound when the data were checked, and is no more"):
        list(files.batches(slices(COUNT, 6), workers))


def test_the_hash_is_of_contents_boxes_and_decoding(files: ImageFiles) -> None:
    others = [
        replace(files, hashes=np.flip(files.hashes, 0)),
        replace(files, boxes=None),
        replace(files, boxes=files.boxes + 1),
        replace(files, decoding=Decoding(fit="centre")),
        replace(files, decoding=Decoding(channels=1)),
        files[torch.arange(COUNT - 1)],
        files[torch.arange(COUNT).flip(0)],
    ]
    assert len({files.content_sha256, *(other.content_sha256 for other in others)}) == len(others) + 1
    elsewhere = replace(files, folder=files.folder / "moved", paths=np.flip(files.paths))
    assert elsewhere.content_sha256 == files.content_sha256


def split_of(images) -> Split:
    return Split(images, torch.arange(COUNT) % 3, torch.arange(COUNT))


def test_a_split_in_files_is_a_split(
    files: ImageFiles, in_memory: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy, eager = split_of(files), split_of(in_memory)
    assert (len(lazy), lazy.channels, lazy.image_size) == (len(eager), eager.channels, eager.image_size)
    assert torch.equal(lazy.gather(torch.tensor([3, 1])), eager.gather(torch.tensor([3, 1])))
    assert torch.equal(torch.cat(list(lazy.chunks())), in_memory)
    assert Normalization.of(lazy) == Normalization.of(eager)
    monkeypatch.setattr("compatbench.data.normalization.SAMPLE", 5)
    rows = [0, 4, 9, 13, 18]  # every 4.6th image
    assert Normalization.of(lazy) == Normalization.of(Split(in_memory[rows], torch.zeros(5), torch.arange(5)))


def test_blocks_are_bounded_by_bytes(files: ImageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compatbench.data.dataset.CHUNK_BYTES", 4 * 3 * SIZE**2)
    assert [len(block) for block in split_of(files).chunks()] == [4, 4, 4, 4, 4, 3]


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    for label in ("cat", "dog", "owl"):
        for number in range(12):
            path = tmp_path / "pets" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(path)
    return tmp_path


def test_size_decides_where_images_are(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """36 images of 3 x 16 x 16 bytes: at that limit in memory, one byte below it in files."""
    monkeypatch.setattr("compatbench.data.families.folder.IN_MEMORY", 36 * 3 * 16 * 16)
    eager = load("folder", 16, pets, {"path": "pets"})
    monkeypatch.setattr("compatbench.data.families.folder.IN_MEMORY", 36 * 3 * 16 * 16 - 1)
    lazy = load("folder", 16, pets, {"path": "pets"})
    assert isinstance(eager.train.images, torch.Tensor)
    assert isinstance(lazy.train.images, ImageFiles)
    for one, other in ((eager.train, lazy.train), (eager.query, lazy.query)):
        assert torch.equal(one.images, read(other.images, slice(0, len(other))))
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.ids, other.ids)
        assert one.names == other.names
    assert lazy.query is lazy.gallery
    again = load("folder", 16, pets, {"path": "pets"})
    assert again.fingerprint == lazy.fingerprint != eager.fingerprint


def embeddings_and_losses(dataset: Dataset, trainer, folder: Path):
    chain = trainer([{"share": 0.6}, {}], dataset=dataset, limit=30, runs=folder, batch_size=8)
    model = chain.baseline(1)
    return chain.embed_split(model, "query", 1)[0], model.facts["losses"], chain


def test_training_and_embedding_are_the_same_from_files(pets: Path, trainer, tmp_path: Path, monkeypatch) -> None:
    eager = load("folder", 16, pets, {"path": "pets"})
    monkeypatch.setattr("compatbench.data.families.folder.IN_MEMORY", 0)
    lazy = load("folder", 16, pets, {"path": "pets"})
    there, losses, _ = embeddings_and_losses(eager, trainer, tmp_path / "memory")
    here, same_losses, chain = embeddings_and_losses(lazy, trainer, tmp_path / "files")
    assert torch.equal(here, there)
    assert same_losses == losses
    assert isinstance(chain.training_set(1).images, ImageFiles)


class OnDevice(torch.Tensor):
    """An index that stands for one on a GPU: whoever copies it to the CPU is noted by process."""

    copied_by: list[int]

    def cpu(self, *_: object, **__: object) -> torch.Tensor:
        self.copied_by.append(os.getpid())
        return self.as_subclass(torch.Tensor)


def test_no_worker_touches_the_device(files: ImageFiles, in_memory: torch.Tensor) -> None:
    """A forked worker cannot use the GPU of the process that it comes from."""
    index = torch.arange(5).as_subclass(OnDevice)
    index.copied_by = []
    found = list(files.batches([index, torch.arange(5, 9)], workers=1))
    assert torch.equal(torch.cat(found), in_memory[:9])
    assert index.copied_by == [os.getpid()]
