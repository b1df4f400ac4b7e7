"""Frozen trunks: their features by hand, what is computed when, and what models are given of them in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from compatbench.data.dataset import Dataset
from compatbench.data.sampling import only_classes
from compatbench.discovery.datasets import load
from compatbench.discovery.plugins import discover
from compatbench.errors import ContractError, InvalidResultError, RequestError
from compatbench.execution.cell import RunContext, run_cell
from compatbench.generations import trunk as trunk_module
from compatbench.generations.augmentation import augment
from compatbench.generations.chain import ChainTrainer
from compatbench.generations.features import Features
from compatbench.generations.serving import serve
from compatbench.generations.trunk import BLOCK, build_trunk, weights_hash
from compatbench.machine.seeds import stream
from compatbench.method import Batch, Need, TrainingMethod
from compatbench.model import View
from compatbench.plan.cells import make_plan
from compatbench.plan.selection import Selection
from compatbench.storage import artefacts
from compatbench.suite.encoder_spec import BackboneSpec, EncoderSpec
from compatbench.suite.suite import parse_suite

Trainer = Callable[..., ChainTrainer]

CROPS = {"crop_padding": 2}
VIT = {"frozen": True, "backbone": "test_vit.r160_in1k"}
RESNET = {
    "frozen": True,
    "backbone": "test_resnet.r160_in1k",
    "head": {"mlp": [24], "batch_norm": True, "dropout": 0.1},
}
TWO_TRUNKS = ({**VIT, "share": 0.5}, RESNET)


def trunk_of(chain: ChainTrainer, generation: int) -> BackboneSpec:
    return chain.chain[generation].encoder(1, chain.dataset.train.image_size).trunk


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The trunks that were built to compute features during the test, one entry a matrix."""
    built: list[str] = []

    def counted(spec: BackboneSpec, data: Path) -> nn.Module:
        built.append(spec.backbone.partition(".")[0])
        return build_trunk(spec, data)

    monkeypatch.setattr(trunk_module, "build_trunk", counted)
    monkeypatch.setattr(trunk_module, "weights_hash", lambda spec: "0" * 64)
    return built


class PixelTrunk(nn.Module):
    """A trunk whose features are the pixels that it is given."""

    pretrained_cfg = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}  # noqa: RUF012

    def forward(self, images: Tensor) -> Tensor:
        return 255 * images.flatten(1)


@pytest.fixture
def pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunk_module, "build_trunk", lambda spec, data: PixelTrunk())
    monkeypatch.setattr(trunk_module, "weights_hash", lambda spec: "0" * 64)


def test_features_are_those_of_the_published_network_for_grey_images_in_three_channels(trainer: Trainer) -> None:
    chain = trainer(TWO_TRUNKS, limit=40)
    for generation in (0, 1):
        spec = trunk_of(chain, generation)
        assert (spec.channels, spec.pretrained) == (3, False)
        model = build_trunk(spec, Path())
        mean, std = (torch.tensor(model.pretrained_cfg[name])[:, None, None] for name in ("mean", "std"))
        indices = chain.indices[generation][:9]
        features = chain.features.train(spec, indices)
        assert isinstance(features.matrix, np.memmap)
        assert (len(features), features.matrix.dtype) == (9, np.float16)
        for row, place in enumerate(indices.tolist()):
            image = chain.dataset.train.images[place].expand(3, -1, -1) / 255
            expected = model(((image - mean) / std)[None])[0]
            found = features.read(slice(row, row + 1))[0]
            assert found.dtype == torch.float32
            assert torch.allclose(found, expected, rtol=2e-3, atol=2e-3)
        queries = only_classes(chain.dataset, [3, 5]).query
        image = queries.images[7].expand(3, -1, -1) / 255
        expected = model(((image - mean) / std)[None])[0]
        assert torch.allclose(chain.features.test(spec, queries).read(slice(7, 8))[0], expected, rtol=2e-3, atol=2e-3)


