"""Chains of models: what is trained when, what is shared, and that a stored model is the one that was trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.data.dataset import Dataset
from compatbench.data.stand_in import stand_in
from compatbench.discovery.datasets import family
from compatbench.discovery.plugins import Catalogue, discover
from compatbench.generations import chain as chain_module
from compatbench.generations.chain import ChainTrainer, TrainedModel, embedding_dim, task_of
from compatbench.generations.loop import embed_images
from compatbench.method import Task
from compatbench.storage.artefacts import tensors_hash
from compatbench.suite.scenarios import GenerationSpec
from compatbench.suite.splits import held_out_indices
from compatbench.vocabulary import TrainPart

Trainer = Callable[..., ChainTrainer]

TRAINING_METHODS = sorted(name for name, plugin in discover().plugins.items() if plugin.kind == "training")


def models(trainer: ChainTrainer, name: str, **params: Any) -> list[TrainedModel]:
    plugin = trainer.catalogue.get(name)
    return trainer.models(plugin, plugin.resolve(params))


def embed(trainer: ChainTrainer, trained: TrainedModel) -> Tensor:
    return embed_images(trained.model, trainer.dataset.query.images[:64], trainer.normalize)


def test_old_and_independent_models_are_trained_once_for_all_methods(trainer: Trainer, trainings: list[str]) -> None:
    chain = trainer()
    baseline = models(chain, "independent")
    assert trainings == ["independent 0", "independent 1"]
    ids = {}
    for name in ("bct", "l2", "distillation"):
        old, new = models(chain, name)
        assert old.id == baseline[0].id
        ids[name] = new.id
    assert trainings[2:] == ["bct 1", "l2 1", "distillation 1"]
    assert len({*ids.values(), baseline[1].id}) == 4
    assert chain.baseline(1).id == baseline[1].id
    models(trainer(), "bct")
    assert len(trainings) == 5, "another trainer over the same store trains nothing again"


def test_methods_with_their_own_first_generation_train_it(trainer: Trainer, trainings: list[str]) -> None:
    old, _ = models(trainer(), "etf")
    assert trainings == ["etf 0", "etf 1"]
    assert old.id != trainer().baseline(0).id


def test_a_needed_independent_model_has_a_start_of_its_own(trainer: Trainer, trainings: list[str]) -> None:
    chain = trainer()
    chain.baseline(1)
    models(chain, "bt2")
    assert trainings == ["independent 1", "independent 0", "independent 1", "bt2 1"], "the teacher is another one"
    models(chain, "bt2", shared_start=True)
    assert trainings[4:] == ["bt2 1"], "its teacher is the baseline"
    teacher, baseline = chain._teacher(1, False), chain._teacher(1, True)
    assert baseline.id == chain.baseline(1).id
    assert not torch.equal(teacher.model.encoder.embedding.weight, baseline.model.encoder.embedding.weight)
    assert len(trainings) == 5


def test_seeds_params_recipe_and_images_name_other_models(trainer: Trainer, trainings: list[str]) -> None:
    ids = [
        models(trainer(), "l2")[1].id,
        models(trainer(seed=1), "l2")[1].id,
        models(trainer(), "l2", weight=3)[1].id,
        models(trainer(lr=0.001), "l2")[1].id,
        models(trainer([{"share": 0.5}, {"share": 0.9}]), "l2")[1].id,
        models(trainer([{"share": 0.4}, {}]), "l2")[1].id,
        models(trainer([{"share": 0.5}, {"dim": 17}]), "l2")[1].id,
    ]
    assert len(set(ids)) == len(ids)


def test_shares_that_select_the_same_images_share_the_model(trainer: Trainer, trainings: list[str]) -> None:
    one = trainer([{"share": 0.5}, {"share": 1.0}]).baseline(1)
    assert trainer([{"share": 0.1}, {"share": 1.0}]).baseline(1).id == one.id
    assert trainer([{"share": 0.1}, {"share": 0.9999}]).baseline(1).id == one.id
    assert trainings == ["independent 1"]


METHOD = '''
from compatbench.method import Need, TrainingMethod
{imported}

class Mine(TrainingMethod):
    """Pulls new onto old (ours)."""

    name = "{name}"
    needs = frozenset({{Need.OLD_ENCODER}})

    def loss(self, batch, new, old):
        return {{"distance": {weight} * (new.embeddings - old.embeddings).square().mean()}}
'''


def test_a_changed_file_retrains_its_method_and_nothing_else(
    trainer: Trainer, trainings: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "_weight.py").write_text("WEIGHT = 1\n")
    (folder / "a.py").write_text(METHOD.format(name="a", imported="", weight=1))
    (folder / "b.py").write_text(METHOD.format(name="b", imported="from ._weight import WEIGHT", weight="WEIGHT"))

    def train_all() -> list[str]:
        trainings.clear()
        found = trainer(methods=discover([folder]))
        for name in ("a", "b", "bct"):
            models(found, name)
        return list(trainings)

    assert train_all() == ["independent 0", "a 1", "b 1", "bct 1"]
    assert train_all() == []
    (folder / "a.py").write_text(METHOD.format(name="a", imported="", weight=2))
    assert train_all() == ["a 1"]
    (folder / "_weight.py").write_text("WEIGHT = 2\n")
    assert train_all() == ["b 1"]


def test_a_damaged_model_is_trained_again_to_the_same_bytes(trainer: Trainer, trainings: list[str]) -> None:
    notices: list[str] = []
    chain = trainer(notify=notices.append)
    first = chain.baseline(0)
    file = chain.store.models / f"{first.id}.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 0x10
    file.write_bytes(bytes(content))
    again = chain.baseline(0)
    assert trainings == ["independent 0"] * 2
    assert len(notices) == 1
    assert "is damaged" in notices[0]
    assert again.facts["weights_sha256"] == first.facts["weights_sha256"]


@pytest.fixture(scope="module")
def shared_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of runs, so that the methods below share their old and independent models."""
    return tmp_path_factory.mktemp("shared")


