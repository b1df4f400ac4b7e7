import pytest
import torch
from by_hand import cosine, dot, log_sum_exp, mean, mean_vector, rows, unit

from compatbench.method import Need, Task

CLASS_MEAN = {"variant": "class_mean"}
BATCHES = [[0, 1, 2, 3, 4, 5], [6, 10, 8, 11, 13]]  # the second one finds the first in the queue


def class_mean_weight(w, i, j):
    old = rows(w.old(w.images))
    center = mean_vector([old[k] for k in range(len(old)) if w.labels[k] == w.labels[j]])
    return 0.5 * (1 + cosine(old[j], center))


def neighbor_weight(w, i, j):
    old = rows(w.old(w.images))
    return 0.5 * (1 + cosine(old[i], old[j]))


WEIGHTS = {"class_mean": class_mean_weight, "neighbors": neighbor_weight}


def consensus(w, batch, queue, similarity, weight, temperature):
    losses = []
    for i in batch:
        logits = {j: similarity(i, j) / temperature for j in queue}
        total = log_sum_exp(list(logits.values()))
        positives = [j for j in queue if w.labels[j] == w.labels[i]]
        losses.append(-sum(weight(w, i, j) * (logits[j] - total) for j in positives) / max(1, len(positives)))
    return mean(losses)


def expected(w, batch, queue, weight, temperature=1.0):
    """Both terms, unweighted, given the positions of the images in the queue."""
    new, old, head = rows(w.new(w.images)), rows(w.old(w.images)), rows(w.new.head.weight)
    dim = len(new[0])

    def feature(i, j):
        return cosine(new[i][:4], old[j])

    def logit(i, j):
        padded = old[j] + [0.0] * (dim - 4)
        return sum(dot(new[i], row) * dot(padded, row) for row in head)

    return [consensus(w, batch, queue, similarity, weight, temperature) for similarity in (feature, logit)]


@pytest.mark.parametrize("variant", ["class_mean", "neighbors"])
@pytest.mark.parametrize("dim", [4, 6])
def test_follows_the_formula_over_the_queue(world, variant, dim):
    w = world("nccl", {"variant": variant, "feature_weight": 0.5, "logit_weight": 0.1, "temperature": 0.3}, dim=dim)
    w.terms(BATCHES[0])
    terms = w.terms(BATCHES[1])
    features, logits = expected(w, BATCHES[1], BATCHES[1] + BATCHES[0], WEIGHTS[variant], 0.3)
    assert terms["feature_consensus"].item() == pytest.approx(0.5 * features, abs=1e-5)
    assert terms["logit_consensus"].item() == pytest.approx(0.1 * logits, abs=1e-5)


def test_published_defaults(world):
    w = world("nccl")
    terms = w.terms(BATCHES[0])
    features, logits = expected(w, BATCHES[0], BATCHES[0], neighbor_weight)
    assert terms["feature_consensus"].item() == pytest.approx(features, abs=1e-5)
    assert terms["logit_consensus"].item() == pytest.approx(0.01 * logits, abs=1e-5)
    assert w.method.params.queue_size == 8192


def test_the_oldest_leave_a_full_queue(world):
    w = world("nccl", {**CLASS_MEAN, "queue_size": 8})
    w.terms(BATCHES[0])
    found = w.terms(BATCHES[1])["feature_consensus"].item()
    queue = BATCHES[1] + BATCHES[0][:3]
    assert found == pytest.approx(expected(w, BATCHES[1], queue, class_mean_weight)[0], abs=1e-5)
    assert w.method.labels.tolist() == [int(w.labels[i]) for i in queue]
    old = torch.tensor([unit(row) for row in rows(w.old(w.images[queue]))])
    assert torch.allclose(w.method.features, old, atol=1e-6)


def test_a_queue_smaller_than_the_batch_leaves_some_without_a_positive(world):
    w = world("nccl", {**CLASS_MEAN, "queue_size": 2})
    found = w.terms(BATCHES[0])["feature_consensus"].item()
    assert found == pytest.approx(expected(w, BATCHES[0], BATCHES[0][:2], class_mean_weight)[0], abs=1e-5)


def test_queued_logits_are_those_of_the_classifier_of_their_time(world):
    w = world("nccl", CLASS_MEAN)
    w.terms(BATCHES[0])
    before = w.method.logits.clone()
    with torch.no_grad():
        w.new.head.weight *= 2
    w.terms(BATCHES[1])
    assert torch.equal(w.method.logits[len(BATCHES[1]) :], before)
    assert torch.allclose(w.method.logits[: len(BATCHES[1])], w.new.head(w.old(w.images[BATCHES[1]])), atol=1e-6)


def test_two_batches_before_one_backward(world):
    """The queue moves on without spoiling the graph of the earlier batch, and carries no gradient."""
    w = world("nccl", CLASS_MEAN)
    first, second = (sum(w.terms(batch).values()) for batch in BATCHES)
    (first + second).backward()
    assert torch.isfinite(w.new.encoder.embedding.weight.grad).all()
    assert not w.method.features.requires_grad
    assert not w.method.logits.requires_grad


def test_an_outlier_counts_less(world):
    """Weights fall with the angle to the class mean, from 1 at the mean to 0 opposite to it."""
    w = world("nccl", CLASS_MEAN)
    w.method.labels = torch.tensor([0, 0, 0])
    center = w.method.means[0] / w.method.means[0].norm()
    aside = torch.linalg.svd(center[None]).Vh[1]
    w.method.features = torch.stack([center, aside, -center])
    assert w.method.weights(None)[0].tolist() == pytest.approx([1.0, 0.5, 0.0], abs=1e-6)


def test_weight_zero_is_independent(world):
    terms = world("nccl", {"feature_weight": 0, "logit_weight": 0}).terms(BATCHES[0])
    assert terms["feature_consensus"].item() == 0
    assert terms["logit_consensus"].item() == 0


@pytest.mark.parametrize("batch", [[0, 1, 2, 3, 4], [3, 8, 4], [3]])
def test_survives_single_samples_and_unknown_classes(world, batch):
    w = world("nccl", CLASS_MEAN)
    terms = w.terms(batch)
    sum(terms.values()).backward()
    assert all(torch.isfinite(term) for term in terms.values())
    assert torch.isfinite(w.new.encoder.embedding.weight.grad).all()


def test_the_queue_is_not_stored_with_the_model(world):
    w, fresh = world("nccl", CLASS_MEAN), world("nccl", CLASS_MEAN)
    w.terms(BATCHES[0])
    fresh.new.load_state_dict(w.new.state_dict())
    assert not list(w.method.state_dict())
    assert torch.equal(fresh.new(w.images), w.new(w.images))


def test_needs_no_old_classifier_and_class_means_only_for_their_weights(catalogue):
    cls = catalogue.get("nccl").cls
    task = Task(1, "b", 3, "softmax", (0, 1), 2, "b", 4, (0, 1))
    assert cls(cls.Params(), task).needs == {Need.OLD_ENCODER}
    assert cls(cls.Params(**CLASS_MEAN), task).needs == {Need.OLD_ENCODER, Need.OLD_FEATURES}
    assert "first 4 dimensions" in cls(cls.Params(), task).skip(task)
