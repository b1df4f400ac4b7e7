"""Queries and documents with encoders of their own: what is trained, what embeds what, and what searches what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compatbench.data.dataset import Dataset
from compatbench.discovery.plugins import Catalogue
from compatbench.generations.chain import ChainTrainer, task_of
from compatbench.generations.loop import DOCUMENTS_TERM, embed_images
from compatbench.generations.serving import ServedGeneration, serve
from compatbench.measurement.served_chain import ServedChain
from compatbench.plan.cells import make_plan
from compatbench.plan.selection import Selection
from compatbench.suite.scenarios import GenerationSpec, documents_from
from compatbench.suite.suite import parse_suite

Trainer = Callable[..., ChainTrainer]

QUERY_ONLY = ({"share": 0.5}, {"document_encoder": "previous"})
TWO_ENCODERS = ({"share": 0.5}, {"query_encoder": {"backbone": "test_resnet.r160_in1k"}})
ACROSS = ({"share": 0.3}, {"share": 0.6, "document_encoder": "previous"}, {"dim": 20})


def served_by(chain: ChainTrainer, name: str) -> list[ServedGeneration]:
    plugin = chain.catalogue.get(name)
    return serve(chain, plugin, plugin.resolve({}))


def generation(**spec: Any) -> GenerationSpec:
    return GenerationSpec.model_validate({"backbone": "test_vit", **spec})


def embed(chain: ChainTrainer, one: ServedGeneration, encoder: Any) -> Tensor:
    model = one.trained.model
    return embed_images(type(model)(encoder, model.head, model.method), chain.dataset.query.images, chain.normalize)


def test_weights_are_shared_unless_a_side_has_its_own_encoder(trainer: Trainer) -> None:
    old, new = served_by(trainer(), "independent")
    assert old.trained.model.documents is old.trained.model
    assert torch.equal(new.query, new.gallery)
    assert len(list(new.trained.model.parameters())) == len(list(new.trained.model.encoder.parameters())) + 1


def test_each_side_is_embedded_by_its_own_encoder_and_both_learn(trainer: Trainer, trainings: list[str]) -> None:
    chain = trainer(TWO_ENCODERS, epochs=3)
    _, new = served_by(chain, "independent")
    model = new.trained.model
    assert model.encoder.spec.backbone == "test_resnet.r160_in1k"
    assert model.document_encoder is not None
    assert model.document_encoder.spec.backbone == "test_vit.r160_in1k"
    assert torch.allclose(new.query, embed(chain, new, model.encoder))
    assert torch.allclose(new.gallery, embed(chain, new, model.document_encoder))
    assert not torch.allclose(new.query, new.gallery, atol=0.1)
    losses = new.trained.facts["losses"]
    for term in ("classification", DOCUMENTS_TERM):
        assert losses[term][-1] < losses[term][0], term
    assert trainings == ["independent 0", "independent 1"]


def test_a_stored_pair_of_encoders_is_the_trained_one(trainer: Trainer, tmp_path: Path) -> None:
    first = served_by(trainer(TWO_ENCODERS), "bct")[1]
    again = served_by(trainer(TWO_ENCODERS, runs=tmp_path / "runs"), "bct")[1]
    assert again.id == first.id
    for name, weight in first.trained.model.state_dict().items():
        assert torch.equal(again.trained.model.state_dict()[name], weight), name


def test_the_same_pair_twice_is_the_same_to_the_byte(trainer: Trainer, tmp_path: Path) -> None:
    hashes = [
        served_by(trainer(TWO_ENCODERS, runs=tmp_path / run), "bct")[1].trained.facts["weights_sha256"]
        for run in ("one", "two")
    ]
    assert hashes[0] == hashes[1]


def test_the_old_model_of_a_method_is_the_encoder_of_the_old_documents(trainer: Trainer) -> None:
    chain = trainer([TWO_ENCODERS[1], {"document_encoder": "previous"}])
    old = served_by(chain, "l2")[0].trained
    seen = chain._old_model(old, old.model.method, 1, chain.training_set(1).labels)
    assert seen._model.encoder is old.model.document_encoder
    task = task_of(chain.chain, 1, chain.dataset.train_classes)
    assert (task.backbone, task.old_backbone) == ("test_vit.r160_in1k", "test_vit.r160_in1k")
    assert task_of(chain.chain, 0, chain.dataset.train_classes).backbone == "test_resnet.r160_in1k"


@pytest.mark.parametrize("method", ["bct", "independent", "procrustes"])
def test_upgrading_the_queries_alone_leaves_the_gallery_as_it_is(trainer: Trainer, method: str) -> None:
    chain = trainer(QUERY_ONLY)
    served = served_by(chain, method)
    assert torch.equal(served[1].gallery, served[0].gallery)
    assert not torch.equal(served[1].query, served[0].query)
    tested = ServedChain.of(chain, served, {})
    cross, own = tested.pair(1, 0), tested.pair(1, 1)
    for one, other in zip(cross, own, strict=True):
        assert torch.equal(one.values, other.values)
    assert served[1].id != served[1].trained.id


def test_the_new_query_encoder_is_the_one_of_an_upgrade_of_both_sides(trainer: Trainer, trainings: list[str]) -> None:
    """What a method trains does not depend on what becomes of the documents later."""
    both = served_by(trainer(), "bct")[1]
    alone = served_by(trainer(QUERY_ONLY), "bct")[1]
    assert alone.trained.id == both.trained.id
    assert alone.id != both.id
    assert trainings == ["independent 0", "bct 1"]


def test_later_generations_are_made_compatible_with_the_documents_that_are_there(trainer: Trainer) -> None:
    """Three generations, of which the second keeps the documents of the first."""
    chain = trainer(ACROSS)
    assert [documents_from(chain.chain, step) for step in range(3)] == [0, 0, 2]
    served = served_by(chain, "bct")
    assert [documents_from(served, step) for step in range(3)] == [0, 0, 2]
    assert served[2].trained.old is not None
    assert served[2].trained.old.id == served[0].trained.id
    queries, documents = ServedChain.of(chain, served, {}).pair(2, 1)
    assert torch.equal(documents.values, served[0].gallery)
    assert torch.equal(queries.values, served[2].query[:, :16]), "one step down, not two"


def test_an_adapter_is_fitted_on_the_documents_that_are_there(trainer: Trainer) -> None:
    chain = trainer(ACROSS)
    served = served_by(chain, "procrustes")
    queries, documents = ServedChain.of(chain, served, {}).pair(2, 1)
    assert torch.equal(documents.values, served[0].gallery)
    assert served[2].to_previous is not None
    assert torch.equal(queries.values, served[2].to_previous(served[2].query, served[0].query))


@pytest.mark.parametrize(
    ("spec", "two"),
    [
        ({}, False),
        ({"document_encoder": "previous"}, False),
        ({"query_encoder": {"backbone": "test_resnet"}, "document_encoder": "previous"}, False),
        ({"query_encoder": {}}, True),
        ({"document_encoder": {"backbone": "test_resnet"}}, True),
    ],
)
def test_which_generations_train_two_encoders(spec: dict[str, Any], two: bool) -> None:
    one = generation(**spec)
    assert one.two_encoders is two
    assert (one.documents(1, 16) is not None) is two


def test_a_side_takes_from_the_generation_what_it_leaves_open() -> None:
    one = generation(
        dim=24, small_image_stem=True, query_encoder={"backbone": "test_resnet"}, document_encoder={"pretrained": True}
    )
    query, documents = one.encoder(3, 32), one.documents(3, 32)
    assert documents is not None
    assert (query.backbone, query.dim, query.pretrained, query.small_image_stem) == ("test_resnet", 24, False, True)
    assert (documents.backbone, documents.dim, documents.pretrained) == ("test_vit", 24, True)


def skips(digits: Dataset, catalogue: Catalogue, chain: Sequence[dict[str, Any]], method: str) -> str | None:
    suite = parse_suite(
        {
            "title": "towers",
            "dataset": "digits",
            "image_size": 16,
            "recipe": {"epochs": 1},
            "defaults": {"backbone": "test_vit", "dim": 16},
            "scenarios": {"towers": list(chain)},
            "methods": [method],
        },
        "test",
    )
    return make_plan("towers", suite, digits, catalogue, Selection(methods=(method,)))[-1].skip


def test_two_encoders_without_a_classifier_are_skipped_with_the_reason(digits: Dataset, catalogue: Catalogue) -> None:
    assert skips(digits, catalogue, TWO_ENCODERS, "contrastive_ssl") == (
        "it trains without a classifier, which ties queries and documents of two encoders"
    )
    assert skips(digits, catalogue, QUERY_ONLY, "contrastive_ssl") is None
    assert skips(digits, catalogue, TWO_ENCODERS, "bct") is None


def test_a_skip_looks_at_the_documents_that_are_there(digits: Dataset, catalogue: Catalogue) -> None:
    chain = ({"dim": 24}, {"dim": 32, "document_encoder": "previous"}, {"dim": 24})
    assert skips(digits, catalogue, chain, "l2") is None
    assert skips(digits, catalogue, ({"dim": 24}, {"dim": 32}, {"dim": 24}), "l2") is not None
