import gzip
from pathlib import Path

import numpy as np
import pytest

from compatbench.data.families.faces import Pair, read_pair_list
from compatbench.discovery.datasets import check, load
from compatbench.errors import RequestError

LFW = """2\t1
Abel_Pacheco\t1\t4
Abdel_Madi\t1\tDean_Barker\t1
Akhmed_Zakayev\t1\t3
Abel_Pacheco\t4\tAkhmed_Zakayev\t3
"""
PAIRS = [
    Pair("Abel_Pacheco/Abel_Pacheco_0001.jpg", "Abel_Pacheco/Abel_Pacheco_0004.jpg", True, 0),
    Pair("Abdel_Madi/Abdel_Madi_0001.jpg", "Dean_Barker/Dean_Barker_0001.jpg", False, 0),
    Pair("Akhmed_Zakayev/Akhmed_Zakayev_0001.jpg", "Akhmed_Zakayev/Akhmed_Zakayev_0003.jpg", True, 1),
    Pair("Abel_Pacheco/Abel_Pacheco_0004.jpg", "Akhmed_Zakayev/Akhmed_Zakayev_0003.jpg", False, 1),
]


@pytest.fixture
def faces(tmp_path: Path, write_image) -> Path:
    folder = tmp_path / "faces"
    for pair in PAIRS:
        for path in (pair.first, pair.second):
            write_image(folder / "lfw" / path, size=(112, 112))
    for person, count in (("0000045", 2), ("0000099", 1)):
        for number in range(count):
            write_image(folder / "train" / person / f"{number:03d}.jpg", size=(112, 112))
    (folder / "pairs.txt").write_text(LFW)
    return tmp_path


def test_lfw_pairs(faces: Path) -> None:
    assert read_pair_list(faces / "faces" / "pairs.txt") == PAIRS


def test_lfw_lists_of_one_fold_give_the_pairs_alone(tmp_path: Path) -> None:
    (tmp_path / "pairsDevTest.txt").write_text("1\nA\t1\t2\nA\t1\tB\t3\n")
    found = read_pair_list(tmp_path / "pairsDevTest.txt")
    assert [(pair.same, pair.fold) for pair in found] == [(True, 0), (False, 0)]
    assert found[1].second == "B/B_0003.jpg"


@pytest.mark.parametrize("line", ["{a} {b} {same}", "{same} {a} {b}", "{a},{b},{same}", "{a}\t{b}\t{same}"])
def test_plain_lists(tmp_path: Path, line: str) -> None:
    rows = [("x/1.jpg", "x/2.jpg", 1), ("x/1.jpg", "y/1.jpg", 0)]
    (tmp_path / "list.txt").write_text("\n".join(line.format(a=a, b=b, same=same) for a, b, same in rows))
    assert read_pair_list(tmp_path / "list.txt") == [
        Pair("x/1.jpg", "x/2.jpg", True, 0),
        Pair("x/1.jpg", "y/1.jpg", False, 5),
    ]


