import pytest
import torch

from compatbench.method import Role, Task


def test_starts_from_the_old_weights(world):
    w = world("finetune")
    assert torch.equal(w.new(w.images), w.old(w.images))
    assert w.new.encoder.embedding.weight is not w.old.encoder.embedding.weight


def test_training_leaves_the_old_weights_alone(world):
    w = world("finetune")
    before = w.old.encoder.embedding.weight.clone()
    w.terms([0, 1, 2])["classification"].backward()
    with torch.no_grad():
        w.new.encoder.embedding.weight -= w.new.encoder.embedding.weight.grad
    assert torch.equal(w.old.encoder.embedding.weight, before)
    assert not torch.equal(w.new.encoder.embedding.weight, before)


def test_adds_no_term(world):
    assert list(world("finetune").terms([0, 1, 2])) == ["classification"]


@pytest.mark.parametrize(
    ("other_encoder", "old_dim", "word"),
    [("backbone is a, and was b", 4, "was b"), (None, 8, "8"), (None, 4, None), (None, None, None)],
)
def test_skips_where_the_weights_do_not_fit(catalogue, other_encoder, old_dim, word):
    task = Task(1, "linear", 4, "softmax", (0, 1), 2, "linear", old_dim, (0, 1), other_encoder)
    cls = catalogue.get("finetune").cls
    reason = cls(cls.Params(), task).skip(task)
    assert (reason is None) == (word is None)
    assert word is None or word in reason


def test_is_a_reference(catalogue):
    assert catalogue.get("finetune").cls.role is Role.REFERENCE