@pytest.mark.usefixtures("pixels")
def test_views_are_augmented_images_and_those_of_two_trunks_are_the_same(trainer: Trainer) -> None:
    chain = trainer(TWO_TRUNKS, limit=700, augmentation=CROPS, views=3)
    indices = chain.indices[1]
    assert len(indices) > 2 * BLOCK, "several blocks"
    images = chain.dataset.train.images[indices]
    by_trunk = [chain.features.views(trunk_of(chain, generation), indices) for generation in (0, 1)]
    assert [len(views) for views in by_trunk] == [3, 3]
    seen = []
    for view in range(3):
        drawn = stream(0, "trunk view", view)
        blocks = [augment(block, chain.recipe.augmentation, drawn) for block in images.split(BLOCK)]
        expected = torch.cat(blocks).expand(-1, 3, -1, -1).flatten(1).float()
        for views in by_trunk:
            assert torch.allclose(views[view][:].read(slice(None)), expected, atol=0.2)
        seen.append(expected)
    assert not torch.equal(seen[0], seen[1])
    some = torch.tensor([5, 300, 7])
    assert torch.allclose(by_trunk[0][1].read(some), seen[1][some], atol=0.2)
    assert torch.allclose(
        chain.features.views(trunk_of(chain, 0), indices[some])[1].read(slice(None)), seen[1][some], atol=0.2
    )
    half = chain.indices[0]
    rows = torch.searchsorted(indices, half)
    assert torch.allclose(chain.features.views(trunk_of(chain, 0), half)[2].read(slice(None)), seen[2][rows], atol=0.2)


def test_features_are_computed_once_for_all_methods_seeds_and_scenarios(trainer: Trainer, computed: list[str]) -> None:
    def run(chain: ChainTrainer, *methods: str) -> list[str]:
        computed.clear()
        chain.compute_features()
        for name in methods:
            plugin = chain.catalogue.get(name)
            serve(chain, plugin, plugin.resolve({}))
        return sorted(computed)

    plain, views, gallery = 1, 2, 1
    recipe = {"augmentation": CROPS, "views": 2}
    every = ["test_resnet"] * (plain + views + gallery) + ["test_vit"] * (plain + views + gallery)
    assert run(trainer(TWO_TRUNKS, **recipe), "l2", "procrustes", "lce") == every
    assert run(trainer(TWO_TRUNKS, **recipe), "bct") == []
    assert run(trainer(TWO_TRUNKS, seed=1, **recipe), "l2") == []
    assert run(trainer(({**VIT, "classes": 3}, {**RESNET, "dim": 9}), lr=0.001, **recipe), "l2") == []
    assert run(trainer(({**VIT, "classes": 3}, RESNET), **recipe | {"views": 3})) == ["test_resnet", "test_vit"]
    assert run(trainer(TWO_TRUNKS), "l2") == [], "without augmentation the plain features are trained on"
    assert run(trainer(TWO_TRUNKS, limit=150), "l2") == ["test_resnet", "test_vit"], "another training split"


def test_what_another_process_computes_comes_last(
    trainer: Trainer, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artefacts, "WAITING_SECONDS", 0.01)
    chain = trainer(TWO_TRUNKS, limit=40)
    vit = trunk_of(chain, 0)
    chain.features.folder.mkdir(parents=True)
    lock = FileLock(chain.features.folder / f".{chain.features.file(vit, chain.features.parts[0])}.lock")
    told: list[str] = []

    def progress(stage: str, share: float) -> None:
        told.append(stage.split(", ")[1])
        if "another cell computes them" in stage:
            assert computed == ["test_vit", "test_resnet", "test_resnet"]
            lock.release()

    lock.acquire()
    replace(chain.features, progress=progress).compute([vit, trunk_of(chain, 1)])
    assert list(dict.fromkeys(told)) == ["gallery", "train", "train: another cell computes them"]
    assert told[-1] == "train"
    assert computed[3:] == ["test_vit"]


def test_a_test_on_some_classes_reads_the_features_of_all(
    trainer: Trainer, digits: Dataset, computed: list[str]
) -> None:
    whole = trainer(TWO_TRUNKS)
    whole.compute_features()
    computed.clear()
    chain = replace(whole, dataset=only_classes(digits, [7, 8]), whole=digits)
    chain.compute_features()
    served = serve(chain, chain.catalogue.get("independent"), chain.catalogue.get("independent").resolve({}))
    assert computed == []
    assert len(served[1].query) == len(chain.dataset.query) < len(digits.query)
    features = chain.features.test(trunk_of(chain, 1), digits.query).read(slice(None))
    model = served[1].trained.model
    expected = model.embed(model.encoder(features))[torch.isin(digits.query.labels, torch.tensor([7, 8]))]
    assert torch.allclose(served[1].query, expected, atol=1e-5)


