"""Upgrades in plain words."""

import pytest

from compatbench.suite.scenarios import GenerationSpec
from compatbench.suite.upgrade import in_words


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ({"share": 0.1}, {}, "more items of the same classes (10% → all)"),
        ({"share": 0.3}, {"share": [0.3, 1]}, "other items of the same classes (30% → the other 70%)"),
        ({"classes": 0.5}, {}, "more classes (50% → all)"),
        ({"classes": 100}, {"classes": 200}, "more classes (100 → 200)"),
        ({"classes": 0.2}, {"classes": [0.2, 1]}, "other classes (20% → the other 80%)"),
        ({"backbone": "resnet18.a1"}, {"backbone": "vit.b"}, "another encoder (resnet18 → vit)"),
        ({"dim": 64}, {"dim": 128}, "64 → 128 dimensions"),
        ({"loss": "softmax"}, {"loss": "arcface"}, "another loss (softmax → arcface)"),
        ({"imbalance": 100}, {}, "from many classes with few examples to even ones"),
        ({}, {}, "the same data and encoder again"),
    ],
)
def test_what_the_new_generation_has(old, new, words):
    chain = [GenerationSpec(**{"backbone": "small", **step}) for step in (old, new)]
    assert in_words(chain) == words


def test_chains_and_unseen_classes_are_told():
    chain = [GenerationSpec(backbone="small", share=share) for share in (0.1, 0.5, 1.0)]
    assert in_words(chain, "unseen", "images") == (
        "2 upgrades in a row, more images of the same classes (10% → all), tested on classes of neither generation"
    )
