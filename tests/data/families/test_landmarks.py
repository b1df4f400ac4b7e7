import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compatbench.data.families.landmarks_roxford5k import LandmarksOxford
from compatbench.data.families.landmarks_rparis6k import LandmarksParis
from compatbench.data.family import Counts
from compatbench.discovery.datasets import check, get, load
from compatbench.errors import RequestError
from compatbench.evaluation.retrieval import Vectors, evaluate

IMAGES = ["all_souls_000002", "all_souls_000005", "oxford_000317", "radcliffe_camera_000001", "oxford_001115"]
QUERIES = ["all_souls_000013", "radcliffe_camera_000519"]
TRUTH = [
    {"easy": [0], "hard": [1], "junk": [4], "bbx": [2.2, 3.6, 21.5, 17.4]},
    {"easy": [], "hard": [3], "junk": [0, 2], "bbx": [0.0, 0.0, 29.9, 19.8]},
]
CLEAN = {27: ["0a1b2c3d4e5f6071", "ff00112233445566"], 5: ["1234567890abcdef"]}


@pytest.fixture(
    params=[("landmarks_roxford5k", LandmarksOxford), ("landmarks_rparis6k", LandmarksParis)], ids=["oxford", "paris"]
)
def name(request, tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch) -> str:
    name, family = request.param
    folder = tmp_path / "landmarks"
    for images in CLEAN.values():
        for image in images:
            write_image(folder / "gldv2" / "train" / image[0] / image[1] / image[2] / f"{image}.jpg")
    rows = "".join(f"{landmark},{' '.join(images)}\n" for landmark, images in CLEAN.items())
    (folder / "gldv2" / "train_clean.csv").write_text("landmark_id,images\n" + rows)
    for image in IMAGES + QUERIES:
        write_image(folder / family.test / "jpg" / f"{image}.jpg", (10, 10, 10), (30, 20), quality=100)
    with Image.open(folder / family.test / "jpg" / f"{QUERIES[0]}.jpg") as image:
        image.paste((240, 240, 240), (2, 4, 22, 17))
        image.save(folder / family.test / "jpg" / f"{QUERIES[0]}.jpg", quality=100)
    write_truth(folder / family.test, TRUTH)
    monkeypatch.setattr(family, "published", Counts(3, 2, 5))
    return name


def write_truth(folder: Path, truth: list, protocol: int = 2) -> None:
    gnd = [{name: np.array(one[name]) if name != "bbx" else one[name] for name in one} for one in truth]
    content = {"imlist": IMAGES, "qimlist": QUERIES, "gnd": gnd}
    (folder / f"gnd_{folder.name}.pkl").write_bytes(pickle.dumps(content, protocol))


def names(dataset, ids) -> list[str]:
    name_of = dict(zip(dataset.gallery.ids.tolist(), dataset.gallery.names, strict=True))
    return sorted(Path(name_of[sample]).stem for sample in ids.tolist())


def test_training_images_are_those_of_the_clean_list(name: str, tmp_path: Path) -> None:
    dataset = load(name, 8, tmp_path, {})
    assert dataset.train.names == (
        "gldv2/train/1/2/3/1234567890abcdef.jpg",
        "gldv2/train/0/a/1/0a1b2c3d4e5f6071.jpg",
        "gldv2/train/f/f/0/ff00112233445566.jpg",
    )
    assert dataset.train.labels.tolist() == [0, 1, 1]
    assert dataset.class_names == ("5", "27", "all_souls", "radcliffe_camera", "background")
    assert dataset.train_classes == (0, 1)


def test_test_images_are_labelled_by_what_they_answer(name: str, tmp_path: Path) -> None:
    dataset = load(name, 8, tmp_path, {})
    assert [Path(path).stem for path in dataset.gallery.names] == IMAGES
    assert dataset.query.labels.tolist() == [2, 3]
    assert dataset.gallery.labels.tolist() == [2, 2, 4, 3, 4]
    ids = torch.cat([dataset.train.ids, dataset.gallery.ids, dataset.query.ids]).tolist()
    assert ids == list(range(10))
    assert get(name, tmp_path, print) == f"{name}: ready"
    assert check(name, tmp_path, {}) == f"{name}: ok, 3 train, 2 query, 5 gallery images, 5 classes"


