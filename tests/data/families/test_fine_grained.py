"""CUB-200-2011, Cars196 and Stanford Online Products, tiny and in the authors' formats."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from compatbench.data.families.cars196 import Cars196
from compatbench.data.families.cub200 import Cub200
from compatbench.data.families.online_products import OnlineProducts
from compatbench.data.family import Counts
from compatbench.discovery.datasets import load
from compatbench.errors import RequestError


@pytest.fixture
def cub(tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ids and classes from 1; species 100 is the last that is trained on; one grey image."""
    rows = [
        ("001.Black_footed_Albatross/Black_Footed_Albatross_0001_796111.jpg", 1, "RGB"),
        ("100.Brown_Pelican/Brown_Pelican_0001_95374.jpg", 100, "L"),
        ("101.White_Pelican/White_Pelican_0001_96422.jpg", 101, "RGB"),
        ("200.Common_Yellowthroat/Common_Yellowthroat_0003_190521.jpg", 200, "RGB"),
    ]
    folder = tmp_path / "cub200" / "CUB_200_2011"
    for number, (path, _, mode) in enumerate(rows):
        colour = 30 * number if mode == "L" else (30 * number,) * 3
        write_image(folder / "images" / path, colour, (40, 30), mode, quality=100)
    with Image.open(folder / "images" / rows[0][0]) as image:
        image.paste((250, 250, 250), (8, 8, 24, 24))
        image.save(folder / "images" / rows[0][0], quality=100)
    (folder / "images.txt").write_text("".join(f"{i} {path}\n" for i, (path, _, _) in enumerate(rows, 1)))
    (folder / "image_class_labels.txt").write_text("".join(f"{i} {label}\n" for i, (_, label, _) in enumerate(rows, 1)))
    (folder / "classes.txt").write_text("".join(f"{label} {label:03d}.Species\n" for label in range(1, 201)))
    (folder / "train_test_split.txt").write_text("1 0\n2 1\n3 0\n4 1\n")  # not the retrieval split
    boxes = ["1 8.0 8.0 16.0 16.0", "2 0.0 0.0 40.0 30.0", "3 1.0 2.0 300.0 5.0", "4 0.0 0.0 9.0 9.0"]
    (folder / "bounding_boxes.txt").write_text("\n".join(boxes) + "\n")
    monkeypatch.setattr(Cub200, "published", Counts(2, 2))
    return tmp_path


def test_cub_trains_on_the_first_hundred_species(cub: Path) -> None:
    dataset = load("cub200", 16, cub, {})
    assert dataset.train.labels.tolist() == [0, 99]
    assert dataset.query.labels.tolist() == [100, 199]
    assert dataset.train.ids.tolist() + dataset.query.ids.tolist() == [1, 2, 3, 4]
    assert dataset.class_names[99] == "100.Species"
    assert dataset.query is dataset.gallery
    assert dataset.train.names[1].startswith("images/100.Brown_Pelican/")
    grey = dataset.train.images[1]
    assert grey.shape == (3, 16, 16)
    assert grey.unique().tolist() == [30]


def test_cub_boxes_are_left_top_width_height(cub: Path) -> None:
    whole, cut = load("cub200", 12, cub, {}), load("cub200", 12, cub, {"crop": True})
    assert int(whole.train.images[0].min()) < 40
    assert int(cut.train.images[0].float().median()) > 240
    assert torch.equal(whole.train.labels, cut.train.labels)
    assert cut.query.images[0].unique().tolist() == [60]  # a box may leave its image


