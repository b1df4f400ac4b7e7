"""Generations as they serve: maps composed down and up a chain of three, against products by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from compatbench.data.dataset import Dataset, Split
from compatbench.discovery.plugins import Plugin, discover
from compatbench.evaluation.retrieval import Vectors
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.loop import embed_images
from compatbench.generations.serving import ServedGeneration, serve, serve_baseline
from compatbench.measurement.served_chain import ServedChain
from compatbench.storage.canonical import digest
from compatbench.vocabulary import TrainPart

Trainer = Callable[..., ChainTrainer]

ADAPTER = '''
import torch
from torch import nn
from compatbench.method import Adapter, Maps, Need

FITTED = []


class Both(nn.Module):
    """x ↦ [new, old]."""

    def forward(self, new, old):
        return torch.cat([new, old], dim=1)


class Mean(nn.Module):
    def forward(self, vectors):
        return vectors.mean(dim=1)


class Recorder(Adapter):
    """Keeps what it is fitted on; its maps are fixed matrices, which want a gradient (ours)."""

    name = "recorder"
    needs = {needs}

    def build(self, dim, old_dim):
        generator = torch.Generator().manual_seed(self.task.generation)

        def linear(inputs, outputs):
            layer = nn.Linear(inputs, outputs, bias=False)
            layer.weight.data = torch.randn(inputs, outputs, generator=generator).T
            return layer

        return Maps({maps})

    def fit(self, new, old, labels):
        FITTED.append((new, old, labels, torch.rand(3)))
        return self.build(new.shape[1], old.shape[1])
'''
QUERY = "query=linear(dim, old_dim)"
FORWARD = '''
import torch
from torch import nn
from compatbench.method import Need, TrainingMethod


class Forward(TrainingMethod):
    """Learns a map of the stored vectors beside the encoder (ours)."""

    name = "forward"
    needs = {needs}

    def __init__(self, params, task):
        super().__init__(params, task)
        self.forward_map = nn.Linear(task.old_dim or task.dim, task.dim, bias=False)

    def gallery(self, embeddings):
        return self.forward_map(embeddings)

    def loss(self, batch, new, old):
        return {"forward": (self.gallery(old.embeddings) - new.embeddings).square().mean()}
'''


@pytest.fixture
def small_test(digits: Dataset) -> Dataset:
    """Digits with 30 test images."""
    query = Split(digits.query.images[:30], digits.query.labels[:30], digits.query.ids[:30])
    return replace(digits, query=query, gallery=query)


@pytest.fixture
def recorder(tmp_path: Path) -> Callable[..., tuple[Plugin, list[Any]]]:
    """An adapter with the given maps, and the list of what it was fitted on."""

    def make(maps: str = QUERY, needs: str = "frozenset()") -> tuple[Plugin, list[Any]]:
        folder = tmp_path / "adapters"
        folder.mkdir()
        (folder / "recorder.py").write_text(ADAPTER.replace("{maps}", maps).replace("{needs}", needs))
        plugin = discover([folder]).get("recorder")
        return plugin, plugin.cls.fit.__globals__["FITTED"]

    return make


def served_by(trainer: ChainTrainer, name: str | Plugin, **params: Any) -> list[ServedGeneration]:
    plugin = trainer.catalogue.get(name) if isinstance(name, str) else name
    return serve(trainer, plugin, plugin.resolve(params))


def pair(served: Sequence[ServedGeneration], chain: ChainTrainer, query: int, gallery: int) -> tuple[Vectors, Vectors]:
    return ServedChain.of(chain, served, {}).pair(query, gallery)


def test_a_baseline_serves_the_embeddings_of_its_model(trainer: Trainer, small_test: Dataset) -> None:
    chain = trainer(dataset=small_test)
    served = serve_baseline(chain, 1)
    model = chain.baseline(1).model
    assert torch.equal(served.query, embed_images(model, small_test.query.images, chain.normalize))
    assert served.gallery is served.query, "one split, embedded once"
    assert served.embed_images_per_second > 0


def test_query_and_gallery_of_their_own_are_embedded_each(trainer: Trainer, small_test: Dataset) -> None:
    gallery = Split(small_test.query.images[:20], small_test.query.labels[:20], small_test.query.ids[:20])
    served = serve_baseline(trainer(dataset=replace(small_test, gallery=gallery)), 1)
    assert (len(served.query), len(served.gallery)) == (30, 20)
    assert torch.allclose(served.gallery, served.query[:20], atol=1e-5)


def test_queries_pass_every_map_between_their_generation_and_the_gallerys(
    trainer: Trainer, small_test: Dataset
) -> None:
    chain = trainer([{"dim": 8, "share": 0.3}, {"dim": 12, "share": 0.6}, {"dim": 16}], dataset=small_test)
    served = served_by(chain, "fixed_head")
    down = {step: served[step].trained.model.method.map.weight for step in (1, 2)}
    assert (down[1].shape, down[2].shape) == ((8, 12), (12, 16))
    expected = {
        (1, 0): served[1].query @ down[1].T,
        (2, 1): served[2].query @ down[2].T,
        (2, 0): served[2].query @ down[2].T @ down[1].T,
        (2, 2): served[2].query,
    }
    for (query, gallery), by_hand in expected.items():
        queries, documents = pair(served, chain, query, gallery)
        assert torch.allclose(queries.values, by_hand, atol=1e-5)
        assert torch.equal(documents.values, served[gallery].gallery)
        assert torch.equal(queries.labels, small_test.query.labels)
        assert torch.equal(documents.ids, small_test.gallery.ids)
        assert not queries.values.requires_grad


def test_without_a_map_queries_keep_the_first_dimensions_or_are_padded(trainer: Trainer, small_test: Dataset) -> None:
    chain = trainer([{"dim": 12}, {"dim": 8}, {"dim": 16}], dataset=small_test)
    served = served_by(chain, "independent")
    down, _ = pair(served, chain, 2, 1)
    assert torch.equal(down.values, served[2].query[:, :8])
    up, _ = pair(served, chain, 1, 0)
    assert torch.equal(up.values, torch.cat([served[1].query, torch.zeros(30, 4)], dim=1))
    through, _ = pair(served, chain, 2, 0)
    assert torch.equal(through.values, torch.cat([served[2].query[:, :8], torch.zeros(30, 4)], dim=1))


@pytest.mark.parametrize("part", TrainPart)
def test_adapters_are_fitted_on_paired_unit_vectors(
    trainer: Trainer,
    small_test: Dataset,
    recorder: Callable[..., tuple[Plugin, list[Any]]],
    tmp_path: Path,
    part: TrainPart,
) -> None:
    plugin, fitted = recorder()
    steps = [{"dim": 8, "share": 0.5}, {"dim": 12}]
    chain = trainer(steps, dataset=small_test)
    for one in (chain, trainer(steps, dataset=small_test, runs=tmp_path / "elsewhere")):
        serve(one, plugin, plugin.resolve({}), part)
    (new, old, labels, drawn), (*_, drawn_again) = fitted
    images = chain.training_set(1, part=part).images
    for vectors, step in ((new, 1), (old, 0)):
        raw = embed_images(chain.baseline(step).model, images, chain.normalize)
        assert torch.allclose(vectors, F.normalize(raw), atol=1e-6)
    assert torch.equal(labels, chain.labels(1, part))
    assert torch.equal(drawn, drawn_again), "what an adapter draws is not seeded"


def test_an_adapters_maps_lead_queries_down(
    trainer: Trainer, small_test: Dataset, recorder: Callable[..., tuple[Plugin, list[Any]]]
) -> None:
    plugin, _ = recorder()
    chain = trainer([{"dim": 8}, {"dim": 12}, {"dim": 16}], dataset=small_test)
    served = served_by(chain, plugin)
    matrices = {
        step: torch.randn(size, generator=torch.Generator().manual_seed(step))
        for step, size in {1: (12, 8), 2: (16, 12)}.items()
    }
    queries, documents = pair(served, chain, 2, 0)
    own = F.normalize(serve_baseline(chain, 2).query)
    assert torch.allclose(queries.values, F.normalize(F.normalize(own @ matrices[2]) @ matrices[1]), atol=1e-5)
    assert torch.allclose(documents.values, F.normalize(serve_baseline(chain, 0).gallery), atol=1e-6)
    assert not queries.values.requires_grad


def test_an_adapters_gallery_map_leads_stored_vectors_up(
    trainer: Trainer, small_test: Dataset, recorder: Callable[..., tuple[Plugin, list[Any]]]
) -> None:
    plugin, _ = recorder(f"{QUERY}, gallery=linear(old_dim, 5)")
    chain = trainer([{"dim": 8}, {"dim": 12}], dataset=small_test)
    served = served_by(chain, plugin)
    generator = torch.Generator().manual_seed(1)
    query_map, gallery_map = (torch.randn(size, generator=generator) for size in ((12, 8), (8, 5)))
    queries, documents = pair(served, chain, 1, 0)
    rewritten = F.normalize(F.normalize(serve_baseline(chain, 0).gallery) @ gallery_map)
    assert torch.allclose(documents.values, rewritten, atol=1e-5)
    led_down = F.normalize(F.normalize(serve_baseline(chain, 1).query) @ query_map)
    assert torch.allclose(queries.values, led_down[:, :5], atol=1e-5)


def test_a_training_method_may_rewrite_stored_vectors_too(
    trainer: Trainer, small_test: Dataset, tmp_path: Path
) -> None:
    """Old vectors pass the learned map of every later generation, also where its model is found and not trained."""
    plugins = []
    for folder, needs in (("declared", "{Need.OLD_ENCODER, Need.GALLERY_REWRITE}"), ("not", "{Need.OLD_ENCODER}")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "forward.py").write_text(FORWARD.replace("{needs}", needs))
        plugins.append(discover([tmp_path / folder]).get("forward"))
    plugin, undeclared = plugins
    chain = trainer([{"dim": 8}, {"dim": 12}, {"dim": 16}], dataset=small_test)
    for served in (served_by(chain, plugin), served_by(chain, plugin)):
        up = {step: served[step].trained.model.method.forward_map.weight for step in (1, 2)}
        queries, documents = pair(served, chain, 2, 0)
        assert torch.equal(queries.values, served[2].query)
        assert torch.allclose(documents.values, served[0].gallery @ up[1].T @ up[2].T, atol=1e-4)
        assert not documents.values.requires_grad
    queries, documents = pair(served_by(chain, undeclared), chain, 1, 0)
    assert torch.equal(documents.values, served[0].gallery)
    assert queries.values.shape == documents.values.shape


def test_a_map_of_all_new_vectors_is_where_the_next_generation_is_fitted_to(
    trainer: Trainer, small_test: Dataset, recorder: Callable[..., tuple[Plugin, list[Any]]]
) -> None:
    plugin, fitted = recorder("new=linear(dim, 6)")
    chain = trainer([{"dim": 8}, {"dim": 12}, {"dim": 16}], dataset=small_test)
    served = served_by(chain, plugin)
    new_map = torch.randn(12, 6, generator=torch.Generator().manual_seed(1))
    mapped = F.normalize(F.normalize(serve_baseline(chain, 1).query) @ new_map)
    assert torch.allclose(served[1].query, mapped, atol=1e-5)
    assert served[1].gallery.shape == (30, 6)
    old_of_the_last = fitted[1][1]
    raw = embed_images(chain.baseline(1).model, chain.training_set(2, part=TrainPart.HELD_OUT).images, chain.normalize)
    assert torch.allclose(old_of_the_last, F.normalize(F.normalize(raw) @ new_map), atol=1e-5)


def test_maps_of_both_encoders_get_the_old_vectors_of_the_same_images(
    trainer: Trainer, small_test: Dataset, recorder: Callable[..., tuple[Plugin, list[Any]]]
) -> None:
    """Stored vectors grow: 8, then [12, 8], then [16, 12, 8]; queries search the old gallery with its old part."""
    plugin, fitted = recorder("new=Both()", "frozenset({Need.BOTH_ENCODERS_ONLINE})")
    chain = trainer([{"dim": 8}, {"dim": 12}, {"dim": 16}], dataset=small_test)
    served = served_by(chain, plugin)

    def stored(own: list[Tensor]) -> Tensor:
        vectors = F.normalize(own[0])
        for later in own[1:]:
            vectors = F.normalize(torch.cat([F.normalize(later), vectors], dim=1))
        return vectors

    tests = [serve_baseline(chain, step).query for step in range(3)]
    assert torch.allclose(served[2].query, stored(tests), atol=1e-6)
    images = chain.training_set(2, part=TrainPart.HELD_OUT).images
    trained = [embed_images(chain.baseline(step).model, images, chain.normalize) for step in range(2)]
    assert torch.allclose(fitted[1][1], stored(trained), atol=1e-5)


def test_a_query_map_of_both_encoders_gets_the_old_query_vectors(
    trainer: Trainer, small_test: Dataset, recorder: Callable[..., tuple[Plugin, list[Any]]]
) -> None:
    plugin, _ = recorder("query=Both()", "frozenset({Need.BOTH_ENCODERS_ONLINE})")
    chain = trainer([{"dim": 8}, {"dim": 12}], dataset=small_test)
    served = served_by(chain, plugin)
    assert served[1].to_previous is not None
    led_down = served[1].to_previous(served[1].query, served[0].query)
    assert torch.allclose(led_down, torch.cat([served[1].query, served[0].query], dim=1) / 2**0.5, atol=1e-6)
    queries, _ = pair(served, chain, 1, 0)
    assert torch.equal(queries.values, led_down[:, :8])


def test_an_order_of_the_backfill_scores_the_old_gallery(
    trainer: Trainer, small_test: Dataset, recorder: Callable[..., tuple[Plugin, list[Any]]]
) -> None:
    plugin, _ = recorder("gallery=linear(old_dim, 5), order=Mean()", "frozenset({Need.GALLERY_REWRITE})")
    served = served_by(trainer([{"dim": 8}, {"dim": 12}], dataset=small_test), plugin)
    assert served[1].order is not None
    matrix = torch.randn(8, 5, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(served[1].order(served[0].gallery), (served[0].gallery @ matrix).mean(dim=1), atol=1e-5)
    assert served[0].order is None


def test_a_fitted_adapter_is_found_again_and_serves_the_same_bytes(
    trainer: Trainer, small_test: Dataset, recorder: Callable[..., tuple[Plugin, list[Any]]]
) -> None:
    plugin, fitted = recorder()
    chain = trainer([{"dim": 8}, {"dim": 12}], dataset=small_test)
    first, second = served_by(chain, plugin), served_by(chain, plugin)
    assert len(fitted) == 1
    for one, other in zip(pair(first, chain, 1, 0), pair(second, chain, 1, 0), strict=True):
        assert torch.equal(one.values, other.values)


def test_different_vectors_never_share_a_name(
    trainer: Trainer, small_test: Dataset, recorder: Callable[..., tuple[Plugin, list[Any]]]
) -> None:
    """Scores are stored by these names: raw and unit vectors, and maps fitted to different old models, differ."""
    plugin, _ = recorder("new=linear(dim, 6)")
    chain = trainer([{"share": 0.5}, {}], dataset=small_test)
    other = trainer([{"share": 0.3}, {}], dataset=small_test)
    assert chain.baseline(1).id == other.baseline(1).id
    raw, adapted, adapted_other = served_by(chain, "independent"), served_by(chain, plugin), served_by(other, plugin)
    names = {one.id: one for served in (raw, adapted, adapted_other) for one in served}
    assert len(names) == 6
    assert served_by(chain, plugin)[1].id == adapted[1].id


def test_a_random_rotation_changes_nothing_within_its_generation(trainer: Trainer, small_test: Dataset) -> None:
    chain = trainer(dataset=small_test)
    rotated, plain = served_by(chain, "random_rotation")[1], serve_baseline(chain, 1)

    def similarities(vectors: Tensor) -> Tensor:
        return F.normalize(vectors) @ F.normalize(vectors).T

    assert torch.allclose(similarities(rotated.query), similarities(plain.query), atol=1e-5)
    assert not torch.allclose(rotated.query, F.normalize(plain.query), atol=1e-2)


def test_the_matrix_is_the_lower_triangle_and_the_references(trainer: Trainer, small_test: Dataset) -> None:
    chain = trainer([{"classes": 5}, {"classes": 8}, {}], dataset=small_test)
    served = served_by(chain, "identity")
    reference = serve_baseline(chain, 2)
    entries = {(entry.query, entry.gallery): entry for entry in ServedChain.of(chain, served, {2: reference}).entries()}
    triangle = [("0", "0"), ("1", "0"), ("1", "1"), ("2", "0"), ("2", "1"), ("2", "2")]
    assert list(entries) == [*triangle, ("*2", "*2")]
    for at in triangle:
        queries, documents = pair(served, chain, int(at[0]), int(at[1]))
        assert torch.equal(entries[at].queries.values, queries.values)
        assert torch.equal(entries[at].documents.values, documents.values)
    assert torch.equal(entries["*2", "*2"].queries.values, reference.query)
    assert torch.equal(entries["*2", "*2"].documents.values, reference.gallery)
    assert len({entry.id for entry in entries.values()}) == len(entries)
    assert entries["2", "0"].id == digest([one.id for one in served])  # every model on the way has a map in it
    assert entries["1", "1"].id == digest([served[1].id])
