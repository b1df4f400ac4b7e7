"""The training loop: against a bare one, the same for every method, and the same again for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from compatbench.data.dataset import Dataset
from compatbench.data.normalization import Normalization
from compatbench.encoders import Encoder
from compatbench.errors import ContractError, InvalidResultError
from compatbench.generations import loop as training
from compatbench.generations.augmentation import augment
from compatbench.generations.batches import TrainingSet
from compatbench.generations.embedding_model import EmbeddingModel
from compatbench.generations.loop import TrainingReport, embed_images, embedding_rate, train
from compatbench.heads import SoftmaxHead
from compatbench.machine.seeds import global_stream, stream
from compatbench.method import Batch, Need, Params, Task, TrainingMethod
from compatbench.model import NewModel, OldModel, View
from compatbench.storage.artefacts import tensors_hash
from compatbench.suite.encoder_spec import EncoderSpec
from compatbench.suite.recipe import Recipe

IMAGES, BATCH, DIM, CLASSES = 70, 16, 6, 10
STEPS = 4
"""Whole batches of an epoch: 70 images make four of 16, and six images sit an epoch out."""


class Plain(TrainingMethod):
    """Nothing but classification."""

    name = "plain"


@pytest.fixture(scope="module")
def data(digits: Dataset) -> TrainingSet:
    return TrainingSet(digits.train.images[:IMAGES], digits.train.labels[:IMAGES])


@pytest.fixture(scope="module")
def normalize(digits: Dataset) -> Normalization:
    return Normalization.of(digits.train)


def build(method_class: type[TrainingMethod] = Plain, backbone: str = "test_vit", **task: Any) -> EmbeddingModel:
    """An untrained model that is the same at every call."""
    method = method_class(Params(), Task(0, backbone, DIM, "softmax", tuple(range(CLASSES)), CLASSES, **task))
    with global_stream(0, "test"):
        encoder = Encoder(EncoderSpec(backbone=backbone, dim=DIM, image_size=16, channels=1))
        return EmbeddingModel(encoder, method.head(DIM, CLASSES), method)


def recipe(**values: Any) -> Recipe:
    defaults = {"epochs": 2, "batch_size": BATCH, "lr": 0.05, "augmentation": {"crop_padding": 1}}
    return Recipe.model_validate({**defaults, **values})


Run = Callable[..., tuple[EmbeddingModel, TrainingReport]]


@pytest.fixture
def run(data: TrainingSet, normalize: Normalization) -> Run:
    """Trains a new model by a method class: `run(Plain, seed=1, epochs=3)`."""

    def train_one(
        method_class: type[TrainingMethod] = Plain,
        seed: int = 0,
        *,
        backbone: str = "test_vit",
        old: OldModel | None = None,
        progress: Callable[[float], None] = lambda share: None,
        **values: Any,
    ) -> tuple[EmbeddingModel, TrainingReport]:
        model = build(method_class, backbone)
        return model, train(model, data, normalize, recipe(**values), seed, old=old, progress=progress)

    return train_one


def spy() -> tuple[type[TrainingMethod], list[Batch]]:
    """A method that keeps every batch it is shown."""
    seen: list[Batch] = []

    class Spy(Plain):
        def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
            seen.append(batch)
            return {}

    return Spy, seen


def weights_hash(model: EmbeddingModel) -> str:
    return tensors_hash(model.state_dict())


@pytest.mark.parametrize("backbone", ["test_vit", "test_resnet"])
def test_same_seed_same_bytes(run: Run, backbone: str) -> None:
    hashes = []
    for state in (1, 2):
        torch.manual_seed(state)
        hashes.append(weights_hash(run(seed=3, backbone=backbone)[0]))
    hashes.append(weights_hash(run(seed=4, backbone=backbone)[0]))
    assert hashes[0] == hashes[1] != hashes[2]


def test_plain_training_is_the_loop_that_everybody_would_write(
    run: Run, data: TrainingSet, normalize: Normalization
) -> None:
    used = recipe(momentum=0.9, weight_decay=5e-4)
    model = build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    order, crops = stream(5, "order", 0), stream(5, "augmentation", 0)
    expected_losses, expected_accuracy = [], []
    model.train()
    for epoch in range(2):
        permutation = torch.randperm(IMAGES, generator=order)
        total, right = 0.0, 0
        for step in range(STEPS):
            for group in optimizer.param_groups:
                group["lr"] = used.rate((epoch * STEPS + step) / (2 * STEPS))
            chosen = permutation[step * BATCH :][:BATCH]
            images = normalize(augment(data.images[chosen], used.augmentation, crops))
            logits = model.head(model.encoder(images))
            loss = F.cross_entropy(logits, data.labels[chosen])
            right += int((logits.argmax(1) == data.labels[chosen]).sum())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        expected_losses.append(total / STEPS)
        expected_accuracy.append(right / (STEPS * BATCH))
    trained, report = run(seed=5)
    assert report.losses == {"classification": pytest.approx(expected_losses, rel=1e-5)}
    assert report.accuracy == pytest.approx(expected_accuracy)
    for name, value in trained.state_dict().items():
        assert torch.allclose(value, model.state_dict()[name], atol=1e-5), name
    assert not torch.allclose(model.head.weight, build().head.weight, atol=1e-2), "nothing was learned"


def test_the_trained_model_classifies_its_training_images(
    run: Run, data: TrainingSet, normalize: Normalization
) -> None:
    model, report = run(epochs=40, optimizer="adamw", lr=0.01, augmentation={})
    predicted = model.head(embed_images(model, data.images, normalize)).argmax(dim=1)
    assert (predicted == data.labels).float().mean() > 0.9
    assert report.losses["classification"][-1] < 0.5 < report.losses["classification"][0]


def test_a_method_without_a_classifier_has_no_accuracy(run: Run) -> None:
    class Unclassified(Plain):
        classification_term = "contrast"

    assert len(run(Plain)[1].accuracy) == 2
    report = run(Unclassified)[1]
    assert (list(report.losses), report.accuracy) == (["contrast"], [])


def test_batches_say_what_they_hold(run: Run, data: TrainingSet, normalize: Normalization) -> None:
    method_class, seen = spy()
    run(method_class, augmentation={}, epochs=3)
    assert len(seen) == 3 * STEPS
    for number, batch in enumerate(seen):
        assert torch.equal(batch.labels, data.labels[batch.index])
        assert torch.equal(batch.images, normalize(data.images[batch.index]))
        assert (batch.epoch, batch.epochs) == (number // STEPS, 3)
        assert batch.progress == number / (3 * STEPS)
        assert batch.second_view is None
    for epoch in range(3):
        used = torch.cat([batch.index for batch in seen[epoch * STEPS :][:STEPS]])
        assert len(set(used.tolist())) == STEPS * BATCH, "an image came twice in one epoch"
    assert not torch.equal(seen[0].index, seen[STEPS].index), "two epochs, one order"


def test_a_batch_is_at_most_the_whole_training_set(run: Run) -> None:
    method_class, seen = spy()
    run(method_class, batch_size=1000)
    assert [sorted(batch.index.tolist()) for batch in seen] == [list(range(IMAGES))] * 2


def greedy_spy() -> tuple[type[TrainingMethod], list[Batch]]:
    """A spy that draws from every stream it can reach, and asks for two views."""
    method_class, seen = spy()

    class Greedy(method_class):  # type: ignore[misc, valid-type]
        needs = frozenset({Need.TWO_VIEWS})

        def setup(self, new: NewModel, old: OldModel | None) -> None:
            torch.rand(17)
            self.extra = nn.Linear(DIM, DIM)

        def start_epoch(self, epoch: int, epochs: int, new: NewModel, old: OldModel | None) -> None:
            torch.rand(5)
            new.train_embeddings()

        def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
            super().loss(batch, new, old)
            torch.rand(3)
            noise = torch.randn(new.embeddings.shape, generator=batch.generator)
            return {"noise": (self.extra(new.embeddings) - noise).square().mean()}

    return Greedy, seen


def test_every_method_sees_the_same_batches_whatever_it_draws(run: Run) -> None:
    plain_class, plain = spy()
    greedy_class, greedy = greedy_spy()
    run(plain_class, seed=2)
    run(greedy_class, seed=2)
    assert len(plain) == len(greedy) == 2 * STEPS
    for one, other in zip(plain, greedy, strict=True):
        assert torch.equal(one.index, other.index)
        assert one.images.numpy().tobytes() == other.images.numpy().tobytes()
        assert other.second_view is not None
        assert other.second_view.shape == other.images.shape
        assert not torch.equal(other.second_view, other.images), "the second view is the first one again"


def test_a_methods_own_draws_repeat_with_the_seed(run: Run) -> None:
    greedy, _ = greedy_spy()
    hashes = [weights_hash(run(greedy, seed=seed)[0]) for seed in (2, 2, 3)]
    assert hashes[0] == hashes[1] != hashes[2]


class Dropout(Plain):
    """Draws from torch's global stream at every step."""

    def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
        return {"dropped": F.dropout(new.embeddings, 0.5).square().mean()}


