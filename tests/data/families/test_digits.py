from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

from compatbench.discovery.datasets import check, get, load

NOWHERE = Path("does-not-exist")


def test_train_has_a_hundred_of_each_class_and_the_rest_is_query_and_gallery() -> None:
    dataset = load("digits", None, NOWHERE, {})
    assert torch.bincount(dataset.train.labels).tolist() == [100] * 10
    assert dataset.query is dataset.gallery
    assert len(dataset.query) == 797
    everything = torch.cat([dataset.train.ids, dataset.query.ids])
    assert sorted(everything.tolist()) == list(range(1797))


def test_images_and_labels_are_those_of_scikit_learn() -> None:
    digits = load_digits()
    dataset = load("digits", None, NOWHERE, {})
    for split in (dataset.train, dataset.query):
        for row in range(0, len(split), 37):
            original = int(split.ids[row])
            assert int(split.labels[row]) == digits.target[original]
            levels = split.images[row, 0].numpy().astype(float) * 16 / 255
            np.testing.assert_array_equal(np.rint(levels), digits.images[original])
            assert abs(levels - digits.images[original]).max() <= 8 / 255


def test_the_first_of_each_class_are_for_training() -> None:
    dataset = load("digits", None, NOWHERE, {})
    for label in range(10):
        trained = dataset.train.ids[dataset.train.labels == label]
        tested = dataset.query.ids[dataset.query.labels == label]
        assert int(trained.max()) < int(tested.min())


def test_fingerprint_is_the_same_on_every_machine() -> None:
    fingerprint = "0e6936f7eb0414c425de42a393a865a63a6db5d5eec1be93b1fa5cd79778253f"
    assert load("digits", 16, NOWHERE, {}).fingerprint == fingerprint


def test_needs_no_download() -> None:
    assert get("digits", NOWHERE, print) == "digits: ships with scikit-learn"
    assert check("digits", NOWHERE, {}) == "digits: ok, 1,000 train, 797 query = gallery images, 10 classes"
    assert not NOWHERE.exists()