def test_plain_lists_have_ten_folds_in_order(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.jpg b.jpg 1\n" * 25)
    folds = [pair.fold for pair in read_pair_list(tmp_path / "list.txt")]
    assert folds == sorted(folds)
    assert np.bincount(folds).tolist() == [3, 2, 3, 2, 3, 2, 3, 2, 3, 2]


def test_lfw_lists_as_they_are_passed_on(tmp_path: Path) -> None:
    """Without the first line, with a heading and commas, with a byte-order mark, with blank lines."""
    path = tmp_path / "list"
    rows = [("Ann_A", 1, 2), ("Bob_B", 3, 4), ("Ann_A", 1, "Bob_B", 2), ("Bob_B", 1, "Cy_C", 11)]
    plain = "\n".join("\t".join(map(str, row)) for row in rows)
    path.write_text(f"2\n{plain}\n")
    expected = read_pair_list(path)
    commas = "\r\n".join(",".join(map(str, row)) + ("," if len(row) == 3 else "") for row in rows)
    for text in (
        f"\ufeff2\n{plain}\n",
        plain,
        f"\ufeff{plain}\n\n",
        f"name,imagenum1,imagenum2,\r\n{commas}\r\n,,,\r\n",
        f"name1\timagenum1\tname2\timagenum2\n{plain}",
    ):
        path.write_text(text, encoding="utf-8", newline="")
        found = read_pair_list(path)
        assert [(one.first, one.second, one.same) for one in found] == [
            (one.first, one.second, one.same) for one in expected
        ]
    path.write_text(plain, encoding="utf-16")
    assert [one.same for one in read_pair_list(path)] == [one.same for one in expected]
    path.write_text("0001 0002 1\n0003 0004 0\n")  # paths of digits alone are paths
    assert [one.first for one in read_pair_list(path)] == ["0001", "0003"]


def test_images_people_and_pairs_of_the_dataset(faces: Path) -> None:
    dataset = load("faces", 16, faces, {})
    assert dataset.class_names == ("0000045", "0000099", "Abdel_Madi", "Abel_Pacheco", "Akhmed_Zakayev", "Dean_Barker")
    assert dataset.train.labels.tolist() == [0, 0, 1]
    assert dataset.query is dataset.gallery
    assert [dataset.class_names[label] for label in dataset.query.labels] == [
        Path(name).parent.name for name in dataset.query.names
    ]
    name_of = dict(zip(dataset.query.ids.tolist(), dataset.query.names, strict=True))
    for row, pair in enumerate(PAIRS):
        assert name_of[int(dataset.pairs.first[row])] == f"lfw/{pair.first}"
        assert name_of[int(dataset.pairs.second[row])] == f"lfw/{pair.second}"
    np.testing.assert_array_equal(dataset.pairs.same, [pair.same for pair in PAIRS])
    np.testing.assert_array_equal(dataset.pairs.fold, [0, 0, 1, 1])
    assert check("faces", faces, {}).startswith("faces: ok, 3 train, 6 query = gallery images, 6 classes")


def test_identities_may_come_from_the_pairs(faces: Path, write_image) -> None:
    """As in AgeDB-30, whose images lie in one folder: chains of same pairs are one person."""
    folder = faces / "faces"
    for number in range(5):
        write_image(folder / "flat" / f"{number}.jpg", size=(112, 112))
    (folder / "chain.txt").write_text("1 0.jpg 1.jpg\n1 1.jpg 2.jpg\n0 2.jpg 3.jpg\n0 3.jpg 4.jpg\n")
    options = {"images": "flat", "pairs": "chain.txt", "identity": "pairs"}
    dataset = load("faces", 8, faces, options)
    labels = dataset.query.labels.tolist()
    assert labels[0] == labels[1] == labels[2]
    assert len(set(labels)) == 3
    with pytest.raises(RequestError, match=r"pair 3: 2.jpg and 3.jpg are said to be two people"):
        load("faces", 8, faces, {**options, "identity": "folder"})
    (folder / "chain.txt").write_text("1 0.jpg 1.jpg\n1 1.jpg 2.jpg\n0 0.jpg 2.jpg\n")
    with pytest.raises(RequestError, match=r"pair 3: 0.jpg and 2.jpg are said to be two people"):
        load("faces", 8, faces, options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("2\t2\nA\t1\t2\n", "promises 8 pairs and has 1"),
        ("1\t1\nA\t1\t2\nA\t1\n", "line 3: expected `name 1 4` or `name 1 other 2`"),
        ("a.jpg b.jpg 1\na.jpg c.jpg 2\n", "line 2: expected two paths and a 1"),
        ("a.jpg b.jpg\n", "line 1: expected two paths and a 1"),
    ],
)
def test_lists_that_are_none_are_named(faces: Path, content: str, message: str) -> None:
    (faces / "faces" / "pairs.txt").write_text(content)
    with pytest.raises(RequestError, match=message):
        load("faces", 8, faces, {})


def test_a_list_that_is_no_text_is_told_so(faces: Path) -> None:
    for content, message in (
        ("Ann_Å\t1\t2".encode("latin-1"), r"pairs\.txt cannot be read: .*; save it as UTF-8"),
        (gzip.compress(b"a.jpg b.jpg 1"), r"pairs\.txt is no text: it is compressed by gzip; unpack it"),
    ):
        (faces / "faces" / "pairs.txt").write_bytes(content)
        with pytest.raises(RequestError, match=message):
            load("faces", 8, faces, {})


def test_people_on_both_sides_are_refused(faces: Path, write_image) -> None:
    write_image(faces / "faces" / "train" / "Abel_Pacheco" / "1.jpg", size=(112, 112))
    with pytest.raises(RequestError, match="train and query must not share classes"):
        load("faces", 8, faces, {})


@pytest.mark.parametrize("option", ["train", "images", "pairs"])
def test_paths_are_those_inside_the_folder(faces: Path, option: str) -> None:
    for path in (str(faces / "faces"), "../faces"):
        with pytest.raises(RequestError, match=f"{option}: give a path relative to the dataset's folder"):
            load("faces", None, faces, {option: path})


def test_missing_parts_are_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"missing: \S+faces/train, \S+faces/lfw, \S+faces/pairs.txt"):
        load("faces", 8, tmp_path, {})