@pytest.fixture
def cars(tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`cars_annos.mat` as MATLAB wrote it: a 1 x N struct array, classes and pixels from 1."""
    folder = tmp_path / "cars196"
    rows = [(1, 1), (2, 98), (3, 99), (16185, 196)]
    fields = ["relative_im_path", "bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "test"]
    annotations = np.zeros((1, len(rows)), dtype=[(name, object) for name in fields])
    for place, (number, label) in enumerate(rows):
        path = f"car_ims/{number:06d}.jpg"
        write_image(folder / path, (40 * place,) * 3, (20, 14), quality=100)
        annotations[0, place] = (path, 3, 2, 12, 9, label, place % 2)
    names = np.array([[f"Car {label}" for label in range(1, 197)]], dtype=object)
    savemat(folder / "cars_annos.mat", {"annotations": annotations, "class_names": names})
    with Image.open(folder / "car_ims" / "000001.jpg") as image:
        ready = Image.new("RGB", image.size, "black")
        ready.paste((250, 250, 250), (2, 1, 12, 9))  # pixels 3 … 12 and 2 … 9, counted from 1
        ready.save(folder / "car_ims" / "000001.png")
    (folder / "car_ims" / "000001.png").rename(folder / "car_ims" / "000001.jpg")
    monkeypatch.setattr(Cars196, "published", Counts(2, 2))
    return tmp_path


def test_cars_trains_on_the_first_98_models(cars: Path) -> None:
    dataset = load("cars196", 8, cars, {})
    assert dataset.train.labels.tolist() == [0, 97]
    assert dataset.query.labels.tolist() == [98, 195]
    assert dataset.train.ids.tolist() + dataset.query.ids.tolist() == [1, 2, 3, 16185]
    assert dataset.class_names[97] == "Car 98"
    assert dataset.num_classes == 196


def test_cars_boxes_hold_both_ends(cars: Path) -> None:
    cut = load("cars196", 8, cars, {"crop": True})
    assert cut.train.images[0].unique().tolist() == [250]


@pytest.mark.parametrize(
    ("kit", "images", "labelled"),
    [("devkit", "{}", "devkit"), ("devkit", "{}", "."), ("car_devkit/devkit", "{0}/{0}", ".")],
)
def test_cars_are_read_from_two_folders_too(
    tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch, kit: str, images: str, labelled: str
) -> None:
    """As torchvision has them, or as they are passed on at data-sharing sites."""
    folder = tmp_path / "cars196"
    (folder / kit).mkdir(parents=True)
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname"]
    parts = (("cars_train", kit, "_annos", (1, 99)), ("cars_test", labelled, "_annos_withlabels", (98, 99, 196)))
    for part, where, ending, labels in parts:
        rows = np.zeros((1, len(labels)), dtype=[(name, object) for name in fields])
        for place, label in enumerate(labels):
            name = f"{place + 1:05d}.jpg"
            write_image(folder / images.format(part) / name, (label,) * 3, (20, 14), quality=100)
            rows[0, place] = (3, 2, 12, 9, label, name)
        savemat(folder / where / f"{part}{ending}.mat", {"annotations": rows})
    names = np.array([[f"Car {label}" for label in range(1, 197)]], dtype=object)
    savemat(folder / kit / "cars_meta.mat", {"class_names": names})
    monkeypatch.setattr(Cars196, "published", Counts(2, 3))
    dataset = load("cars196", 8, tmp_path, {})
    assert dataset.train.labels.tolist() == [0, 97]
    assert dataset.train.ids.tolist() == [1, 100_001]
    assert dataset.query.labels.tolist() == [98, 98, 195]
    assert dataset.query.ids.tolist() == [2, 100_002, 100_003]
    assert [int(image.float().median()) for image in dataset.query.images] == [99, 99, 196]
    for lost in (folder / kit / "cars_meta.mat", folder / kit / "cars_train_annos.mat"):
        content = lost.read_bytes()
        for damaged in (b"xx", content[:200], content[:-50], b""):
            lost.write_bytes(damaged)
            with pytest.raises(RequestError, match=rf"a list in \S+ is damaged \(ValueError: {lost.name}: .*fetch it"):
                load("cars196", 8, tmp_path, {})
        lost.write_bytes(content)
    (folder / kit / "cars_meta.mat").rename(folder / "meta")
    with pytest.raises(RequestError, match=r"cars_meta\.mat cannot be read: No such file or directory$"):
        load("cars196", 8, tmp_path, {})
    (folder / "meta").rename(folder / kit / "cars_meta.mat")
    (folder / labelled / "cars_test_annos_withlabels.mat").unlink()
    with pytest.raises(RequestError, match=r"has no cars_test_annos_withlabels\.mat, which names the model"):
        load("cars196", 8, tmp_path, {})


HEADER = "image_id class_id super_class_id path\n"


@pytest.fixture
def products(tmp_path: Path, write_image, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ids and classes count on from the training list into the test list."""
    folder = tmp_path / "online_products" / "Stanford_Online_Products"
    train = [(1, 1, 1, "bicycle_final/111085122871_0.JPG"), (2, 1, 1, "bicycle_final/111085122871_1.JPG")]
    train.append((3, 2, 2, "chair_final/111265328556_0.JPG"))
    test = [(4, 3, 1, "bicycle_final/251952414262_0.JPG"), (5, 3, 1, "bicycle_final/251952414262_2.JPG")]
    for part, rows in (("train", train), ("test", test)):
        for *_, path in rows:
            write_image(folder / path)
        lines = [" ".join(map(str, row)) + "\n" for row in rows]
        (folder / f"Ebay_{part}.txt").write_text(HEADER + "".join(lines))
    monkeypatch.setattr(OnlineProducts, "published", Counts(3, 2))
    return tmp_path


def test_products_are_split_as_published(products: Path) -> None:
    dataset = load("online_products", 8, products, {})
    assert dataset.train.labels.tolist() == [0, 0, 1]
    assert dataset.query.labels.tolist() == [2, 2]
    assert dataset.query.ids.tolist() == [4, 5]
    assert dataset.query.names[1] == "bicycle_final/251952414262_2.JPG"
    assert dataset.class_names == ("product 1", "product 2", "product 3")


def test_a_product_on_both_sides_is_refused(products: Path) -> None:
    path = products / "online_products" / "Stanford_Online_Products" / "Ebay_test.txt"
    path.write_text(path.read_text().replace("4 3 1", "4 2 1"))
    with pytest.raises(RequestError, match="train and query must not share classes, but both have 1"):
        load("online_products", 8, products, {})


def test_another_header_is_named(products: Path) -> None:
    path = products / "online_products" / "Stanford_Online_Products" / "Ebay_test.txt"
    path.write_text(path.read_text().replace("class_id", "label", 1))
    with pytest.raises(RequestError, match=r"Ebay_test.txt has the columns"):
        load("online_products", 8, products, {})
