import gzip
import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compatbench.data.families import fashion_mnist
from compatbench.data.families.fashion_mnist import IdxFile
from compatbench.data.sources import FetchError
from compatbench.discovery.datasets import check, get, load
from compatbench.errors import RequestError

WriteIdx = Callable[[Path, np.ndarray], Path]
REMEDY = "run `compatbench data get fashion_mnist`"


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "train images": random.integers(0, 256, (30, 28, 28), np.uint8),
        "train labels": np.arange(30, dtype=np.uint8) % 10,
        "test images": random.integers(0, 256, (20, 28, 28), np.uint8),
        "test labels": np.arange(20, dtype=np.uint8) % 10,
    }


@pytest.fixture
def published(tmp_path: Path, arrays, write_idx: WriteIdx, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with four tiny files, which this test takes for the published ones; no Debian package."""
    folder = tmp_path / "published"
    publish(folder, arrays, write_idx, monkeypatch)
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "no-debian-package")
    return folder


def publish(folder: Path, arrays: dict[str, np.ndarray], write_idx: WriteIdx, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {}
    for what, original in fashion_mnist.FILES.items():
        packed = write_idx(folder / original.name, arrays[what]).read_bytes()
        content = gzip.decompress(packed)
        hashes = [hashlib.sha256(part).hexdigest() for part in (content, packed)]
        files[what] = IdxFile(original.name, len(content), *hashes)
    monkeypatch.setattr(fashion_mnist, "FILES", files)


@pytest.fixture
def root(published: Path, tmp_path: Path) -> Path:
    """A data folder that has the four files."""
    (tmp_path / "data").mkdir()
    published.rename(tmp_path / "data" / "fashion_mnist")
    return tmp_path / "data"


def names() -> list[str]:
    return [file.name for file in fashion_mnist.FILES.values()]


def test_images_labels_and_ids_are_those_of_the_files(root: Path, arrays) -> None:
    dataset = load("fashion_mnist", None, root, {})
    assert dataset.class_names[9] == "Ankle boot"
    assert dataset.query is dataset.gallery
    for split, part, first_id in ((dataset.train, "train", 0), (dataset.query, "test", 30)):
        np.testing.assert_array_equal(split.images[:, 0].numpy(), arrays[f"{part} images"])
        np.testing.assert_array_equal(split.labels.numpy(), arrays[f"{part} labels"])
        assert split.ids.tolist() == list(range(first_id, first_id + len(split)))


def test_images_are_resized_on_request(root: Path) -> None:
    dataset = load("fashion_mnist", 32, root, {})
    assert (dataset.train.image_size, dataset.gallery.image_size) == (32, 32)
    assert dataset.query is dataset.gallery


def test_reads_the_debian_package_where_it_is(published: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", published)
    empty = tmp_path / "empty"
    assert get("fashion_mnist", empty, print) == "fashion_mnist: ready"
    assert len(load("fashion_mnist", None, empty, {}).train) == 30
    assert not empty.exists()


def test_a_damaged_file_of_ours_gives_way_to_the_debian_package(
    root: Path, tmp_path: Path, monkeypatch, arrays, write_idx
) -> None:
    publish(tmp_path / "debian", arrays, write_idx, monkeypatch)
    (root / "fashion_mnist" / names()[0]).write_bytes(b"")
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "debian")
    assert len(load("fashion_mnist", None, root, {}).train) == 30


def test_says_how_to_get_it(published: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"not on this machine; {REMEDY}, or use `digits`"):
        load("fashion_mnist", None, tmp_path / "empty", {})


Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "truncated": (lambda packed: packed[:-20], "no sound gzip file"),
    "html": (lambda packed: b"<html>404</html>", "no sound gzip file"),
    "one bit": (
        lambda packed: repack(packed, lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        "sha256 differs",
    ),
    "too long": (lambda packed: repack(packed, lambda content: content + b"\0"), "sha256 differs"),
    "magic": (lambda packed: repack(packed, lambda content: b"\0\0\x0d" + content[3:]), "sha256 differs"),
    "too few": (lambda packed: repack(packed, lambda content: content[:-1]), "sha256 differs"),
}


def repack(packed: bytes, change: Damage) -> bytes:
    return gzip.compress(change(gzip.decompress(packed)))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("which", range(4))
def test_a_damaged_file_is_named_with_the_remedy(root: Path, damage: str, which: int) -> None:
    change, reason = DAMAGES[damage]
    path = root / "fashion_mnist" / names()[which]
    path.write_bytes(change(path.read_bytes()))
    for read in (lambda: load("fashion_mnist", None, root, {}), lambda: check("fashion_mnist", root, {})):
        with pytest.raises(RequestError, match=reason) as caught:
            read()
        assert str(path) in str(caught.value)
        assert str(caught.value).endswith(f"; {REMEDY} to replace it")
        assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(root: Path) -> None:
    (root / "fashion_mnist" / names()[3]).unlink()
    with pytest.raises(RequestError, match=f"{names()[3]} is missing; {REMEDY}"):
        load("fashion_mnist", None, root, {})


def test_no_more_is_unpacked_than_was_published(root: Path) -> None:
    path = root / "fashion_mnist" / names()[0]
    path.write_bytes(gzip.compress(bytes(2**28), compresslevel=1))
    tracemalloc.start()
    with pytest.raises(RequestError, match="sha256 differs"):
        load("fashion_mnist", None, root, {})
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_check_says_what_is_there(root: Path) -> None:
    assert check("fashion_mnist", root, {}) == "fashion_mnist: ok, 30 train, 20 query = gallery images, 10 classes"


def serve(folder: Path):
    """In place of `sources.mirror`: a source that copies `folder`."""

    def mirror(url: str, files: dict[str, str]):
        def bring(scratch: Path) -> Path:
            for name in files:
                (scratch / name).write_bytes((folder / name).read_bytes())
            return scratch

        return bring

    return mirror


def test_get_brings_the_files_and_says_from_where(published: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(fashion_mnist, "mirror", serve(published))
    said: list[str] = []
    root = tmp_path / "new" / "data"
    answer = get("fashion_mnist", root, said.append)
    assert answer == f"fashion_mnist: ready, from {fashion_mnist.MIRRORS[0]}"
    assert said == [f"fashion_mnist: trying {fashion_mnist.MIRRORS[0]}"]
    assert sorted(path.name for path in (root / "fashion_mnist").iterdir()) == sorted(names())
    said.clear()
    assert get("fashion_mnist", root, said.append) == "fashion_mnist: ready"
    assert said == []


def test_get_replaces_a_damaged_file(published: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(fashion_mnist, "mirror", serve(published))
    get("fashion_mnist", tmp_path, print)
    (tmp_path / "fashion_mnist" / names()[1]).write_bytes(b"damaged")
    get("fashion_mnist", tmp_path, print)
    assert check("fashion_mnist", tmp_path, {}).startswith("fashion_mnist: ok")


def test_get_names_the_suite_that_needs_no_download(published: Path, tmp_path: Path, monkeypatch) -> None:
    def unreachable(*_: object):
        def bring(scratch: Path) -> Path:
            raise FetchError("no connection")

        return bring

    monkeypatch.setattr(fashion_mnist, "mirror", unreachable)
    monkeypatch.setattr(fashion_mnist, "debian_package", unreachable)
    with pytest.raises(RequestError, match="or run the `digits` suite, which needs no download") as caught:
        get("fashion_mnist", tmp_path / "data", lambda line: None)
    for source in (*fashion_mnist.MIRRORS, "Debian package dataset-fashion-mnist"):
        assert f"{source}: no connection" in str(caught.value)
    assert not (tmp_path / "data" / "fashion_mnist").exists()


def test_get_says_when_the_data_folder_cannot_be_made(published: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match=r"cannot be stored in .*file"):
        get("fashion_mnist", tmp_path / "file", lambda line: None)


def test_the_published_hashes_are_whole() -> None:
    """Sizes follow from the format; the hashes are those of Zalando's files (md5 in their README)."""
    for what, file in fashion_mnist.FILES.items():
        count = 60_000 if what.startswith("train") else 10_000
        assert file.size == (16 + count * 28 * 28 if "images" in what else 8 + count)
        assert len(bytes.fromhex(file.sha256)) == len(bytes.fromhex(file.download_sha256)) == 32
