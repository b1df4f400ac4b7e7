import pytest
from by_hand import cross_entropy, dot, mean, rows

from compatbench.method import Expectation, Role

BATCH = [0, 1, 2, 3, 7]


def test_loss_is_cross_entropy_and_nothing_else(world):
    w = world("independent")
    terms = w.terms(BATCH)
    features, weights = rows(w.new(w.images)), rows(w.new.head.weight)
    expected = mean([cross_entropy([dot(features[i], row) for row in weights], int(w.labels[i])) for i in BATCH])
    assert list(terms) == ["classification"]
    assert terms["classification"].item() == pytest.approx(expected, abs=1e-5)


def test_never_looks_at_the_old_model(world):
    assert world("independent").method.needs == frozenset()


def test_is_the_reference_whose_cross_test_is_chance(catalogue):
    cls = catalogue.get("independent").cls
    assert (cls.role, cls.expects) == (Role.REFERENCE, {Expectation.CROSS_AT_CHANCE})
