from pathlib import Path

import pytest

from compatbench.data.catalogue import FAMILIES, check, family, get, load
from compatbench.errors import RequestError


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_family_says_what_it_is(name: str) -> None:
    entry = family(name)
    assert entry.name == name
    assert entry.licence
    assert entry.description
    assert "\n" not in entry.description
    assert entry.size is None or entry.size > 0


@pytest.mark.parametrize(
    "call", [lambda n: load(n, 8, Path(), {}), lambda n: get(n, Path(), print), lambda n: check(n, Path(), {})]
)
def test_unknown_names_come_with_the_nearest(call) -> None:
    with pytest.raises(RequestError, match=r"unknown dataset 'fashion-mnist'; did you mean 'fashion_mnist'\?"):
        call("fashion-mnist")
    with pytest.raises(RequestError, match=r"unknown dataset 'xyz'; known are cars196, cifar10, .*, digits, .*, svhn$"):
        call("xyz")


def test_images_have_the_size_asked_for() -> None:
    dataset = load("digits", 12, Path(), {})
    assert [split.images.shape[1:] for split in (dataset.train, dataset.query)] == [(1, 12, 12)] * 2
    assert dataset.query is dataset.gallery
    assert load("digits", None, Path(), {}).train.image_size == 8


def test_impossible_sizes_and_options_are_named() -> None:
    with pytest.raises(RequestError, match="image_size is 0; it must be at least 1"):
        load("digits", 0, Path(), {})
    with pytest.raises(RequestError, match="dataset 'digits' has no option 'path'; it has none"):
        load("digits", None, Path(), {"path": "x"})
