import pytest
import torch
from by_hand import dot, mean, rows

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 4, 8]


def through(matrix, vectors):
    return [[dot(row, vector) for row in matrix] for vector in vectors]


def mean_square(vectors):
    return mean([x * x for vector in vectors for x in vector])


def residuals(w):
    """B f_n − f_o of each image of the batch."""
    new, old = rows(w.new(w.images)), rows(w.old(w.images))
    mapped = through(rows(w.method.state_dict()["backward_map.weight"]), [new[i] for i in BATCH])
    return [[a - b for a, b in zip(m, old[i], strict=True)] for m, i in zip(mapped, BATCH, strict=True)]


@pytest.mark.parametrize("dim", [3, 4, 6])
def test_two_generations_follow_the_single_step_formula(world, dim):
    w = world("bc_aligner", {"weight": 2}, dim=dim)
    assert w.terms(BATCH)["alignment"].item() == pytest.approx(2 * mean_square(residuals(w)), abs=1e-5)


def test_later_generations_weigh_the_residual_in_every_earlier_space(world):
    to_second, to_first = torch.randn(5, 4), torch.randn(3, 5)  # B_2 from the old space (4) to 5, B_1 on to 3
    w = world("bc_aligner", backward_maps=[lambda f: f @ to_second.T, lambda f: f @ to_first.T])
    own = residuals(w)
    second = through(rows(to_second), own)
    first = through(rows(to_first), second)
    expected = 16 * (mean_square(own) + mean_square(second) + mean_square(first))
    assert w.terms(BATCH)["alignment"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("dim", [3, 4, 6])
def test_queries_for_the_old_gallery_pass_the_map(world, dim):
    w = world("bc_aligner", dim=dim)
    new = w.new(w.images)
    expected = through(rows(w.method.state_dict()["backward_map.weight"]), rows(new))
    assert torch.allclose(w.method.compatible(new), torch.tensor(expected), atol=1e-5)


def test_an_exact_backward_map_costs_nothing(world):
    """New space = invertible map of the old one: only a method with a map of its own reaches 0 here."""
    w = world("bc_aligner")
    change = torch.randn(4, 4) + 3 * torch.eye(4)
    with torch.no_grad():
        w.new.encoder.embedding.weight.copy_(change @ w.old.encoder.embedding.weight)
        w.new.encoder.embedding.bias.copy_(change @ w.old.encoder.embedding.bias)
        w.method.backward_map.weight.copy_(torch.linalg.inv(change))
    assert w.terms(BATCH)["alignment"].item() == pytest.approx(0, abs=1e-8)


def test_encoder_and_map_learn_together(world):
    w = world("bc_aligner")
    w.terms(BATCH)["alignment"].backward()
    learned = {name for name, p in w.new.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert learned == {"encoder.embedding.weight", "encoder.embedding.bias", "method.backward_map.weight"}


def test_weight_zero_is_independent(world):
    assert world("bc_aligner", {"weight": 0}).terms(BATCH)["alignment"].item() == 0


def test_needs_one_forward_pass_and_takes_any_dimension(catalogue):
    cls = catalogue.get("bc_aligner").cls
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    assert cls.needs == {Need.OLD_ENCODER}
    assert cls(cls.Params(), task).skip(task) is None
