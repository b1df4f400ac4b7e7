import pytest
import torch
from by_hand import cross_entropy, dot, mean, rows

from compatbench.method import Expectation, Role, Task

BATCH = [0, 1, 2, 3, 4, 8]


def test_is_bct_with_permuted_targets(world):
    w, bct = world("shuffled_prototypes"), world("bct")
    new, permutation = rows(w.new(w.images)), w.method.row_of_class.tolist()
    row_list = rows(bct.method.rows)
    expected = mean(
        [cross_entropy([dot(new[i], row) for row in row_list], permutation[int(w.labels[i])]) for i in BATCH]
    )
    assert torch.equal(w.method.rows, bct.method.rows)
    assert w.terms(BATCH)["influence"].item() == pytest.approx(expected, abs=1e-5)


def test_every_class_gets_anothers_prototype(world):
    shuffled = world("shuffled_prototypes").method.row_of_class
    straight = world("bct").method.row_of_class
    assert sorted(shuffled.tolist()) == sorted(straight.tolist())
    assert (shuffled != straight).all()


def test_is_a_control_that_must_fail(catalogue):
    cls = catalogue.get("shuffled_prototypes").cls
    assert (cls.role, cls.expects) == (Role.CONTROL, {Expectation.CROSS_BELOW_OLD})


def test_one_class_cannot_be_shuffled(catalogue):
    task = Task(1, "b", 4, "softmax", (0,), 1, "b", 4, (0,))
    cls = catalogue.get("shuffled_prototypes").cls
    assert "one class" in cls(cls.Params(), task).skip(task)