def spying(seen: list[tuple[Batch, View, View | None]], needs: set[Need]) -> type[TrainingMethod]:
    class Spy(TrainingMethod):
        name = "spy"

        def loss(self, batch: Batch, new: View, old: View | None) -> dict[str, Tensor]:
            seen.append((batch, new, old))
            if old is not None:
                _ = old.embeddings
            return {}

    Spy.needs = frozenset(needs)
    return Spy


@pytest.fixture
def batches(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Trains the second generation of a chain by a method that keeps its batches."""

    def train_one(chain: Sequence[dict[str, Any]], **recipe: Any) -> Any:
        seen: list[tuple[Batch, View, View | None]] = []
        made = trainer(chain, **recipe)
        bct = made.catalogue.get("bct")
        needs = {Need.OLD_ENCODER, Need.TWO_VIEWS, Need.INDEPENDENT_MODEL}
        plugin = replace(bct, cls=spying(seen, needs), name="spy", source_hash="1" * 64)
        models = made.models(plugin, bct.resolve({}))
        return made, models, seen

    return train_one


def matching(views: Tensor, features: Tensor) -> list[int]:
    """Which of the `views` (V, F) of an item have these features (F,): one, unless two views drew the same crop."""
    found: list[int] = (views == features).all(1).nonzero()[:, 0].tolist()
    return found


def test_each_model_reads_its_own_trunk_in_the_same_view_of_the_same_items(batches: Callable[..., Any]) -> None:
    chain, (old, _), seen = batches(TWO_TRUNKS, augmentation=CROPS, views=3, epochs=3)
    new_views, old_views = (
        torch.stack([view.read(slice(None)) for view in chain.features.views(trunk_of(chain, step), chain.indices[1])])
        for step in (1, 0)
    )
    drawn = set()
    for batch, _, view_of_old in seen:
        first, second = (
            [matching(new_views[:, item], row) for item, row in zip(batch.index, images, strict=True)]
            for images in (batch.images, batch.second_view)
        )
        for one, other in zip(first, second, strict=True):
            assert len(one) > 1 or one != other, "a second view is another one"
        drawn |= {(item, views[0]) for item, views in zip(batch.index.tolist(), first, strict=True)}
        for views, images in ((first, batch.images), (second, batch.second_view)):
            numbers = torch.tensor([found[0] for found in views])
            expected = old.model.embed(old.model.encoder(old_views[numbers, batch.index]))
            assert torch.allclose(view_of_old.embed(images), expected, atol=1e-5)
    assert len(drawn) > 1.8 * len(chain.indices[1]), "over three epochs most items come in several views"
    assert {view for _, view in drawn} == {0, 1, 2}
    for batch, _, view_of_old in seen[:1]:
        with pytest.raises(ContractError, match="so it embeds batch"):
            view_of_old.embed(batch.images.flip(0))


def test_models_of_one_trunk_take_whatever_a_method_makes_of_its_features(batches: Callable[..., Any]) -> None:
    _, (old, _), seen = batches(({**VIT, "share": 0.5}, VIT))
    batch, _, view_of_old = seen[0]
    mixed = batch.images.lerp(batch.images.flip(0), 0.3)
    assert torch.allclose(view_of_old.embed(mixed), old.model.embed(old.model.encoder(mixed)), atol=1e-6)
    assert torch.equal(batch.images, batch.second_view), "without augmentation there is one view"


def test_only_the_head_is_trained_and_stored(trainer: Trainer) -> None:
    chain = trainer(TWO_TRUNKS)
    model = chain.baseline(1).model
    names = {name for name, _ in model.named_parameters()}
    assert names == {
        *(f"encoder.embedding.{layer}.{part}" for layer in (0, 1, 4) for part in ("weight", "bias")),
        "head.weight",
    }
    assert isinstance(model.encoder.backbone, nn.Identity)


def test_weights_and_version_name_the_models(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    first = trainer(TWO_TRUNKS).baseline(1).id
    assert trainer(({**VIT, "share": 0.2}, RESNET)).baseline(1).id == first
    monkeypatch.setattr("compatbench.generations.chain.weights_hash", lambda spec: "other weights")
    other = trainer(TWO_TRUNKS).baseline(1).id
    monkeypatch.setattr("compatbench.generations.chain.FEATURES_VERSION", 99)
    assert len({first, other, trainer(TWO_TRUNKS).baseline(1).id}) == 3


def test_same_seed_same_bytes_from_nothing(trainer: Trainer, tmp_path: Path) -> None:
    def vectors(folder: str) -> list[Tensor]:
        chain = trainer(TWO_TRUNKS, runs=tmp_path / folder, augmentation=CROPS)
        plugin = chain.catalogue.get("l2")
        return [one.query for one in serve(chain, plugin, plugin.resolve({}))]

    for one, other in zip(vectors("one"), vectors("other"), strict=True):
        assert torch.equal(one, other)
    for path in (tmp_path / "one" / "features").glob("*.npy"):
        assert path.read_bytes() == (tmp_path / "other" / "features" / path.name).read_bytes()


def test_finetuning_starts_from_a_head_of_equal_shape(trainer: Trainer) -> None:
    head = {"mlp": [12], "batch_norm": True}
    chain = trainer(({**VIT, "share": 0.5, "head": head}, {**VIT, "head": head}), lr=1e-9)
    plugin = chain.catalogue.get("finetune")
    old, new = chain.models(plugin, plugin.resolve({}))
    for name, value in old.model.encoder.named_parameters():
        assert torch.allclose(value, new.model.encoder.state_dict()[name], atol=1e-6), name
    assert not torch.allclose(
        chain.baseline(1).model.encoder.embedding[0].weight, new.model.encoder.embedding[0].weight, atol=1e-3
    )


def test_the_rate_of_embedding_includes_the_trunk(trainer: Trainer) -> None:
    chain = trainer(TWO_TRUNKS)
    old = chain.baseline(0)
    _, rate = chain.embed_split(old, "gallery", 0)
    assert 0 < rate < chain.features.test(trunk_of(chain, 0), chain.dataset.gallery).rate


def test_features_that_are_not_finite_are_refused(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PixelTrunk, "forward", lambda self, images: images.flatten(1) * 1e6)
    monkeypatch.setattr(trunk_module, "build_trunk", lambda spec, data: PixelTrunk())
    chain = trainer(TWO_TRUNKS)
    with pytest.raises(
        InvalidResultError, match=r"features of 'test_vit.r160_in1k' are not finite in 16 bits \(train\)"
    ):
        chain.compute_features()


def test_weights_of_a_trunk_have_one_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    def spec(**values: Any) -> BackboneSpec:
        fields = {"backbone": "tf_efficientnet_lite0.in1k", "dim": 4, "image_size": 32, "channels": 1}
        return EncoderSpec.model_validate(fields | values).trunk

    package = weights_hash(spec(weights="package"))
    assert package == "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
    untrained = weights_hash(spec(backbone="test_vit.r160_in1k"))
    assert untrained != weights_hash(spec(backbone="test_resnet.r160_in1k"))
    torch.manual_seed(8)
    monkeypatch.setattr("compatbench.storage.disk_cache.cache_folder", lambda: Path("/nowhere"))
    state = build_trunk(spec(backbone="test_vit.r160_in1k"), Path()).state_dict()
    assert untrained == trunk_module.tensors_hash(state), "random weights are the same everywhere"


def test_reading_touches_the_rows_of_a_batch_alone() -> None:
    class Rows:
        """Stands for a matrix, and remembers which of its rows were read."""

        shape = (1_000_000, 3)
        read: list[int] = []  # noqa: RUF012

        def __getitem__(self, rows: Any) -> Any:
            self.read.extend(rows.tolist())
            return np.zeros((len(rows), 3), np.float16)

    matrix = Rows()
    features = Features(matrix=matrix, rows=torch.arange(0, 1_000_000, 2), rate=1.0)  # type: ignore[arg-type]
    assert features.read(torch.tensor([4, 1])).shape == (2, 3)
    assert matrix.read == [8, 2]


def test_features_that_are_held_as_a_tensor_are_read_as_those_of_a_file() -> None:
    matrix = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float16)
    rows = torch.tensor([7, 2, 11, 19])
    file = Features(matrix=matrix, rows=rows, rate=1.0)
    held = Features(matrix=torch.from_numpy(matrix), rows=rows, rate=1.0)
    for index in (slice(1, 3), torch.tensor([3, 0, 3])):
        assert held.read(index).dtype == torch.float32
        assert torch.equal(held.read(index), file.read(index))


def test_queries_and_documents_may_have_trunks_of_their_own(trainer: Trainer) -> None:
    chain = trainer(({**VIT, "share": 0.5}, {**VIT, "query_encoder": {"backbone": RESNET["backbone"]}}))
    plugin = chain.catalogue.get("l2")
    _, new = serve(chain, plugin, plugin.resolve({}))
    model = new.trained.model
    assert model.document_encoder is not None
    for encoder, split, found in (
        (model.encoder, chain.dataset.query, new.query),
        (model.document_encoder, chain.dataset.gallery, new.gallery),
    ):
        features = chain.features.test(encoder.spec.trunk, split).read(slice(None))
        assert torch.allclose(found, model.embed(encoder(features)), atol=1e-5)
    assert model.encoder.spec.trunk != model.document_encoder.spec.trunk


def test_mixed_precision_trains_a_head_that_is_nearly_the_same(trainer: Trainer) -> None:
    exact, mixed = (
        trainer(TWO_TRUNKS, epochs=2, precision=precision).baseline(0).facts["losses"]["classification"]
        for precision in ("float32", "bfloat16")
    )
    assert exact != mixed
    assert exact == pytest.approx(mixed, rel=0.02)


def test_an_encoder_without_a_head_serves_the_vectors_that_a_dataset_brings(tmp_path: Path) -> None:
    """M(o,o) and M(n,n) of a whole cell are those of the raw vectors, by scikit-learn."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    data = tmp_path / "data"
    raw: dict[str, np.ndarray] = {}
    for part in ("train", "gallery"):
        (data / "mine" / part).mkdir(parents=True)
        for trunk, dim, noise in (("old", 6, 3.0), ("new", 8, 1.0)):
            centres = np.random.default_rng(dim).normal(size=(3, dim))
            raw[trunk] = (centres[labels] + noise * rng.normal(size=(60, dim))).astype(np.float32) * 40
            np.savez(data / "mine" / part / f"{trunk}.npz", vectors=raw[trunk], labels=labels)
    suite = parse_suite(
        {
            "title": "t", "dataset": "vectors", "dataset_options": {"path": "mine"}, "recipe": {"epochs": 2},
            "index_search": [], "defaults": {"frozen": True, "head": "none"},
            "scenarios": {"raw": [{"backbone": "vectors/old", "dim": 6}, {"backbone": "vectors/new", "dim": 8}]},
            "methods": ["procrustes", "bct"],
        },
        "t",
    )  # fmt: skip
    dataset = load(suite.dataset, suite.image_size, data, suite.dataset_options)
    cells = {cell.spec.method.name: cell for cell in make_plan("t", suite, dataset, discover(), Selection())}
    assert cells["bct"].skip == "it trains an encoder, and these embeddings are those of a published one"
    context = RunContext(tmp_path / "runs", data)
    record = run_cell(cells["procrustes"].spec, context, lambda stage, share: None, lambda line: None)
    assert record.status == "ok", record.error or record.reason
    assert {one.converged for one in record.convergence.values()} == {True}, "nothing is trained that counts"
    for generation, trunk in (("0", "old"), ("1", "new")):
        at = ("mAP", generation, generation, "all", "cosine")
        found = next(one.value for one in record.metrics if one.coordinates == at)
        unit = raw[trunk] / np.linalg.norm(raw[trunk], axis=1, keepdims=True)
        scores = unit @ unit.T
        others = ~np.eye(60, dtype=bool)
        expected = np.mean(
            [average_precision_score(labels[others[row]] == labels[row], scores[row][others[row]]) for row in range(60)]
        )
        assert found == pytest.approx(expected, abs=2e-3), "float16 moves a rank here and there"
    wrong = suite.model_dump(mode="json", exclude={"scenarios"}) | {
        "scenarios": {"raw": [{"backbone": "vectors/other", "dim": 6}] * 2}
    }
    with pytest.raises(RequestError, match="the dataset has no vectors 'vectors/other'"):
        make_plan("t", parse_suite(wrong, "t"), dataset, discover(), Selection())