@pytest.mark.parametrize("name", TRAINING_METHODS)
def test_a_stored_model_embeds_as_the_one_that_was_trained(
    trainer: Trainer, shared_runs: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    chain = [{"share": 0.5, "classes": 6}, {}]
    trained = models(trainer(chain, runs=shared_runs), name)

    def not_again(*arguments: Any, **named: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(chain_module, "train", not_again)
    again = trainer(chain, runs=shared_runs)
    stored = models(again, name)
    for one, other in zip(trained, stored, strict=True):
        assert one.id == other.id
        assert tensors_hash(one.model.state_dict()) == tensors_hash(other.model.state_dict())
        embeddings = embed(again, one)
        assert embeddings.numpy().tobytes() == embed(again, other).numpy().tobytes()
        assert embeddings.shape == (64, one.dim)
        compatible, stored_compatible = one.model.method.compatible, other.model.method.compatible
        assert torch.equal(compatible(embeddings), stored_compatible(embeddings))
        assert torch.equal(one.model.head(embeddings), other.model.head(embeddings))
        assert not other.model.training
        assert not any(parameter.requires_grad for parameter in other.model.parameters())


@pytest.mark.parametrize("name", TRAINING_METHODS)
def test_training_twice_gives_the_same_bytes(trainer: Trainer, shared_runs: Path, tmp_path: Path, name: str) -> None:
    chain = [{"share": 0.5, "classes": 6}, {}]
    first = models(trainer(chain, runs=shared_runs), name)[1]
    torch.manual_seed(len(name))
    second = models(trainer(chain, runs=tmp_path / "elsewhere"), name)[1]
    assert first.id == second.id
    assert first.facts["weights_sha256"] == second.facts["weights_sha256"]
    assert first.facts["losses"] == second.facts["losses"]


def test_initial_encoders_are_the_same_for_all_methods_and_differ_by_generation(trainer: Trainer) -> None:
    chain = trainer(lr=1e-12, weight_decay=0)
    weights = [models(chain, name)[1].model.encoder.embedding.weight for name in ("independent", "bct", "l2")]
    for other in weights[1:]:
        assert torch.allclose(other, weights[0], atol=1e-7)
    old = chain.baseline(0).model.encoder.embedding.weight
    assert not torch.allclose(old, weights[0], atol=1e-3), "old and new model share their initialisation"


def test_labels_are_rows_of_the_generations_head(trainer: Trainer, digits: Dataset) -> None:
    """With classes that leave gaps between their ids."""
    odd = digits.train.labels % 2 == 1
    train_split = replace(
        digits.train, images=digits.train.images[odd], labels=digits.train.labels[odd], ids=digits.train.ids[odd]
    )
    chain = trainer([{"classes": 3}, {}], dataset=replace(digits, train=train_split), limit=100)
    old, new = chain.training_set(0), chain.training_set(1)
    assert [task_of(chain.chain, step, chain.dataset.train_classes).classes for step in (0, 1)] == [
        (0, 1, 2),
        (0, 1, 2, 3, 4),
    ]
    for data, indices, classes in ((old, chain.indices[0], (1, 3, 5)), (new, chain.indices[1], (1, 3, 5, 7, 9))):
        assert [classes[label] for label in data.labels.tolist()] == train_split.labels[indices].tolist()
        assert torch.equal(data.images, train_split.images[indices])
    old_model = models(chain, "bct")[0]
    assert old_model.model.head.weight.shape == (3, 16)
    assert models(chain, "bct")[1].model.head.weight.shape == (5, 16)


@pytest.mark.parametrize("frozen", [False, True])
def test_loss_and_accuracy_on_held_out_images_are_noted_after_every_epoch(trainer: Trainer, frozen: bool) -> None:
    chain = trainer([{"classes": 4, "frozen": frozen}, {"frozen": frozen}], epochs=2)
    for generation in (0, 1):
        trained = chain.baseline(generation)
        held_out = chain.training_set(generation, trained.model.encoder, TrainPart.HELD_OUT)
        logits = trained.model.head(embed_images(trained.model, held_out.images, chain.normalize))
        noted = trained.facts["held_out"]
        assert set(held_out.labels.tolist()) == set(range(4 if generation == 0 else 10))
        assert [len(curve) for curve in noted.values()] == [2, 2]
        assert noted["loss"][-1] == pytest.approx(F.cross_entropy(logits, held_out.labels).item(), abs=1e-5)
        assert noted["accuracy"][-1] == pytest.approx((logits.argmax(1) == held_out.labels).float().mean().item())


def test_no_training_depends_on_a_held_out_image(trainer: Trainer, digits: Dataset) -> None:
    chain = trainer(limit=100)
    images = digits.train.images.clone()
    for limit in (100, None):
        images[held_out_indices(digits.train.labels, digits.train_classes, limit)] = 255
    changed = trainer(dataset=replace(digits, train=replace(digits.train, images=images)), limit=100)
    one, other = (trained.baseline(1) for trained in (chain, changed))
    assert one.id != other.id, "the dataset is another one"
    assert one.facts["weights_sha256"] == other.facts["weights_sha256"]
    assert one.facts["held_out"] != other.facts["held_out"]


def test_what_a_task_knows(digits: Dataset) -> None:
    chain = (
        GenerationSpec(backbone="test_vit", dim=8, classes=4),
        GenerationSpec(backbone="test_resnet", dim=12, loss="arcface"),
    )
    assert task_of(chain, 0, digits.train_classes) == Task(0, "test_vit", 8, "softmax", (0, 1, 2, 3), 10)
    assert task_of(chain, 1, digits.train_classes) == Task(
        1,
        "test_resnet",
        12,
        "arcface",
        tuple(range(10)),
        10,
        "test_vit",
        8,
        (0, 1, 2, 3),
        "backbone is test_resnet, and was test_vit",
    )


@pytest.mark.parametrize(("name", "trained"), [("cub200", 100), ("landmarks_roxford5k", 81_313)])
def test_classes_that_are_only_tested_are_none_of_the_task(name: str, trained: int) -> None:
    dataset = stand_in(name, family(name).published, 224)
    assert dataset is not None
    assert dataset.num_classes > trained
    task = task_of((GenerationSpec(backbone="resnet18"),), 0, dataset.train_classes)
    assert (task.total_classes, task.classes[-1]) == (trained, trained - 1)


def test_the_embedding_dimension_is_that_of_embed(catalogue: Catalogue, digits: Dataset) -> None:
    chain = (GenerationSpec(backbone="test_vit", dim=8), GenerationSpec(backbone="test_vit", dim=12))
    task = task_of(chain, 1, digits.train_classes)
    plain, wider = catalogue.get("independent"), catalogue.get("bt2")
    assert embedding_dim(plain.cls(plain.resolve({}), task)) == 12
    # BT² adds min(D_o, max(32, D_o − D_n)) = 8 dimensions here
    assert embedding_dim(wider.cls(wider.resolve({}), task)) == 20


def test_old_embeddings_of_the_training_set_are_stored_once(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = trainer()
    old = chain.baseline(0)
    first = chain.embed_training_set(old, 1)
    assert torch.equal(first, embed_images(old.model, chain.training_set(1).images, chain.normalize))
    assert len(chain.embed_training_set(old, 0)) == len(chain.indices[0]) < len(first)

    def not_again(*arguments: Any) -> None:
        raise AssertionError("embedded again")

    monkeypatch.setattr(chain_module, "embed_images", not_again)
    assert torch.equal(chain.embed_training_set(old, 1), first)


def test_a_generation_is_told_the_dimension_that_the_one_before_it_stores(trainer: Trainer) -> None:
    """OCA stores 32 dimensions more than the old space has, each time."""
    _, first, second = models(trainer([{"share": 0.3}, {"share": 0.6}, {}]), "oca")
    assert (first.model.method.task.old_dim, first.dim) == (16, 48)
    assert (second.model.method.task.old_dim, second.dim) == (48, 80)


def test_backward_maps_lead_to_every_earlier_generation(trainer: Trainer) -> None:
    chain = [{"share": 0.3, "dim": 16}, {"share": 0.6, "dim": 12}, {"dim": 20}]
    old, first, second = models(trainer(chain), "bc_aligner")
    to_old, to_first = (model.model.method.backward_map.weight.T for model in (first, second))
    assert old.backward_maps() == []
    vectors = torch.randn(5, 20)
    one, two = second.backward_maps()
    assert torch.allclose(one(vectors), vectors @ to_first, atol=1e-6)
    assert torch.allclose(two(one(vectors)), vectors @ to_first @ to_old, atol=1e-6)
    (seen,) = second.model.method.earlier_maps
    assert torch.allclose(seen, to_old, atol=1e-6)