def test_the_three_protocols(name: str, tmp_path: Path) -> None:
    dataset = load(name, 8, tmp_path, {})
    expected = {
        "easy": (
            ["all_souls_000002"],
            ["all_souls_000005", "oxford_001115"],
            [],
            ["all_souls_000002", "oxford_000317", "radcliffe_camera_000001"],
        ),
        "medium": (
            ["all_souls_000002", "all_souls_000005"],
            ["oxford_001115"],
            ["radcliffe_camera_000001"],
            ["all_souls_000002", "oxford_000317"],
        ),
        "hard": (
            ["all_souls_000005"],
            ["all_souls_000002", "oxford_001115"],
            ["radcliffe_camera_000001"],
            ["all_souls_000002", "oxford_000317"],
        ),
    }
    assert set(dataset.protocols) == set(expected)
    for protocol, lists in expected.items():
        judged = dataset.protocols[protocol]
        assert judged.queries.tolist() == dataset.query.ids.tolist()
        for query in range(2):
            assert names(dataset, judged.relevant[query]) == lists[2 * query]
            assert names(dataset, judged.ignored[query]) == lists[2 * query + 1]
    assert dataset.judgements is dataset.protocols["medium"]


def test_junk_does_not_count(name: str, tmp_path: Path) -> None:
    """The first query finds junk, then an easy image, then a wrong one, then a hard one."""
    dataset = load(name, 8, tmp_path, {})
    angles = torch.tensor([0.2, 0.4, 0.3, 1.5, 0.1])
    gallery = torch.stack([angles.cos(), angles.sin()], dim=1)
    queries = torch.tensor([[1.0, 0.0], [0.0, 1.0]])

    def score(protocol: str) -> list[float]:
        query = Vectors(queries, dataset.query.labels, dataset.query.ids, dataset.protocols[protocol])
        return evaluate(query, Vectors(gallery, dataset.gallery.labels, dataset.gallery.ids)).average_precision.tolist()

    assert score("medium")[0] == pytest.approx((1 + 2 / 3) / 2)
    assert score("easy")[0] == 1
    assert np.isnan(score("easy")[1])
    assert score("hard")[0] == pytest.approx(1 / 2)


def test_queries_are_cut_to_their_boxes_and_other_images_are_not(name: str, tmp_path: Path) -> None:
    dataset = load(name, 8, tmp_path, {})
    assert int(dataset.query.images[0].float().mean()) in range(235, 245)
    assert int(dataset.query.images[1].float().mean()) in range(8, 13)
    assert dataset.train.images.shape[1:] == (3, 8, 8)


@pytest.mark.parametrize("protocol", range(6))
def test_any_version_of_pickle_is_read(name: str, tmp_path: Path, protocol: int) -> None:
    write_truth(tmp_path / "landmarks" / name.partition("_")[2], TRUTH, protocol)
    assert len(load(name, 8, tmp_path, {}).query) == 2


def test_a_truth_that_would_run_code_is_refused(name: str, tmp_path: Path) -> None:
    test = name.partition("_")[2]
    path = tmp_path / "landmarks" / test / f"gnd_{test}.pkl"
    path.write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")
    with pytest.raises(RequestError, match=r"it would call os system"):
        load(name, 8, tmp_path, {})


def test_missing_parts_are_named_with_the_folder_that_both_share(tmp_path: Path) -> None:
    (tmp_path / "landmarks" / "gldv2" / "train").mkdir(parents=True)
    with pytest.raises(RequestError) as caught:
        load("landmarks_roxford5k", 8, tmp_path, {})
    for part in ("gldv2/train_clean.csv", "roxford5k/gnd_roxford5k.pkl", "roxford5k/jpg"):
        assert f"landmarks/{part}" in str(caught.value)
    assert "landmarks/gldv2/train," not in str(caught.value)
