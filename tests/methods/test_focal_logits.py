import math

import pytest
import torch
from by_hand import cosine, dot, mean, posterior, rows

from compatbench.method import Need, Task

BATCH = [0, 1, 2, 3, 4, 5, 6, 7]  # classes 0 1 2 3 4 0 1 2; the old model knows 0 1 2
OLD_CLASSES = (2, 0, 1)  # another order than the new ones
ROW = {0: 1, 1: 2, 2: 0}
COMMON = [i for i in BATCH if i % 5 in ROW]


def logits(w, i, score=dot):
    """Teacher's and student's logits of image i, both in the order 0, 1, 2."""
    new, old = rows(w.new(w.images))[i], rows(w.old(w.images))[i]
    new_rows, old_rows = rows(w.new.head.weight), rows(w.old.head.weight)
    return [score(old, old_rows[ROW[c]]) for c in range(3)], [score(new, new_rows[c]) for c in range(3)]


def divergence(teacher, student, temperature):
    p, q = posterior(teacher, temperature), posterior(student, temperature)
    return temperature**2 * sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def squared(teacher, student):
    return 0.5 * sum((a - b) ** 2 for a, b in zip(teacher, student, strict=True))


def focus(teacher, i, alpha=1.0, beta=5.0):
    return alpha + beta * (teacher.index(max(teacher)) == i % 5)


@pytest.mark.parametrize("dim", [3, 4, 6])
@pytest.mark.parametrize("temperature", [100.0, 2.0])
def test_fd_kl_follows_the_formula(world, dim, temperature):
    w = world("focal_logits", {"temperature": temperature, "weight": 0.4}, dim=dim, old_classes=OLD_CLASSES)
    expected = 0.4 * mean([focus(logits(w, i)[0], i) * divergence(*logits(w, i), temperature) for i in COMMON])
    assert w.terms(BATCH)["focal_distillation"].item() == pytest.approx(expected, abs=1e-5)


def test_fd_lm_follows_the_formula(world):
    params = {"variant": "fd_lm", "alpha": 0.5, "beta": 2.0}
    w = world("focal_logits", params, old_classes=OLD_CLASSES)
    expected = mean([focus(logits(w, i)[0], i, 0.5, 2.0) * squared(*logits(w, i)) for i in COMMON])
    assert w.terms(BATCH)["focal_distillation"].item() == pytest.approx(expected, abs=1e-5)


def test_the_codes_broadcast_averages_the_focus(world):
    params = {"variant": "fd_kl_code", "temperature": 2.0, "weight": 0.4}
    w = world("focal_logits", params, old_classes=OLD_CLASSES)
    weights = mean([focus(logits(w, i)[0], i) for i in COMMON])
    expected = 0.4 * weights * mean([divergence(*logits(w, i), 2.0) for i in COMMON])
    assert w.terms(BATCH)["focal_distillation"].item() == pytest.approx(expected, abs=1e-5)


def test_the_old_model_is_right_on_some_images_and_wrong_on_others(world):
    """Else the tests above would not see β."""
    w = world("focal_logits", old_classes=OLD_CLASSES)
    assert {focus(logits(w, i)[0], i) for i in COMMON} == {1.0, 6.0}


def test_logits_are_scored_as_each_head_does(world):
    params = {"variant": "fd_lm"}
    w = world("focal_logits", params, old_loss="normalized_softmax", loss="arcface", old_classes=OLD_CLASSES)
    losses = []
    for i in COMMON:
        teacher, student = logits(w, i, cosine)
        losses.append(focus(teacher, i) * squared([16 * z for z in teacher], [64 * z for z in student]))
    assert w.terms(BATCH)["focal_distillation"].item() == pytest.approx(mean(losses), rel=1e-5)


def test_old_classes_that_the_new_model_lacks_are_left_out_but_judge_it(world):
    """The old model knows 0, 1 and 9, the new one 0 to 4: two logits each, the old argmax over three."""
    w = world("focal_logits", {"variant": "fd_lm"}, old_classes=(0, 9, 1))
    old_rows, new_rows = rows(w.old.head.weight), rows(w.new.head.weight)
    losses = []
    for i in (i for i in BATCH if i % 5 in (0, 1)):
        new, old = rows(w.new(w.images))[i], rows(w.old(w.images))[i]
        teacher = [dot(old, row) for row in old_rows]
        right = teacher.index(max(teacher)) == {0: 0, 1: 2}[i % 5]
        losses.append((1 + 5 * right) * squared([teacher[0], teacher[2]], [dot(new, row) for row in new_rows[:2]]))
    assert w.terms(BATCH)["focal_distillation"].item() == pytest.approx(mean(losses), abs=1e-5)


@pytest.mark.parametrize("variant", ["fd_kl", "fd_lm"])
def test_equal_logits_cost_nothing(world, variant):
    w = world("focal_logits", {"variant": variant}, old_classes=OLD_CLASSES)
    w.copy_old_into_new()
    with torch.no_grad():
        w.new.head.weight[:3] = w.old.head.weight[[ROW[c] for c in range(3)]]
    assert w.terms(BATCH)["focal_distillation"].item() == pytest.approx(0, abs=1e-6)


def test_a_high_temperature_matches_centred_logits(world):
    """T² KL → ½ mean over classes of (Δz − mean Δz)² as T → ∞ (Hinton et al., 2015, section 2.1)."""
    w = world("focal_logits", {"temperature": 1e5, "beta": 0.0}, old_classes=OLD_CLASSES)
    losses = []
    for i in COMMON:
        differences = [b - a for a, b in zip(*logits(w, i), strict=True)]
        losses.append(0.5 * mean([(d - mean(differences)) ** 2 for d in differences]))
    assert w.terms(BATCH)["focal_distillation"].item() == pytest.approx(mean(losses), abs=1e-4)


@pytest.mark.parametrize("variant", ["fd_kl", "fd_lm"])
def test_a_batch_without_old_classes_gives_zero(world, variant):
    w = world("focal_logits", {"variant": variant})
    term = w.terms([3, 4, 8])["focal_distillation"]
    term.backward()
    assert term.item() == 0
    assert torch.isfinite(w.new.encoder.embedding.weight.grad).all()


def test_only_the_new_model_learns(world):
    w = world("focal_logits")
    w.terms(BATCH)["focal_distillation"].backward()
    assert w.new.encoder.embedding.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in w.old.parameters())


def test_weight_zero_is_independent(world):
    assert world("focal_logits", {"weight": 0}).terms(BATCH)["focal_distillation"].item() == 0


def test_skips_where_the_models_share_no_class(catalogue):
    cls = catalogue.get("focal_logits").cls
    disjoint = Task(1, "b", 4, "softmax", (2, 3), 4, "b", 8, (0, 1))
    overlapping = Task(1, "b", 4, "softmax", (1, 2), 4, "b", 8, (0, 1))
    assert "there are none" in cls(cls.Params(), disjoint).skip(disjoint)
    assert cls(cls.Params(), overlapping).skip(overlapping) is None
    assert cls.needs == {Need.OLD_ENCODER, Need.OLD_CLASSIFIER}


def test_state_round_trips(world):
    w, other = world("focal_logits"), world("focal_logits")
    other.method.load_state_dict(w.method.state_dict())
    assert other.terms(BATCH)["focal_distillation"].item() == w.terms(BATCH)["focal_distillation"].item()
