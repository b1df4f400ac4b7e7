import pickle
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compatbench.data.families import _cifar
from compatbench.data.families.cifar10 import Cifar10
from compatbench.data.families.cifar100 import Cifar100
from compatbench.data.family import Counts
from compatbench.data.sources import FetchError
from compatbench.discovery.datasets import check, get, load
from compatbench.errors import RequestError

FAMILY = {"cifar10": Cifar10, "cifar100": Cifar100}
RECORDS = {"cifar10": (10, 10), "cifar100": (100, 100)}
"""Of every class equally many, as in the published files."""


def records(name: str, count: int, seed: int) -> np.ndarray:
    """(count, 1 or 2 labels + 3,072) bytes, as the authors' page describes the binary version."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (count, FAMILY[name].version.label_bytes + 3072), np.uint8)
    rows[:, 0] = (np.arange(count) + count * seed) % (10 if name == "cifar10" else 20)
    if name == "cifar100":
        rows[:, 1] = 99 - np.arange(count)
    return rows


def write(folder: Path, name: str) -> dict[str, np.ndarray]:
    """A tiny archive's content below `folder`; returns the records of training and test images."""
    version = FAMILY[name].version
    folder = folder / version.folder
    folder.mkdir(parents=True)
    classes = 10 if name == "cifar10" else 100
    # the authors' files end in an empty line
    (folder / version.classes).write_text("\n".join(f"class_{label}" for label in range(classes)) + "\n\n")
    each = RECORDS[name][0] // len(version.train)
    parts = [records(name, each, seed) for seed in range(len(version.train))]
    for file, part in zip(version.train, parts, strict=True):
        (folder / file).write_bytes(part.tobytes())
    test = records(name, RECORDS[name][1], 9)
    (folder / version.test).write_bytes(test.tobytes())
    return {"train": np.concatenate(parts), "test": test}


@pytest.fixture(params=sorted(FAMILY))
def name(request, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(FAMILY[request.param], "published", Counts(*RECORDS[request.param]))
    return request.param


class Runs:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("ran"),)


