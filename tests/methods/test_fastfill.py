import math

import pytest
import torch
from by_hand import cosine, log_sum_exp, mean, rows

from compatbench.method import Need

SMALL = {"inner": 12, "epochs": 4, "batch_size": 20}


def by_hand(variant, rewritten, log_variance, new, means, labels, weight, smoothing, scale):
    losses = []
    for h, s, f, y in zip(rewritten, log_variance, new, labels, strict=True):
        distance = sum((a - b) ** 2 for a, b in zip(h, f, strict=True))
        logits = [scale * cosine(h, centre) for centre in means]
        surprises = [log_sum_exp(logits) - logit for logit in logits]
        classification = weight * ((1 - smoothing) * surprises[y] + smoothing * mean(surprises))
        variance, dim = math.exp(s), len(f)
        if variant == "paper":
            losses.append(distance / (2 * variance) + dim * math.log(variance) / 2 + classification)
        else:
            losses.append((distance / dim + classification) / (2 * variance) + math.log(variance) / 2)
    return mean(losses)


@pytest.mark.parametrize("variant", ["paper", "code"])
@pytest.mark.parametrize(("weight", "smoothing"), [(1, 0.1), (0, 0.1), (3, 0)])
def test_the_objective_follows_the_formula(adapter, pairs, variant, weight, smoothing):
    new, old, labels = pairs(5, 5, count=20)
    generator = torch.Generator().manual_seed(0)
    rewritten = 2 * old + 0.1
    log_variance = torch.randn(20, generator=generator)
    means = torch.randn(3, 5, generator=generator)
    method = adapter("fastfill", variant=variant, weight=weight, label_smoothing=smoothing, scale=4)
    found = method.loss(rewritten, log_variance, new, means, labels).item()
    given = (rows(rewritten), log_variance.tolist(), rows(new), rows(means), labels.tolist())
    assert found == pytest.approx(by_hand(variant, *given, weight, smoothing, 4), abs=1e-4)


def test_the_likelihood_of_one_vector_by_hand(adapter):
    """‖h − f‖² = 4, σ² = 2, D = 2: 4 / (2 · 2) + ½ · 2 · log 2 = 1 + log 2."""
    h, f = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0]])
    loss = adapter("fastfill", weight=0).loss(h, torch.tensor([math.log(2)]), f, torch.eye(2), torch.tensor([0]))
    assert loss.item() == pytest.approx(1 + math.log(2))


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_the_best_variance_is_the_mean_squared_error(adapter, variant):
    """Without classification the minimum over σ² is at ‖h − f‖² / D, here 0.25."""
    h, f = torch.zeros(1, 4), torch.full((1, 4), 0.5)
    method = adapter("fastfill", variant=variant, weight=0)

    def loss(variance):
        return method.loss(h, torch.tensor([math.log(variance)]), f, torch.eye(4), torch.tensor([0])).item()

    assert loss(0.25) < min(loss(0.2), loss(0.3))


def test_the_network_and_its_training_are_those_of_fct(adapter, pairs):
    new, old, labels = pairs(6, 4)
    torch.manual_seed(0)
    untrained = adapter("fct", inner=12).build(6, 4).gallery.state_dict()
    torch.manual_seed(0)
    method = adapter("fastfill", **SMALL)
    maps = method.fit(new, old, labels)
    assert [(name, value.shape) for name, value in maps.gallery.state_dict().items()] == [
        (name, value.shape) for name, value in untrained.items()
    ]
    shared = {"inner", "epochs", "batch_size", "lr", "weight_decay", "warmup"}
    defaults = [adapter(name).params.model_dump(include=shared) for name in ("fct", "fastfill")]
    assert defaults[0] == defaults[1]
    assert not maps.gallery.training


def test_what_cannot_be_known_from_the_old_vector_is_backfilled_first(adapter, pairs):
    """New vectors of one kind are noise; the kind shows in the old vector."""
    _, old, labels = pairs(4, 4, count=300)
    generator = torch.Generator().manual_seed(0)
    noisy = old[:, 0] > 0
    new = torch.where(noisy[:, None], torch.randn(300, 4, generator=generator), 0.5 * old)
    torch.manual_seed(0)
    maps = adapter("fastfill", inner=32, epochs=30, batch_size=100, lr=0.01, weight=0).fit(new, old, labels)
    scores = maps.order(maps.gallery(old))
    assert scores.shape == (300,)
    assert scores[noisy].mean() > scores[~noisy].mean() + 1


def test_the_score_is_linear_in_the_rewritten_vector(adapter, pairs):
    _, old, _ = pairs()
    maps = adapter("fastfill", **SMALL).build(4, 4).eval()
    rewritten = maps.gallery(old)
    expected = rewritten @ maps.order.weight[0] + maps.order.bias
    assert torch.allclose(maps.order(rewritten), expected, atol=1e-6)


def test_it_says_what_it_costs(adapter):
    assert adapter("fastfill").needs == {Need.OLD_FEATURES, Need.LABELS, Need.GALLERY_REWRITE}
