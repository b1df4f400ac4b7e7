import math
import sys
from dataclasses import replace

import pytest
import torch
from by_hand import cross_entropy, dot, mean, mean_vector, norm, rows, unit

from compatbench.method import Need, Task
from compatbench.model import View

BATCH = [0, 1, 2, 3, 4, 8, 10]
UNKNOWN_ONLY = [3, 4, 8, 9]  # classes 3 and 4, which the old model never saw
THRESHOLDS = [0.0, 0.3, 1.0]


def distance(a, b):
    return norm([x - y for x, y in zip(a, b, strict=True)])


def terms(w, index, **time):
    batch = replace(w.batch(index), **time)
    return w.method.loss(batch, View(w.new, batch.images, frozen=False), w.old_model.view(batch.images))


def largest_inlier(distances):
    return sys.modules["compatbench_methods.advbct"].largest_inlier(torch.tensor(distances)).item()


def boundary(w, index, threshold=None, quantile=None):
    """L_p2s of the world's classes: four images each, of which 0, 1 and 2 are known."""
    old = [unit(f) for f in rows(w.old(w.images))]
    new = [unit(f[:4]) for f in rows(w.new(w.images))]
    elasticity = w.method.elasticity.tolist()
    violations = []
    for i in index:
        c = int(w.labels[i])
        members = [old[j] for j in range(20) if w.labels[j] == c]
        centre = mean_vector(members)
        ordered = sorted(distance(f, centre) for f in members)
        fence = ordered[3] + 1.5 * (ordered[3] - ordered[1])
        largest = max(d for d in ordered if d <= fence)
        if quantile is not None:
            place = quantile * (len(ordered) - 1)
            below = int(place)
            threshold = ordered[below] + (place - below) * (ordered[min(below + 1, 3)] - ordered[below])
        sign = 1 if largest < threshold else -1
        radius = largest + sign * abs(largest - threshold) / (1 + math.exp(-elasticity[c]))
        if c <= 2 and distance(new[i], centre) > radius:
            violations.append(distance(new[i], centre) - radius)
    return mean(violations) if violations else 0.0


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("dim", [4, 6])
def test_boundary_follows_the_formula(world, threshold, dim):
    w = world("advbct", {"threshold": threshold, "boundary": 0.7}, dim=dim)
    expected = boundary(w, BATCH, threshold)
    assert terms(w, BATCH)["boundary"].item() == pytest.approx(0.7 * expected, abs=1e-5)
    assert expected > 0


@pytest.mark.parametrize("quantile", [0.0, 0.4, 1.0])
def test_a_radius_relative_to_the_class_follows_the_formula(world, quantile):
    w = world("advbct", {"variant": "quantile", "quantile": quantile})
    expected = boundary(w, BATCH, quantile=quantile)
    assert terms(w, BATCH)["boundary"].item() == pytest.approx(expected, abs=1e-5)
    assert expected > 0


@pytest.mark.parametrize(
    ("distances", "expected"),
    [
        ([0.3], 0.3),
        ([0.1, 9.0], 9.0),  # fewer than four: nothing is removed
        ([0.1, 0.2, 9.0], 9.0),
        ([1.0, 2.0, 3.0, 4.0], 4.0),  # q1 = 2, q3 = 4: up to 7
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 14.0], 7.0),  # q1 = 3, q3 = 7: up to 13
        ([13.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 13.0),  # on the fence is within, in any order
        ([0.5] * 7 + [0.6], 0.5),  # no spread: anything beyond is an outlier
        ([0.0] + [0.5] * 7, 0.5),  # low outliers do not matter to the largest
    ],
)
def test_outliers_are_removed_beyond_one_and_a_half_interquartile_ranges(catalogue, distances, expected):
    assert largest_inlier(distances) == pytest.approx(expected)


def test_a_class_without_images_has_radius_zero(catalogue):
    assert largest_inlier([]) == 0


def test_radii_lie_between_the_largest_distance_and_the_threshold(world):
    method = world("advbct").method
    for weight, expected in ((-50, method.largest), (50, torch.ones(5)), (0, (method.largest + 1) / 2)):
        torch.nn.init.constant_(method.elasticity, weight)
        assert torch.allclose(method.radii(), expected, atol=1e-6)


def test_the_elasticity_starts_between_minus_one_and_one_and_learns(world):
    w = world("advbct")
    assert w.method.elasticity.abs().max() <= 1
    assert w.method.elasticity.std() > 0.1
    terms(w, BATCH)["boundary"].backward()
    violated = w.method.elasticity.grad.nonzero().flatten().tolist()
    assert violated
    assert set(violated) <= {0, 1, 2}


def test_no_old_class_in_the_batch_gives_zero_with_a_gradient(world):
    w = world("advbct")
    term = terms(w, UNKNOWN_ONLY)["boundary"]
    term.backward()
    assert term.item() == 0
    assert torch.equal(w.new.encoder.embedding.weight.grad, torch.zeros(4, 6))


