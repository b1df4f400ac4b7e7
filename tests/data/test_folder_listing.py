import hashlib
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from compatbench.data import folder_listing
from compatbench.data.folder_listing import hash_split, list_folder, read_manifest
from compatbench.errors import RequestError, listed


def touch(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    return folder


def rows(table: pd.DataFrame) -> set[tuple[str, str, str]]:
    assert list(table.columns) == ["path", "label", "split"]
    return set(table.itertuples(index=False, name=None))


def test_split_folders_with_query_and_gallery(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/1.jpg", "train/dog/deeper/2.PNG", "query/cat/3.jpg", "gallery/cat/4.jpg")
    assert rows(list_folder(tmp_path)) == {
        ("train/cat/1.jpg", "cat", "train"),
        ("train/dog/deeper/2.PNG", "dog", "train"),
        ("query/cat/3.jpg", "cat", "query"),
        ("gallery/cat/4.jpg", "cat", "gallery"),
    }


def test_other_files_and_hidden_ones_do_not_count(tmp_path: Path) -> None:
    touch(tmp_path, *(f"cat/{i}.jpg" for i in range(3)), "cat/notes.txt", "cat/.hidden.jpg", ".git/x/1.jpg", "README")
    touch(tmp_path, "__MACOSX/cat/1.jpg", "cat/.thumbnails/1.jpg", "cat/@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg")
    touch(tmp_path, "$RECYCLE.BIN/S-1-5/1.jpg", "#recycle/1.jpg", "System Volume Information/x", "lost+found/1.jpg")
    assert set(list_folder(tmp_path)["path"]) == {"cat/0.jpg", "cat/1.jpg", "cat/2.jpg"}


def test_images_that_cannot_be_read_are_listed_so_that_they_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.heic", "cat/2.jpg", "cat/3.jpg")
    assert "cat/1.heic" in set(list_folder(tmp_path)["path"])


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{name}/{i}.jpg" for name in ("train", "bus") for i in range(3)))
    assert set(list_folder(tmp_path)["label"]) == {"train", "bus"}


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (
            ["train/cat/1.jpg", "val/cat/2.jpg", "dev/cat/2.jpg"],
            "unknown split folders dev, val; known are train, test",
        ),
        (["train/cat/1.jpg", "test/cat/1.jpg", "test/2.jpg"], "images outside any class folder: 2.jpg; move"),
        (["cat/1.jpg", "2.jpg"], "images outside any class folder: 2.jpg"),
        (["train/cat/1.jpg", "test/cat/1.jpg", "test/dog/x.txt"], "class folders without images: test/dog; fill"),
        (["cat/1.jpg", *(f"{i}/x.txt" for i in range(7))], "class folders without images: 0, 1, 2, 3, 4 and 2 more;"),
        (["x.txt"], "contains no class folders"),
        (["train/cat/1.jpg", "test/x.txt"], "test contains no class folders"),
    ],
)
def test_names_what_is_wrong_with_the_folder(tmp_path: Path, paths: list[str], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        list_folder(touch(tmp_path, *paths))
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"there is no folder .*nowhere; set the option `path`"):
        list_folder(tmp_path / "nowhere")


def members(**counts: int) -> pd.DataFrame:
    images = [(f"{label}/{i}.jpg", label, "") for label, count in counts.items() for i in range(count)]
    return pd.DataFrame(images, columns=["path", "label", "split"])


@pytest.mark.parametrize(("count", "tested"), [(3, 2), (4, 2), (12, 2), (13, 3), (100, 20)])
def test_hash_split_takes_a_fifth_but_two_of_each_class(count: int, tested: int) -> None:
    table = hash_split(members(cat=count, dog=50))
    assert Counter((label, split) for _, label, split in rows(table)) == {
        ("cat", "test"): tested,
        ("cat", "train"): count - tested,
        ("dog", "test"): 10,
        ("dog", "train"): 40,
    }


def test_hash_split_depends_on_the_paths_alone() -> None:
    forward, backward = hash_split(members(cat=40)), hash_split(members(cat=40)[::-1])
    assert rows(forward) == rows(backward)
    hashes = {f"cat/{i}.jpg": hashlib.sha256(b"cat/%d.jpg" % i).hexdigest() for i in range(40)}
    assert {path for path, _, split in rows(forward) if split == "test"} == set(sorted(hashes, key=hashes.get)[:8])


def test_hash_split_moves_few_when_an_image_comes() -> None:
    before, after = ({path: split for path, _, split in rows(hash_split(members(cat=n)))} for n in (200, 201))
    assert sum(before[path] != after[path] for path in before) <= 1


def test_hash_split_names_classes_that_are_too_small() -> None:
    with pytest.raises(RequestError, match="fewer than 3 images cannot be split into train and test: dog, owl;"):
        hash_split(members(cat=3, dog=2, owl=1))


TABLE = [("a.jpg", "cat", "train"), ("sub/b.jpg", "dog", "test"), ("c.jpg", "cat", "test")]


def write_table(
    path: Path, table: list[tuple[object, ...]], columns: tuple[str, ...] = ("path", "label", "split")
) -> Path:
    frame = pd.DataFrame(table, columns=list(columns))
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_manifest_rows_become_entries(tmp_path: Path, name: str) -> None:
    assert rows(read_manifest(write_table(tmp_path / name, TABLE))) == set(TABLE)