def test_dropout_draws_from_the_seed_and_not_from_what_ran_before(run: Run) -> None:
    hashes = []
    for state, seed in ((1, 2), (9, 2), (1, 3)):
        torch.manual_seed(state)
        before = torch.get_rng_state()
        hashes.append(weights_hash(run(Dropout, seed=seed)[0]))
        assert torch.equal(torch.get_rng_state(), before)
    assert hashes[0] == hashes[1] != hashes[2]


class Counting(Plain):
    """A classification term of 2, and terms of known values."""

    def classification(self, batch: Batch, new: View, old: View | None) -> Tensor:
        return 2.0 + 0.0 * new.logits.sum()

    def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
        zero = 0.0 * new.embeddings.sum()
        late = {"late": 3.0 + zero} if batch.epoch == 1 else {}
        return {"progress": batch.progress + zero, **late}


def test_terms_are_logged_by_name_with_their_means(run: Run) -> None:
    report = run(Counting, epochs=2)[1]
    # progress is 0, 1/8 … 7/8 over two epochs of four steps
    assert report.losses == {
        "classification": [2.0, 2.0],
        "progress": pytest.approx([(0 + 1 + 2 + 3) / 8 / 4, (4 + 5 + 6 + 7) / 8 / 4]),
        "late": [0.0, 3.0],
    }