def test_the_python_version_is_read_without_running_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torchvision leaves it: its folder alone."""
    monkeypatch.chdir(tmp_path)
    version = FAMILY[name].version
    write(tmp_path / name, name)
    expected = load(name, None, tmp_path, {})
    binary = tmp_path / name / version.folder
    folder = tmp_path / name / version.pickled
    folder.mkdir()
    kind = "label" if name == "cifar10" else "fine_label"
    for file in (*version.train, version.test):
        rows = np.frombuffer((binary / file).read_bytes(), np.uint8).reshape(-1, version.label_bytes + 3072)
        labels, data = rows[:, version.label_bytes - 1].tolist(), rows[:, version.label_bytes :].copy()
        content = {f"{kind}s".encode(): labels, b"data": data, b"batch_label": b"1", b"filenames": [b"a.png"]}
        (folder / file.removesuffix(".bin")).write_bytes(pickle.dumps(content, protocol=2))
    names = [one.encode() for one in expected.class_names]
    meta = folder / ("batches.meta" if name == "cifar10" else "meta")
    meta.write_bytes(pickle.dumps({f"{kind}_names".encode(): names}, protocol=2))
    shutil.rmtree(binary)
    found = load(name, None, tmp_path, {})
    assert found.fingerprint == expected.fingerprint
    assert found.class_names == expected.class_names
    meta.write_bytes(pickle.dumps({f"{kind}_names".encode(): Runs()}))
    with pytest.raises(RequestError, match="more than plain data"):
        load(name, None, tmp_path, {})
    assert not Path("ran").exists()


def test_images_labels_and_ids_are_those_of_the_records(name: str, tmp_path: Path) -> None:
    expected = write(tmp_path / name, name)
    dataset = load(name, None, tmp_path, {})
    first = 0
    for split, rows in ((dataset.train, expected["train"]), (dataset.query, expected["test"])):
        labels = FAMILY[name].version.label_bytes
        np.testing.assert_array_equal(split.labels.numpy(), rows[:, labels - 1])
        for image, row in zip(split.images.numpy(), rows[:, labels:], strict=True):
            for channel in range(3):  # 1,024 red bytes, row by row, then green, then blue
                plane = row[1024 * channel : 1024 * (channel + 1)]
                assert image[channel].tolist() == [plane[32 * y : 32 * (y + 1)].tolist() for y in range(32)]
        assert split.ids.tolist() == list(range(first, first + len(rows)))
        first += len(rows)
    assert dataset.query is dataset.gallery
    assert dataset.class_names[3] == "class_3"
    assert dataset.num_classes == (10 if name == "cifar10" else 100)
    assert check(name, tmp_path, {}).startswith(
        f"{name}: ok, {RECORDS[name][0]} train, {RECORDS[name][1]} query = gallery images"
    )


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut": (lambda content: content[:-1], "no whole number of records"),
    "empty": (lambda content: b"", "no whole number of records"),
    "label": (lambda content: b"\xff\xff" + content[2:], "label 255 of 10"),
    "short": (lambda content: content[: len(content) // 2], r"training and (5|50) test images instead of"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named(name: str, tmp_path: Path, damage: str) -> None:
    write(tmp_path / name, name)
    version = FAMILY[name].version
    path = tmp_path / name / version.folder / version.test
    change, message = DAMAGES[damage]
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(RequestError, match=message) as caught:
        load(name, None, tmp_path, {})
    assert version.folder in str(caught.value)
    assert str(caught.value).endswith(f"delete it and run `compatbench data get {name}`")


def test_labels_that_changed_are_noticed_at_first_sight(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, name)
    version = FAMILY[name].version
    path = tmp_path / name / version.folder / version.test
    width = version.label_bytes + 3072
    path.write_bytes(path.read_bytes()[:width] + bytes(width) + path.read_bytes()[2 * width :])
    with pytest.raises(RequestError, match="is damaged: the classes, equally large as published, have 0 to 2 test"):
        load(name, None, tmp_path, {})


def test_check_names_a_file_that_changed_after_get(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, name)
    get(name, tmp_path, print)
    assert check(name, tmp_path, {}).startswith(f"{name}: ok")
    version = FAMILY[name].version
    path = tmp_path / name / version.folder / version.train[-1]
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    load(name, None, tmp_path, {})  # one bit of a pixel: nothing but the hash shows it
    with pytest.raises(RequestError, match=rf"{path.name} has changed since it was first found sound; delete its"):
        check(name, tmp_path, {})
    (tmp_path / ".checked" / f"{name}.json").unlink()  # replaced on purpose
    get(name, tmp_path, print)
    assert check(name, tmp_path, {}).startswith(f"{name}: ok")


def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, name)
    version = FAMILY[name].version
    (tmp_path / name / version.folder / version.train[-1]).unlink()
    assert FAMILY[name]().missing(tmp_path, None) == (str(tmp_path / name / version.folder / version.train[-1]),)
    with pytest.raises(RequestError, match=rf"{version.train[-1]} is missing; run `compatbench data get {name}`"):
        load(name, None, tmp_path, {})


def test_get_unpacks_the_archive(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "made", name)
    version = FAMILY[name].version

    def archive(url: str, sha256: str):
        assert url == f"https://www.cs.toronto.edu/~kriz/{version.archive}"
        assert len(bytes.fromhex(sha256)) == 32

        def bring(scratch: Path) -> Path:
            with tarfile.open(scratch / "a.tar.gz", "w:gz") as packed:
                packed.add(tmp_path / "made" / version.folder, version.folder)
            with tarfile.open(scratch / "a.tar.gz") as packed:
                packed.extractall(scratch / "unpacked", filter="data")
            return scratch / "unpacked"

        return bring

    monkeypatch.setattr(_cifar, "archive", archive)
    root = tmp_path / "data"
    assert get(name, root, print).startswith(f"{name}: ready, from https://")
    assert get(name, root, print) == f"{name}: ready"
    assert len(load(name, None, root, {}).train) == RECORDS[name][0]


def test_get_says_what_to_do_without_a_connection(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(url: str, sha256: str):
        def bring(scratch: Path) -> Path:
            raise FetchError("no connection")

        return bring

    monkeypatch.setattr(_cifar, "archive", unreachable)
    with pytest.raises(RequestError, match=rf"no connection.* or unpack {FAMILY[name].version.archive} in "):
        get(name, tmp_path, lambda line: None)
