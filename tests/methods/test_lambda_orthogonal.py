import math

import pytest
import torch
from by_hand import cosine, log_sum_exp, mean, rows

from compatbench.method import Need

WEIGHTS = {"forward_weight": 2, "backward_weight": 3, "contrast_weight": 5, "temperature": 0.5}


def square_distance(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def terms(adapter, pairs, weight, **params):
    new, old, labels = pairs(4, 4, count=12)
    generator = torch.Generator().manual_seed(5)
    mapped, rewritten = (side @ torch.randn(4, 4, generator=generator) for side in (new, old))
    found = adapter("lambda_orthogonal", **WEIGHTS, **params).terms(mapped, rewritten, old, labels, weight)
    return (
        {name: term.item() for name, term in found.items()},
        rows(mapped),
        rows(rewritten),
        rows(old),
        labels.tolist(),
    )


def test_the_terms_follow_the_formula(adapter, pairs):
    weight = torch.randn(4, 4, generator=torch.Generator().manual_seed(6))
    found, mapped, rewritten, old, labels = terms(adapter, pairs, weight, threshold=3, sharpness=0.5)
    contrast = []
    for query, label in zip(mapped, labels, strict=True):
        logits = [cosine(query, item) / 0.5 for item in rewritten]
        positives = [logit for logit, other in zip(logits, labels, strict=True) if other == label]
        contrast.append(mean([log_sum_exp(logits) - logit for logit in positives]))
    w = rows(weight)
    gram = [
        [sum(a * b for a, b in zip(p, q, strict=True)) - (i == j) for j, q in enumerate(w)] for i, p in enumerate(w)
    ]
    norm = math.sqrt(sum(entry**2 for row in gram for entry in row))
    expected = {
        "forward": 2 * mean([square_distance(f, b) for f, b in zip(rewritten, mapped, strict=True)]),
        "backward": 3 * mean([square_distance(b, o) for b, o in zip(mapped, old, strict=True)]),
        "contrast": 5 * mean(contrast),
        "orthogonality": norm / (1 + math.exp(-0.5 * (norm - 3))),
    }
    assert found == pytest.approx(expected, abs=1e-4)


def test_the_gate_opens_at_lambda(adapter, pairs):
    """‖(1 + s)² I − I‖_F = 2 ((1 + s)² − 1) in four dimensions."""
    values = {}
    for norm in (1.0, 5.0, 12.0, 19.0):
        found, *_ = terms(adapter, pairs, math.sqrt(1 + norm / 2) * torch.eye(4))
        values[norm] = found["orthogonality"]
    assert values == pytest.approx({1.0: 0, 5.0: 0, 12.0: 6, 19.0: 19}, abs=1e-3)


def test_a_variant_leaves_out_the_terms_that_it_does_not_have(adapter, pairs):
    eye = torch.eye(4)
    assert sorted(terms(adapter, pairs, eye)[0]) == ["backward", "contrast", "forward", "orthogonality"]
    assert sorted(terms(adapter, pairs, eye, variant="strict")[0]) == ["backward", "contrast", "forward"]
    assert sorted(terms(adapter, pairs, eye, rewrite=False)[0]) == ["backward", "contrast", "orthogonality"]


def fit(adapter, given, **params):
    new, old, labels = given
    torch.manual_seed(0)
    size = {"dim": new.shape[1], "old_dim": old.shape[1]}
    return adapter("lambda_orthogonal", **size, **{"epochs": 5, "batch_size": 25, "lr": 0.02, **params}).fit(
        new, old, labels
    )


@pytest.mark.parametrize(("dim", "old_dim"), [(5, 5), (7, 4), (4, 7)])
def test_the_strict_map_is_orthogonal_and_changes_no_distance(adapter, pairs, dim, old_dim):
    new, old, labels = pairs(dim, old_dim)
    maps = fit(adapter, (new, old, labels), variant="strict")
    weight = maps.new.weight
    assert weight.shape == (max(dim, old_dim), dim)
    assert torch.allclose(weight.T @ weight, torch.eye(dim), atol=1e-5)
    mapped = maps.new(new)
    assert torch.allclose(mapped @ mapped.T, new @ new.T, atol=1e-5)
    start = adapter("procrustes").fit(new, old, None).query.weight
    assert (weight[:old_dim] - start).abs().max() > 1e-3, "it was not trained"


def test_the_relaxed_map_leaves_the_orthogonal_ones_as_far_as_lambda_lets_it(adapter, pairs):
    def distance(threshold):
        weight = fit(adapter, pairs(5, 5), threshold=threshold, sharpness=100, epochs=40).new.weight
        return (weight @ weight.T - torch.eye(5)).norm().item()

    assert distance(0) < 0.2
    assert distance(0.5) < 0.6
    assert distance(100) > 1


@pytest.mark.parametrize("variant", ["relaxed", "strict"])
def test_fitting_brings_new_and_rewritten_old_vectors_together(adapter, pairs, variant):
    new, old, labels = pairs(6, 5, count=100)
    maps = fit(adapter, (new, old, labels), variant=variant, epochs=30, contrast_weight=0)
    start = adapter("procrustes").fit(new, old, None).query(new)
    before = torch.cosine_similarity(start, old).mean()
    assert torch.cosine_similarity(maps.new(new), maps.gallery(old)).mean() > before + 0.05


def test_the_contrast_brings_classes_together_across_the_models(adapter):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    centres = torch.randn(2, 3, 6, generator=generator)
    new, old = (torch.nn.functional.normalize(c[labels] + torch.randn(90, 6, generator=generator)) for c in centres)

    def contrast(weight):
        maps = fit(adapter, (new, old, labels), epochs=20, contrast_weight=weight)
        terms = adapter("lambda_orthogonal").terms(maps.new(new), maps.gallery(old), old, labels, maps.new.weight)
        return terms["contrast"].item()

    assert contrast(1) < contrast(0) - 0.1


def test_the_backfill_begins_farthest_from_the_nearest_class_mean(adapter, pairs):
    new, old, labels = pairs()
    maps = fit(adapter, (new, old, labels))
    rewritten = rows(maps.gallery(old))
    means = [
        [mean(list(column)) for column in zip(*members, strict=True)]
        for members in ([v for v, c in zip(rewritten, labels.tolist(), strict=True) if c == k] for k in range(3))
    ]
    expected = [1 - max(cosine(vector, centre) for centre in means) for vector in rewritten]
    assert maps.order(maps.gallery(old)).tolist() == pytest.approx(expected, abs=1e-5)


def test_without_rewriting_the_gallery_stays_and_costs_nothing(adapter, pairs):
    method = adapter("lambda_orthogonal", rewrite=False)
    assert method.needs == {Need.OLD_FEATURES, Need.LABELS}
    assert adapter("lambda_orthogonal").needs == {Need.OLD_FEATURES, Need.LABELS, Need.GALLERY_REWRITE}
    maps = fit(adapter, pairs(6, 4), rewrite=False)
    assert maps.gallery is None
    assert maps.order.means.shape == (3, 4)