class Rate(Plain):
    """A parameter with gradient 1 at every step, so that plain SGD moves it by the sum of the rates."""

    def __init__(self, params: Params, task: Task) -> None:
        super().__init__(params, task)
        self.position = nn.Parameter(torch.zeros(()))

    def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
        return {"position": self.position}


def test_every_step_is_taken_at_the_rate_of_its_schedule(run: Run) -> None:
    model, _ = run(Rate, momentum=0.0, weight_decay=0.0, schedule="step", steps=[0.5], warmup=0.25, lr=0.08)
    # eight steps, at 0, 1/8 … 7/8: two of warm-up from a hundredth, two at the full rate, four at a tenth
    expected = 0.08 * (0.01 + (0.5 * 0.99 + 0.01) + 2 * 1.0 + 4 * 0.1)
    assert -model.method.position.item() == pytest.approx(expected, rel=1e-5)


class Frozen(Plain):
    """Keeps its head as it is."""

    def setup(self, new: NewModel, old: OldModel | None) -> None:
        new.head.requires_grad_(False)


def test_what_a_method_freezes_is_not_even_decayed(run: Run) -> None:
    model, _ = run(Frozen, weight_decay=0.5)
    assert torch.equal(model.head.weight, build().head.weight)
    assert not torch.equal(model.encoder.embedding.weight, build().encoder.embedding.weight)


class OwnHead(Plain):
    """Puts a new head onto the model, as stationary-head methods may."""

    def setup(self, new: NewModel, old: OldModel | None) -> None:
        new.head = SoftmaxHead(DIM, CLASSES)


def test_a_head_made_in_setup_is_seeded_and_trained(run: Run) -> None:
    with global_stream(7, "setup", 0):
        untrained = SoftmaxHead(DIM, CLASSES).weight
    model, _ = run(OwnHead, seed=7, lr=1e-9)
    assert torch.allclose(model.head.weight, untrained, atol=1e-6)
    assert not torch.allclose(run(OwnHead, seed=7)[0].head.weight, untrained, atol=1e-3)


class Spoiled(Plain):
    """Its term is not a number from the third step on; one step later nothing is."""

    def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
        return {
            "sound": new.embeddings.mean(),
            "spoiled": new.embeddings.mean() * (1 if batch.progress < 0.25 else torch.nan),
        }


def test_a_loss_that_is_not_finite_stops_the_training_and_is_named(run: Run) -> None:
    with pytest.raises(InvalidResultError, match=r"^loss term 'spoiled' is nan in epoch 1, step 3$"):
        run(Spoiled)


def method_with(**functions: Any) -> type[TrainingMethod]:
    return type("Custom", (Plain,), functions)


