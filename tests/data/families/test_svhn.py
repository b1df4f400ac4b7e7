import hashlib
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from torchvision.datasets import SVHN

from compatbench.data.families.svhn import FILES
from compatbench.discovery.datasets import check, load
from compatbench.errors import RequestError


@pytest.fixture
def arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Both files in the true format: X (32, 32, 3, N), y (N, 1) with 10 for the digit 0."""
    rng = np.random.default_rng(0)
    made, split_list = {}, dict(SVHN.split_list)
    (tmp_path / "svhn").mkdir()
    for part, count in (("train", 20), ("test", 10)):
        pixels = rng.integers(0, 256, (32, 32, 3, count), np.uint8)
        digits = (np.arange(count) % 10 + 1).astype(np.uint8)[:, None]
        path = tmp_path / "svhn" / f"{part}_32x32.mat"
        savemat(path, {"X": pixels, "y": digits})
        made[part] = pixels, digits
        split_list[part] = [split_list[part][0], path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    monkeypatch.setattr(SVHN, "split_list", split_list)
    return made


def test_images_and_labels_are_those_of_the_files(arrays, tmp_path: Path) -> None:
    dataset = load("svhn", None, tmp_path, {})
    for split, part, first in ((dataset.train, "train", 0), (dataset.query, "test", 20)):
        pixels, digits = arrays[part]
        for row, label in enumerate(digits[:, 0].tolist()):
            assert split.labels[row] == label % 10  # the digit 0 is called 10 in the files
            np.testing.assert_array_equal(split.images[row].numpy(), pixels[:, :, :, row].transpose(2, 0, 1))
        assert split.ids.tolist() == list(range(first, first + len(split)))
    assert check("svhn", tmp_path, {}) == "svhn: ok, 20 train, 10 query = gallery images, 10 classes"


def test_missing_and_damaged_files_are_named(arrays, tmp_path: Path) -> None:
    path = tmp_path / "svhn" / "test_32x32.mat"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RequestError, match=r"test_32x32.mat is damaged; delete it and run `compatbench data get svhn`"):
        load("svhn", None, tmp_path, {})
    path.unlink()
    with pytest.raises(RequestError, match=r"test_32x32.mat is missing; run `compatbench data get svhn`"):
        load("svhn", None, tmp_path, {})


def test_the_published_hashes_are_whole() -> None:
    assert all(len(bytes.fromhex(sha256)) == 32 for sha256 in FILES.values())
