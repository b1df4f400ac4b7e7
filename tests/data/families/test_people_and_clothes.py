"""In-Shop and Market-1501, whose queries search a gallery of their own, tiny and in the authors' formats."""

from pathlib import Path

import pytest
import torch

from compatbench.data.families.in_shop import InShop
from compatbench.data.families.market1501 import Market1501
from compatbench.data.family import Counts
from compatbench.discovery.datasets import check, load
from compatbench.errors import RequestError
from compatbench.evaluation.retrieval import Vectors, evaluate

ROWS = [
    ("img/WOMEN/Dresses/id_00000002/02_1_front.jpg", "id_00000002", "train"),
    ("img/WOMEN/Dresses/id_00000002/02_2_side.jpg", "id_00000002", "train"),
    ("img/MEN/Denim/id_00000080/01_1_front.jpg", "id_00000080", "query"),
    ("img/MEN/Denim/id_00000080/01_2_side.jpg", "id_00000080", "gallery"),
    ("img/MEN/Denim/id_00000080/01_7_additional.jpg", "id_00000080", "gallery"),
    ("img/MEN/Denim/id_00000089/01_7_additional.jpg", "id_00000089", "gallery"),
]


@pytest.fixture(params=["list_eval_partition.txt", "Eval/list_eval_partition.txt"])
def clothes(request, tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The list with its count, its header and its columns padded by blanks."""
    folder = tmp_path / "in_shop"
    for path, *_ in ROWS:
        write_image(folder / path)
    lines = [f"{path:<80}{item}  {status}\n" for path, item, status in ROWS]
    (folder / request.param).parent.mkdir(exist_ok=True)
    (folder / request.param).write_text(f"{len(ROWS)}\nimage_name item_id evaluation_status\n" + "".join(lines))
    monkeypatch.setattr(InShop, "published", Counts(2, 1, 3))
    return tmp_path


def test_in_shop_queries_search_another_gallery(clothes: Path) -> None:
    dataset = load("in_shop", 8, clothes, {})
    assert dataset.class_names == ("id_00000002", "id_00000080", "id_00000089")
    for split, ids, labels in ((dataset.train, [0, 1], [0, 0]), (dataset.query, [2], [1])):
        assert split.ids.tolist() == ids
        assert split.labels.tolist() == labels
    assert dataset.gallery.ids.tolist() == [3, 4, 5]
    assert dataset.gallery.labels.tolist() == [1, 1, 2]
    assert dataset.gallery.names[0] == ROWS[3][0]
    assert check("in_shop", clothes, {}) == "in_shop: ok, 2 train, 1 query, 3 gallery images, 3 classes"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("6\n", "7\n", "promises 7 images"),
        ("item_id", "item", "promises 6 images in 'image_name item evaluation_status'"),
        ("query", "probe", "has 1 images that are neither train, query nor gallery"),
    ],
)
def test_in_shop_lists_that_do_not_add_up_are_named(clothes: Path, old: str, new: str, message: str) -> None:
    folder = clothes / "in_shop"
    path = next(
        folder / name
        for name in ("list_eval_partition.txt", "Eval/list_eval_partition.txt")
        if (folder / name).exists()
    )
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(RequestError, match=message):
        load("in_shop", 8, clothes, {})


def test_in_shop_names_a_missing_list(tmp_path: Path) -> None:
    (tmp_path / "in_shop" / "img").mkdir(parents=True)
    with pytest.raises(RequestError, match=r"missing: \S+in_shop/list_eval_partition.txt; get it from https"):
        load("in_shop", 8, tmp_path, {})


PEOPLE = {
    "bounding_box_train": ["0002_c1s1_000451_03.jpg", "0002_c1s1_000551_01.jpg", "0007_c2s3_070952_01.jpg"],
    "query": ["0001_c1s1_001051_00.jpg", "0003_c3s1_005071_00.jpg"],
    "bounding_box_test": [
        "-1_c1s1_000401_03.jpg",  # junk: counts neither way
        "0000_c1s1_000151_01.jpg",  # distractor: wrong for everybody
        "0001_c1s1_001051_03.jpg",  # the first query's person, by its own camera
        "0001_c2s1_001076_01.jpg.jpg",
        "0001_c4s6_000810_04.jpg",
        "0003_c3s1_005096_01.jpg",
        "0003_c1s6_015996_02.jpg",
    ],
}


@pytest.fixture
def market(tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "market1501" / "Market-1501-v15.09.15"
    for part, names in PEOPLE.items():
        for name in names:
            write_image(folder / part / name, size=(64, 128))
        (folder / part / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")  # the authors' archive has one
    monkeypatch.setattr(Market1501, "published", Counts(3, 2, 6))
    return tmp_path


def test_market_leaves_junk_out_and_keeps_distractors(market: Path) -> None:
    dataset = load("market1501", 16, market, {})
    assert [Path(name).name for name in dataset.gallery.names] == sorted(PEOPLE["bounding_box_test"])[1:]
    assert dataset.class_names == ("distractor", "0001", "0002", "0003", "0007")
    assert dataset.train.labels.tolist() == [2, 2, 4]
    assert dataset.query.labels.tolist() == [1, 3]
    assert dataset.gallery.labels.tolist() == [0, 1, 1, 1, 3, 3]
    ids = torch.cat([dataset.train.ids, dataset.query.ids, dataset.gallery.ids]).tolist()
    assert ids == list(range(len(ids)))
    assert dataset.gallery.images.shape == (6, 3, 16, 16)


def test_market_ignores_what_the_query_camera_saw_of_the_person(market: Path) -> None:
    dataset = load("market1501", 8, market, {})
    name_of = dict(zip(dataset.gallery.ids.tolist(), (Path(name).name for name in dataset.gallery.names), strict=True))

    def names(ids) -> list[str]:
        return sorted(name_of[sample] for sample in ids.tolist())

    judged = dataset.judgements
    assert judged.queries.tolist() == dataset.query.ids.tolist()
    assert names(judged.relevant[0]) == ["0001_c2s1_001076_01.jpg.jpg", "0001_c4s6_000810_04.jpg"]
    assert names(judged.ignored[0]) == ["0001_c1s1_001051_03.jpg"]
    assert names(judged.relevant[1]) == ["0003_c1s6_015996_02.jpg"]
    assert names(judged.ignored[1]) == ["0003_c3s1_005096_01.jpg"]


def test_market_scores_across_cameras(market: Path) -> None:
    """The first query is nearest to its own camera's image, then to a distractor, then to two right answers."""
    dataset = load("market1501", 8, market, {})
    angles = torch.tensor([0.2, 0.1, 0.3, 0.4, 1.5, 1.6])  # distractor, own camera, c2, c4, two of another person
    gallery = torch.stack([angles.cos(), angles.sin()], dim=1)
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    results = evaluate(
        Vectors(queries, dataset.query.labels, dataset.query.ids, dataset.judgements),
        Vectors(gallery, dataset.gallery.labels, dataset.gallery.ids),
    )
    assert results.first_rank.tolist() == [2, 1]
    assert results.relevant.tolist() == [2, 1]
    assert results.average_precision[0] == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_market_names_a_file_that_is_named_otherwise(market: Path, write_image) -> None:
    write_image(market / "market1501" / "Market-1501-v15.09.15" / "query" / "IMG_1.jpg")
    with pytest.raises(RequestError, match=r"query/IMG_1.jpg is not named person_camera"):
        load("market1501", 8, market, {})