@pytest.mark.parametrize(
    ("method_class", "message"),
    [
        (
            method_with(loss=lambda s, b, n, o: {"x": n.embeddings}),
            r"loss term 'x' has shape \(16, 6\): return a scalar",
        ),
        (
            method_with(classification=lambda s, b, n, o: b.labels * 1.0),
            r"loss term 'classification' has shape \(16,\)",
        ),
        (
            method_with(loss=lambda s, b, n, o: {"classification": n.logits.sum()}),
            "loss.. returns a term 'classification'",
        ),
    ],
)
def test_terms_that_break_the_contract(run: Run, method_class: type[TrainingMethod], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        run(method_class)


class Regression(Plain):
    """Pulls new embeddings onto old ones, through everything an old model offers."""

    needs = frozenset({Need.OLD_ENCODER, Need.OLD_CLASSIFIER, Need.OLD_FEATURES})

    def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
        assert old is not None
        logits = old.head(new.embeddings)
        return {
            "features": F.mse_loss(new.embeddings, old.embeddings),
            "logits": F.cross_entropy(logits, batch.labels),
        }


def old_model(data: TrainingSet, normalize: Normalization, needs: frozenset[Need]) -> tuple[EmbeddingModel, OldModel]:
    old = build(backbone="test_resnet").eval().requires_grad_(False)
    embed = lambda: embed_images(old, data.images, normalize)  # noqa: E731
    return old, OldModel(old, needs, torch.arange(CLASSES), data.labels, embed)


def test_the_old_model_stays_as_it_is(run: Run, data: TrainingSet, normalize: Normalization) -> None:
    old, view_of_old = old_model(data, normalize, Regression.needs)
    before = weights_hash(old)
    _, report = run(Regression, old=view_of_old, epochs=3)
    assert report.losses["features"][-1] < report.losses["features"][0]
    assert weights_hash(old) == before
    assert not old.training
    assert all(parameter.grad is None for parameter in old.parameters())


def test_labels_that_a_method_overwrites_are_its_own(run: Run, data: TrainingSet, normalize: Normalization) -> None:
    class Overwriting(Regression):
        def setup(self, new: NewModel, old: OldModel | None) -> None:
            super().setup(new, old)
            assert old is not None
            new.train_labels[:] = 0
            old.train_labels[:] = 0

    plain, _ = run(Regression, old=old_model(data, normalize, Regression.needs)[1])
    changed, _ = run(Overwriting, old=old_model(data, normalize, Regression.needs)[1])
    assert weights_hash(changed) == weights_hash(plain)


def test_mixed_precision_keeps_float32_weights_and_comes_near_full_precision(run: Run) -> None:
    (full, full_report), (mixed, mixed_report) = (run(precision=name) for name in ("float32", "bfloat16"))
    assert all(value.dtype is torch.float32 for value in mixed.state_dict().values() if value.is_floating_point())
    assert weights_hash(mixed) != weights_hash(full), "nothing was computed in bfloat16"
    assert mixed_report.losses["classification"] == pytest.approx(full_report.losses["classification"], rel=0.05)


class Clock:
    """A clock on which a second passes from one look to the next."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 1.0
        return self.now

    def process_time(self) -> float:
        return self.now


def test_speed_is_the_median_over_windows_of_steps(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "time", Clock())
    monkeypatch.setattr(training, "REPORT_EVERY", 3)
    report = run(epochs=1)[1]
    # windows of three steps and of one, a second each: 48 and 16 images/s
    assert report.images_per_second == 32.0
    assert report.seconds == 4.0, "looks: begun, epoch, two windows, end"


def test_embedding_rate_leaves_the_first_round_out(
    data: TrainingSet, normalize: Normalization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "time", Clock())
    assert embedding_rate(build(), data.images, normalize) == IMAGES


def test_progress_rises_to_one(run: Run) -> None:
    told: list[float] = []
    run(progress=told.append, epochs=3)
    assert told == pytest.approx([1 / 3, 2 / 3, 1.0])


def test_embeddings_are_those_of_single_images_in_evaluation_mode(data: TrainingSet, normalize: Normalization) -> None:
    model = build(backbone="test_resnet").train()
    many = data.images.repeat(9, 1, 1, 1)
    assert len(many) > training.EMBEDDING_BATCH
    together = embed_images(model, many, normalize)
    assert model.training, "the model was in training mode before"
    model.eval()
    with torch.no_grad():
        for position in (0, 511, 512, len(many) - 1):
            alone = model(normalize(many[position : position + 1]))[0]
            assert torch.allclose(together[position], alone, atol=1e-5)
    assert not together.requires_grad
