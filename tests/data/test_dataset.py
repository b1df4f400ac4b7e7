import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from compatbench.data.dataset import Dataset, Split, check_dataset, check_disjoint_classes
from compatbench.data.judgements import Judgements
from compatbench.data.lists import Lists
from compatbench.data.pairs import Pairs
from compatbench.errors import RequestError


def make_split(labels: list[int], ids: list[int], side: int = 4, names: tuple[str, ...] | None = None) -> Split:
    images = torch.tensor(ids, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, side, side).contiguous()
    return Split(images, torch.tensor(labels), torch.tensor(ids), names)


def make_dataset(**changes: Split) -> Dataset:
    test = make_split([0, 1, 1], [4, 5, 6])
    splits = {"train": make_split([0, 1, 2, 0], [0, 1, 2, 3]), "query": test, "gallery": test} | changes
    return Dataset("toy", ("a", "b", "c"), **splits)


def test_a_split_gives_its_rows() -> None:
    split = make_split([2, 0, 1], [7, 8, 9])
    assert len(split) == 3
    assert (split.channels, split.image_size) == (1, 4)
    gathered = split.gather(torch.tensor([2, 0, 2]))
    assert gathered.dtype == torch.uint8
    assert gathered[:, 0, 0, 0].tolist() == [9, 7, 9]


def test_chunks_are_all_images_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compatbench.data.dataset.CHUNK", 2)
    split = make_split([0] * 5, [3, 1, 4, 2, 0])
    assert [block[:, 0, 0, 0].tolist() for block in split.chunks()] == [[3, 1], [4, 2], [0]]


def test_fingerprint_is_sha256_over_ids_labels_and_images() -> None:
    def by_hand(split: Split) -> str:
        content = b"".join(int(i).to_bytes(8, "little") for i in split.ids)
        content += b"".join(int(i).to_bytes(8, "little") for i in split.labels)
        content += b"1x4" + bytes(split.images.flatten().tolist())
        return hashlib.sha256(content).hexdigest()

    dataset = make_dataset()
    parts = {
        "gallery": by_hand(dataset.gallery),
        "query": by_hand(dataset.query),
        "train": by_hand(dataset.train),
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    assert dataset.fingerprint == hashlib.sha256(text.encode()).hexdigest()


def test_fingerprint_sees_pixels_labels_and_ids() -> None:
    plain = make_dataset()
    brighter = plain.train.images.clone()
    brighter[3, 0, 3, 3] += 1
    changed = {
        "pixel": make_dataset(train=replace(plain.train, images=brighter)),
        "label": make_dataset(train=make_split([0, 1, 2, 1], [0, 1, 2, 3])),
        "id": make_dataset(train=replace(plain.train, ids=torch.tensor([0, 1, 2, 9]))),
        "order": make_dataset(train=make_split([1, 0, 2, 0], [1, 0, 2, 3])),
        "plain": make_dataset(),
    }
    assert {what for what, other in changed.items() if other.fingerprint == plain.fingerprint} == {"plain"}


def test_a_sound_dataset_passes() -> None:
    check_dataset(make_dataset())
    check_dataset(make_dataset(query=make_split([1, 0], [5, 8])))  # id 5 is also in the gallery


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": make_split([], [])}, "train split: it is empty"),
        ({"train": make_split([0, 3], [0, 1])}, "train split: labels run from 0 to 3, outside 0 … 2"),
        ({"train": make_split([0, -1], [0, 1])}, "train split: labels run from -1 to 0"),
        ({"train": make_split([0, 1], [2, 2])}, "train split: 1 ids are used twice"),
        ({"train": make_split([0, 1], [0, 1], names=("a.png",))}, "train split: 1 names for 2 images"),
        ({"train": replace(make_split([0], [0]), labels=torch.tensor([0, 1]))}, "1 images, 2 labels, 1 ids"),
        (
            {"train": replace(make_split([0], [0]), labels=torch.tensor([0.0]))},
            "must be int64, not torch.float32",
        ),
        ({"train": replace(make_split([0], [0]), images=torch.zeros(1, 1, 4, 4))}, "must be square uint8"),
        (
            {"train": replace(make_split([0], [0]), images=torch.zeros(1, 1, 4, 5, dtype=torch.uint8))},
            r"not torch.uint8 \(1, 1, 4, 5\)",
        ),
        ({"train": make_split([0, 1], [0, 1], side=5)}, r"splits differ in \(channels, image size\)"),
        ({"train": make_split([0, 1], [0, 6])}, "1 training images are in query too, first id 6"),
        ({"query": make_split([0, 2], [7, 8])}, "1 classes have queries but no gallery image: c;"),
        ({"query": make_split([0, 0], [7, 5])}, "id 5 has two labels"),
    ],
)
def test_names_what_does_not_fit(changes: dict[str, Split], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        check_dataset(make_dataset(**changes))
    assert "\n" not in str(caught.value)


def test_shared_classes_are_named() -> None:
    check_disjoint_classes(torch.tensor([0, 1, 1]), torch.tensor([2, 3]), "old and new")
    with pytest.raises(RequestError, match="old and new must not share classes, but both have 1, 3"):
        check_disjoint_classes(torch.tensor([0, 1, 3]), torch.tensor([3, 1, 2]), "old and new")


def judged(relevant: list[list[int]], queries: tuple[int, ...] = (4, 5, 6)) -> Judgements:
    return Judgements(np.array(queries), Lists.of(relevant), Lists.of([[] for _ in queries]))


def paired(first: list[int], second: list[int]) -> Pairs:
    return Pairs(np.array(first), np.array(second), np.array([True, False]), np.zeros(2, dtype=np.int64))


def test_judgements_and_pairs_that_fit_pass() -> None:
    check_dataset(
        replace(
            make_dataset(),
            judgements=judged([[5], [], [4, 5]]),
            protocols={"hard": judged([[], [], [4]])},
            pairs=paired([4, 5], [5, 6]),
        )
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"judgements": judged([[5]], (4,))}, "the judgements leave 2 queries out; judge every query"),
        (
            {"judgements": judged([[5], [77], [0]])},
            "the judgements name 2 images that are not in the gallery, first id 77",
        ),
        ({"protocols": {"hard": judged([[5]], (6,))}}, "the judgements of 'hard' leave 2 queries out"),
        ({"pairs": paired([4, 0], [5, 6])}, "1 pairs have an image that is no query image, first id 0"),
        ({"pairs": paired([4, 5], [3, 99])}, "2 pairs have an image that is no gallery image, first id 3"),
    ],
)
def test_answers_that_do_not_fit_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        check_dataset(replace(make_dataset(), **changes))