def test_classes_of_one_image_are_skipped(world):
    w = world("advbct", classes=(0, 1, 2))
    w.old_model.train_labels = torch.tensor([0] * 7 + [1] * 4 + [2])
    method = type(w.method)(w.method.params, w.method.task)
    method.setup(None, w.old_model)
    assert method.bounded.tolist() == [True, True, False]
    far = -torch.nn.functional.normalize(w.old(w.images))
    assert method.boundary(far[[11]], torch.tensor([2])).item() == 0
    assert method.boundary(far[[0]], torch.tensor([0])).item() > 0


def test_equal_models_are_within_wide_radii(world):
    w = world("advbct", {"threshold": 2})
    torch.nn.init.constant_(w.method.elasticity, 50)
    w.copy_old_into_new()
    assert terms(w, BATCH)["boundary"].item() == 0


def discriminate(w, features, label):
    """Mean CE of Linear, batch norm over the batch (biased variance), ReLU, Linear."""
    first, norm_layer, _, last = w.method.discriminator
    hidden = [
        [dot(row, f) + bias for row, bias in zip(rows(first.weight), first.bias.tolist(), strict=True)]
        for f in features
    ]
    columns = []
    for column in zip(*hidden, strict=True):
        centred = [x - mean(list(column)) for x in column]
        deviation = math.sqrt(mean([x * x for x in centred]) + norm_layer.eps)
        columns.append([max(0.0, x / deviation) for x in centred])
    losses = []
    for activations in zip(*columns, strict=True):
        parameters = zip(rows(last.weight), last.bias.tolist(), strict=True)
        losses.append(cross_entropy([dot(row, list(activations)) + bias for row, bias in parameters], label))
    return mean(losses)


@pytest.mark.parametrize("dim", [4, 6])
@pytest.mark.parametrize("progress", [0.0, 0.6])
def test_adversarial_follows_the_formula(world, dim, progress):
    """The discriminator sees raw embeddings; its weight falls from 1 to 0."""
    w = world("advbct", {"adversarial": 0.7}, dim=dim)
    new, old = [f[:4] for f in rows(w.new(w.images))], rows(w.old(w.images))
    on_new = discriminate(w, [new[i] for i in BATCH], 0)
    on_old = discriminate(w, [old[i] for i in BATCH], 1)
    found = terms(w, BATCH, progress=progress)["adversarial"].item()
    assert found == pytest.approx(0.7 * (1 - progress) * (on_new + on_old), abs=1e-5)


@pytest.mark.parametrize(("progress", "coefficient"), [(0.0, 0.0), (0.1, 0.46211716), (0.5, 0.98661430)])
def test_the_encoder_climbs_what_the_discriminator_descends(world, progress, coefficient):
    """Its gradient is that of plain training times −(2/(1 + e^{−10p}) − 1); the discriminator's only has the weight."""
    w = world("advbct")
    terms(w, BATCH, progress=progress)["adversarial"].backward()
    encoder, discriminator = w.new.encoder.embedding.weight.grad.clone(), w.method.discriminator[0].weight.grad.clone()
    w.new.zero_grad()
    batch = torch.tensor(BATCH)
    embeddings, labels = w.new(w.images[batch]), torch.zeros(len(BATCH), dtype=torch.long)
    loss = torch.nn.functional.cross_entropy(w.method.discriminator(embeddings), labels)
    (loss + torch.nn.functional.cross_entropy(w.method.discriminator(w.old(w.images[batch])), labels + 1)).backward()
    assert torch.allclose(encoder, -coefficient * (1 - progress) * w.new.encoder.embedding.weight.grad, atol=1e-6)
    assert torch.allclose(discriminator, (1 - progress) * w.method.discriminator[0].weight.grad, atol=1e-6)


def test_weights_zero_are_independent(world):
    found = world("advbct", {"boundary": 0, "adversarial": 0}).terms(BATCH)
    assert found["boundary"].item() == found["adversarial"].item() == 0


def test_discriminator_and_radii_are_stored_with_the_model(world):
    w, again = world("advbct"), world("advbct")
    torch.nn.init.normal_(again.method.elasticity)
    torch.nn.init.normal_(again.method.discriminator[0].weight)
    assert not torch.equal(terms(again, BATCH)["adversarial"], terms(w, BATCH)["adversarial"])
    again.method.load_state_dict(w.method.state_dict())
    for name in ("boundary", "adversarial"):
        assert torch.equal(terms(again, BATCH)[name], terms(w, BATCH)[name])


def test_published_settings(catalogue):
    params = catalogue.get("advbct").resolve({})
    assert (params.boundary, params.adversarial, params.threshold) == (1, 1, 1)
    assert catalogue.get("advbct").needs == {Need.OLD_ENCODER, Need.OLD_FEATURES}


def test_skips_a_smaller_new_dimension(catalogue):
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    cls = catalogue.get("advbct").cls
    assert "first 4 dimensions" in cls(cls.Params(), task).skip(task)