def test_csv_labels_are_text_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("\ufeffpath,label,split\n./a.jpg,NA,train\nb.jpg,007,train\nc.jpg,1e5,test\n", encoding="utf-8")
    assert rows(read_manifest(path)) == {
        ("a.jpg", "NA", "train"),
        ("b.jpg", "007", "train"),
        ("c.jpg", "1e5", "test"),
    }


@pytest.mark.parametrize("ends", [",", ",,"])
def test_rows_may_end_in_commas(tmp_path: Path, ends: str) -> None:
    lines = [",".join(row) + ends for row in TABLE]
    (tmp_path / "list.csv").write_text("path,label,split\n" + "\n".join(lines))
    assert rows(read_manifest(tmp_path / "list.csv")) == set(TABLE)
    numbered = [f"{number},{','.join(row)}" for number, row in enumerate(TABLE)]  # as R writes a table
    (tmp_path / "list.csv").write_text("path,label,split\n" + "\n".join(numbered))
    assert rows(read_manifest(tmp_path / "list.csv")) == set(TABLE)


def test_parquet_labels_may_be_numbers(tmp_path: Path) -> None:
    path = write_table(tmp_path / "list.parquet", [("a.jpg", 7, "train")])
    assert rows(read_manifest(path)) == {("a.jpg", "7", "train")}


@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("x.jpg", "cat", "valid"), "unknown splits valid; known are train, test, query, gallery"),
        (("../x.jpg", "cat", "train"), r"must stay inside the folder of the images: \.\./x.jpg"),
        (("sub/../../x.jpg", "cat", "train"), r"must stay inside"),
        (("/etc/x.jpg", "cat", "train"), "must stay inside the folder of the images: /etc/x.jpg"),
        ((r"..\x.jpg", "cat", "train"), "must stay inside"),
        ((r"C:\x.jpg", "cat", "train"), "must stay inside"),
        (("a.jpg", "cat", "train"), "images listed twice in one split: a.jpg"),
        (("./a.jpg", "cat", "train"), "images listed twice in one split: a.jpg"),
        (("c.jpg", "dog", "query"), "images with two labels: c.jpg"),
        ((r"sub\x.jpg", "cat", "train"), r"paths with a backslash, which is no separator here; write / .*: sub\\x.jpg"),
        (("x.jpg", "cat", "Train"), "unknown splits Train; known are train, .*, in small letters"),
        (("x.jpg", "cat", " test"), "unknown splits ' test'"),
        (("x.jpg", "cat ", "train"), "labels that differ in blanks around them alone: 'cat', 'cat '$"),
        (("", "cat", "train"), "empty path, label or split in the data rows 4"),
        (("x.jpg", None, "train"), "empty path, label or split in the data rows 4"),
    ],
)
def test_names_what_is_wrong_with_the_manifest(tmp_path: Path, name: str, more: tuple[str, ...], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        read_manifest(write_table(tmp_path / name, [*TABLE, more]))
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["list.csv", "list.parquet"])
def test_missing_columns_are_named(tmp_path: Path, name: str) -> None:
    path = write_table(tmp_path / name, [("a.jpg", "cat")], ("path", "class"))
    with pytest.raises(RequestError, match="lacks the columns label, split; it has path, class"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "list.csv",
            b"path, label, split\na.jpg, cat, train\n",
            "it has 'path', ' label', ' split': remove the blanks",
        ),
        ("list.csv", b"path;label;split\na.jpg;cat;train\n", "it has path;label;split: .* separated by semicolons"),
        ("list.csv", b"path\tlabel\tsplit\na.jpg\tcat\ttrain\n", "separated by tabs; save it with commas"),
        ("list.csv", b"Path,Label,Split\na.jpg,cat,train\n", "it has Path, Label, Split: write them in small letters"),
        ("list.csv", "path,label,split\na.jpg,café,train\n".encode("latin-1"), "is not UTF-8 .*; save it as CSV UTF-8"),
        ("list.csv", b"", "cannot be read: No columns to parse"),
        ("list.csv", b'path,label,split\n"a.jpg,cat,train\n', "cannot be read"),
        ("list.csv", b"path,label,split\n\xff\xfe,cat,train\n", "cannot be read"),
        ("list.parquet", b"path,label,split", "cannot be read"),
        ("list.json", b"[]", r"a manifest is a \.csv or a \.parquet file"),
    ],
)
def test_unreadable_manifests_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=message) as caught:
        read_manifest(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_manifest_of_few_bytes_and_very_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({name: ["a"] * 2**20 for name in ("path", "label", "split")}, dtype="category")
    table.to_parquet(tmp_path / "manifest.parquet", compression="zstd")
    monkeypatch.setattr(folder_listing, "MANIFEST_BYTES", 2**20)
    with pytest.raises(RequestError, match=r"manifest\.parquet: its [\d,]+ bytes unpack to more than 3,145,728"):
        read_manifest(tmp_path / "manifest.parquet")


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"list\.csv does not exist; it is looked for in the folder"):
        read_manifest(tmp_path / "list.csv")


def test_lists_are_cut_after_five() -> None:
    assert listed("abcde") == "a, b, c, d, e"
    assert listed("abcdefg") == "a, b, c, d, e and 2 more"
