"""What all families of image files share: what is missing, where it goes, and damage that is named."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from compatbench.data.families.cub200 import Cub200
from compatbench.data.family import Counts, Options
from compatbench.data.file_family import FileFamily
from compatbench.data.image_files import ImageFiles
from compatbench.discovery.datasets import check, discover_datasets, family, get, load
from compatbench.errors import RequestError

FILE_FAMILIES = sorted(name for name, one in discover_datasets().plugins.items() if isinstance(one, FileFamily))
PUBLISHED = {
    "cub200": (5_864, 5_924, None, 11_788),
    "cars196": (8_054, 8_131, None, 16_185),
    "online_products": (59_551, 60_502, None, 120_053),
    "in_shop": (25_882, 14_218, 12_612, 52_712),
    "imagenet": (1_281_167, 50_000, None, 1_331_167),
    "places365": (1_803_460, 36_500, None, 1_839_960),
    "inaturalist2018": (437_513, 24_426, None, 461_939),
}


@pytest.mark.parametrize("name", FILE_FAMILIES)
@pytest.mark.parametrize(
    "call", [lambda n, r: get(n, r, print), lambda n, r: load(n, 8, r, {}), lambda n, r: check(n, r, {})]
)
def test_absent_data_are_named_with_size_licence_and_place(name: str, call: Callable[..., Any], tmp_path: Path) -> None:
    one = family(name)
    if one.archive and "get" in call.__code__.co_names:
        return  # it would be downloaded
    missing = one.missing(tmp_path, one.options_type())
    assert missing
    assert all(path.startswith(str(one.link(tmp_path))) for path in missing)
    with pytest.raises(RequestError) as caught:
        call(name, tmp_path)
    message = str(caught.value)
    for said in (
        *missing,
        one.homepage,
        one.licence,
        str(one.link(tmp_path)),
        f"data get {name} --from FOLDER",
    ):
        assert said in message
    if one.size:
        assert f"about {one.size / 1e9:.1f} GB" in message


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_published_counts_add_up(name: str) -> None:
    counts = family(name).published
    *parts, total = PUBLISHED[name]
    assert [counts.train, counts.query, counts.gallery] == parts
    assert sum(part or 0 for part in parts) == total
    assert f"{total:,}" in family(name).description


@pytest.fixture
def birds(tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cub200"
    rows = [("001.Albatross/A_0001.jpg", 1), ("001.Albatross/A_0002.jpg", 1), ("101.Pelican/P_0001.jpg", 101)]
    rows.append(("101.Pelican/P_0002.jpg", 101))
    for path, _ in rows:
        write_image(folder / "images" / path)
    lines = [f"{number} {path}\n" for number, (path, _) in enumerate(rows, start=1)]
    (folder / "images.txt").write_text("".join(lines))
    (folder / "image_class_labels.txt").write_text("".join(f"{i} {label}\n" for i, (_, label) in enumerate(rows, 1)))
    (folder / "classes.txt").write_text("".join(f"{label} {label:03d}.Bird\n" for label in range(1, 201)))
    (folder / "bounding_boxes.txt").write_text("".join(f"{i} 1.0 2.0 6.0 5.0\n" for i in range(1, 5)))
    monkeypatch.setattr(Cub200, "published", Counts(2, 2))
    return tmp_path


def test_a_complete_one_is_ready_and_sound(birds: Path) -> None:
    assert get("cub200", birds, print) == "cub200: ready"
    assert check("cub200", birds, {}) == "cub200: ok, 2 train, 2 query = gallery images, 200 classes"


def test_the_folder_of_the_archive_may_be_there(birds: Path) -> None:
    (birds / "cub200").rename(birds / "CUB_200_2011")
    (birds / "cub200").mkdir()
    (birds / "CUB_200_2011").rename(birds / "cub200" / "CUB_200_2011")
    assert family("cub200").missing(birds, Options()) == ()
    assert len(load("cub200", 8, birds, {}).train) == 2


def test_a_missing_or_damaged_image_is_named_before_anything_is_trained(birds: Path) -> None:
    path = birds / "cub200" / "images" / "101.Pelican" / "P_0002.jpg"
    whole = path.read_bytes()
    for content, reason in ((whole[:-30], r"P_0002.jpg \(.*[Tt]runcated"), (None, r"P_0002.jpg \(missing\)")):
        path.write_bytes(content) if content else path.unlink()
        for call in (
            lambda: load("cub200", 8, birds, {}),
            lambda: check("cub200", birds, {}),
            lambda: get("cub200", birds, print),
        ):
            with pytest.raises(RequestError, match=rf"1 images cannot be read: images/101.Pelican/{reason}"):
                call()


def test_check_trusts_no_earlier_look(birds: Path) -> None:
    load("cub200", 8, birds, {})
    path = birds / "cub200" / "images" / "101.Pelican" / "P_0002.jpg"
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(RequestError, match=r"1 images cannot be read: images/101.Pelican/P_0002.jpg"):
        check("cub200", birds, {})
    with pytest.raises(RequestError, match=r"P_0002.jpg"):  # and from then on it is known to be none
        load("cub200", 8, birds, {})


def test_another_number_of_images_than_published_is_named(birds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cub200, "published", Counts(2, 3))
    with pytest.raises(RequestError, match=r"lists 2 images in its query split, and 3 were published; fetch it again"):
        load("cub200", 8, birds, {})


@pytest.mark.parametrize(
    ("name", "content"), [("images.txt", "1 a b c\n"), ("image_class_labels.txt", "1 one\n"), ("classes.txt", "1\n")]
)
def test_a_damaged_list_is_named_in_one_line(birds: Path, name: str, content: str) -> None:
    (birds / "cub200" / name).write_text(content)
    with pytest.raises(RequestError, match=r"dataset 'cub200': a list in .*cub200 is damaged \(\w+: ") as caught:
        load("cub200", 8, birds, {})
    assert str(caught.value).endswith("; fetch it again")
    assert "\n" not in str(caught.value)


def test_images_not_in_memory_pass_the_same_checks(birds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compatbench.data.file_family.IN_MEMORY", 0)
    dataset = load("cub200", 8, birds, {})
    assert isinstance(dataset.query.images, ImageFiles)
    assert len(dataset.query) == 2


def test_get_downloads_where_that_is_allowed(birds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (birds / "cub200").rename(tmp_path / "CUB_200_2011")

    def archive(url: str, sha256: str):
        assert url.endswith("CUB_200_2011.tgz")
        assert len(bytes.fromhex(sha256)) == 32

        def bring(scratch: Path) -> Path:
            (scratch / "unpacked").mkdir()
            (tmp_path / "CUB_200_2011").rename(scratch / "unpacked" / "CUB_200_2011")
            return scratch / "unpacked"

        return bring

    monkeypatch.setattr("compatbench.data.file_family.archive", archive)
    root = tmp_path / "new"
    assert get("cub200", root, lambda line: None).startswith("cub200: ready, from https://data.caltech.edu")
    assert check("cub200", root, {}).startswith("cub200: ok")
