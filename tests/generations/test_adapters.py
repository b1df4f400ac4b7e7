"""Fitted adapters: saved, loaded and applied to the same bytes, and one-line errors for everything else."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from compatbench.discovery.plugins import discover
from compatbench.errors import RequestError
from compatbench.generations.adapters import FittedAdapter, fit, fitted_numbers, load, unit
from compatbench.storage.artefacts import Artefact, read_artefact, tensors_hash, write_artefact

ADAPTERS = sorted(name for name, plugin in discover().plugins.items() if plugin.kind == "adapter")
QUICK = {"epochs": 2, "inner": 32, "rounds": 2, "restarts": 2}
"""For methods that have such parameters."""


def pairs(dim: int = 6, old_dim: int = 4, count: int = 60) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(count, 5, generator=generator)
    new, old = (hidden @ torch.randn(5, size, generator=generator) for size in (dim, old_dim))
    return old, new, torch.arange(count) % 3


def fitted(name: str, **params: Any) -> FittedAdapter:
    known = discover().get(name).cls.Params.model_fields
    return fit(name, *pairs(), params={key: value for key, value in {**QUICK, **params}.items() if key in known})


def applied(adapter: FittedAdapter, new: Tensor, old: Tensor) -> dict[str, Tensor]:
    found = {"query": adapter.query(new, old), "new": adapter.new(new, old), "gallery": adapter.gallery(old)}
    return found if adapter.maps.order is None else {**found, "order": adapter.order(old)}


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_saved_adapter_is_loaded_to_the_same_bytes(tmp_path: Path, name: str) -> None:
    adapter = fitted(name)
    adapter.save(tmp_path / "a.safetensors")
    torch.manual_seed(1)
    again = load(tmp_path / "a.safetensors")
    old, new, _ = pairs(count=7)
    first, second = applied(adapter, new, old), applied(again, new, old)
    assert first.keys() == second.keys()
    for side, mapped in first.items():
        assert mapped.numpy().tobytes() == second[side].numpy().tobytes(), side
        assert not second[side].requires_grad
    assert (again.params, again.needs, again.facts) == (adapter.params, adapter.needs, adapter.facts)
    assert again.artefact().facts == adapter.artefact().facts
    assert tensors_hash(again.artefact().tensors) == tensors_hash(adapter.artefact().tensors)


@pytest.mark.parametrize("name", ADAPTERS)
def test_queries_meet_the_gallery_in_one_space_and_have_unit_length(name: str) -> None:
    mapped = applied(fitted(name), *reversed(pairs()[:2]))
    assert mapped["query"].shape == mapped["gallery"].shape
    for side in ("query", "gallery", "new"):
        assert torch.allclose(mapped[side].norm(dim=1), torch.ones(60), atol=1e-5)
    assert mapped.get("order", torch.zeros(60)).shape == (60,)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_seed_decides_what_is_drawn(name: str) -> None:
    torch.manual_seed(4711)
    first = fitted(name)
    torch.rand(3)
    state = torch.get_rng_state()
    second = fitted(name)
    assert torch.equal(state, torch.get_rng_state()), "the caller's random stream moved"
    for one, other in zip(first.maps.state_dict().values(), second.maps.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_vectors_are_taken_at_any_length_and_of_any_kind() -> None:
    old, new, _ = pairs()
    scale = torch.arange(1.0, 61)[:, None]
    adapter, scaled = fit("ridge", old, new), fit("ridge", (old / scale).numpy(), (new * scale).double().numpy())
    assert torch.allclose(adapter.query(new), scaled.query(new * scale), atol=1e-5)


def test_arrays_are_mapped_as_tensors_are() -> None:
    old, new, labels = pairs()
    arrays = new.double().numpy(), old.double().numpy()
    slerp, fastfill = fit("slerp", old, new, labels), fit("fastfill", old, new, labels, params={"epochs": 1})
    assert torch.equal(slerp.query(*arrays), slerp.query(new, old))
    assert torch.equal(slerp.new(*arrays), slerp.new(new, old))
    assert torch.equal(fastfill.gallery(arrays[1]), fastfill.gallery(old))
    assert torch.equal(fastfill.order(arrays[1]), fastfill.order(old))


def test_labels_may_be_numbers_with_gaps_or_text() -> None:
    old, new, labels = pairs()
    alike = [labels, labels.numpy() * 10 - 7, np.array(["dog", "cat", "eel"])[labels], ["c", "a", "b"] * 20]
    params = {"epochs": 2}
    found = [fit("lambda_orthogonal", old, new, given, params=params).maps.new.weight for given in alike]  # type: ignore[union-attr]
    for weight in found[1:]:
        assert torch.allclose(weight, found[0], atol=1e-6)


def test_unit_vectors_stay_as_they_are_bit_for_bit() -> None:
    vectors = torch.randn(100, 37, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(unit(vectors), vectors / vectors.norm(dim=1, keepdim=True), atol=1e-6)
    assert torch.equal(unit(unit(vectors)), unit(vectors))


def test_fitted_numbers_are_weights_and_statistics_but_no_counters() -> None:
    assert (
        fitted_numbers(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)), None) == 3 * 2 + 2 + 4 * 2
    )


def test_facts_say_what_it_was_fitted_on(tmp_path: Path) -> None:
    old, new, labels = pairs()
    fit("slerp", old, new, labels, seed=3).save(tmp_path / "a.safetensors")
    facts = load(tmp_path / "a.safetensors").facts
    assert (facts.pairs, facts.seed) == (60, 3)
    assert facts.fit_seconds >= 0
    with safe_open(tmp_path / "a.safetensors", framework="np") as file:
        metadata = json.loads(file.metadata()["facts"])
    assert (metadata["method"], metadata["dim"], metadata["old_dim"], metadata["num_classes"]) == ("slerp", 6, 4, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("procrusted", *pairs()), "did you mean 'procrustes'?"),
        (("bct", *pairs()), "is trained with the new model .* these can: .*procrustes"),
        (("slerp", *pairs()[:2]), "'slerp' needs labels"),
        (("ridge", pairs()[0][:5], pairs()[1]), r"not \(5, 4\) and \(60, 6\)"),
        (("ridge", pairs()[0][0], pairs()[1]), r"not \(4,\) and"),
        (("slerp", *pairs()[:2], [1, 2]), r"one a row, 60 of them, not \(2,\)"),
    ],
)
def test_what_cannot_be_fitted_is_refused(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        fit(*arguments)


def test_params_out_of_bounds_are_refused() -> None:
    with pytest.raises(RequestError, match="epsilon"):
        fit("ridge", *pairs(), params={"epsilon": -1})


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda adapter, new, old: adapter.query(old), r"fitted on new vectors of 6 dimensions.*\(60, 4\)"),
        (lambda adapter, new, old: adapter.gallery(new), r"fitted on old vectors of 4 dimensions.*\(60, 6\)"),
        (lambda adapter, new, old: adapter.query(new), "needs both encoders online"),
        (lambda adapter, new, old: adapter.query(new, new), "fitted on old vectors of 4 dimensions"),
        (lambda adapter, new, old: adapter.order(old), "gives no order"),
    ],
)
def test_what_cannot_be_applied_is_refused(call: Any, words: str) -> None:
    old, new, _ = pairs()
    with pytest.raises(RequestError, match=words):
        call(fitted("rank_merge"), new, old)


METHOD = '''
from torch import nn
from compatbench.method import Adapter, Maps, Params


class Scaled(nn.Linear):
    def forward(self, vectors):
        return super().forward(vectors) {change}


class Mine(Adapter):
    """A random map (ours)."""

    name = "mine"

    class Params(Params):
        {param}: float = 1.0

    def build(self, dim, old_dim):
        return Maps(query={module}(dim, old_dim))

    def fit(self, new, old, labels):
        return self.build(new.shape[1], old.shape[1])
'''
AS_FITTED = {"change": "", "module": "Scaled", "param": "factor"}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A folder with a method `mine`, and `a.safetensors` fitted by it."""
    (tmp_path / "mine.py").write_text(METHOD.format(**AS_FITTED))
    fit("mine", *pairs(), folders=[tmp_path]).save(tmp_path / "a.safetensors")
    return tmp_path


def test_a_method_of_ones_own_folder_is_loaded_from_there(mine: Path) -> None:
    assert load(mine / "a.safetensors", [mine]).plugin.name == "mine"
    with pytest.raises(RequestError, match="no method 'mine'"):
        load(mine / "a.safetensors")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"change": "+ 0.1"}, "method 'mine' has changed since this adapter was fitted; fit it again"),
        ({"module": "(lambda *sizes: nn.Sequential(nn.Linear(*sizes)))", "change": ""}, "'mine' has changed"),
        ({"param": "scale"}, "factor: unknown key"),
    ],
)
def test_a_method_that_maps_otherwise_by_now_is_not_loaded(mine: Path, changed: dict[str, str], words: str) -> None:
    (mine / "mine.py").write_text(METHOD.format(**{**AS_FITTED, **changed}))
    with pytest.raises(RequestError, match=words) as error:
        load(mine / "a.safetensors", [mine])
    assert str(mine / "a.safetensors") in str(error.value)


def test_a_method_that_maps_alike_is_loaded_whatever_else_changed(mine: Path) -> None:
    (mine / "mine.py").write_text(METHOD.format(**AS_FITTED) + "\n\n# a remark\n")
    load(mine / "a.safetensors", [mine])


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 0x10
    path.write_bytes(bytes(content))


def rewritten(
    spoil: Callable[[str, torch.Tensor], torch.Tensor] = lambda name, value: value,
    keep: Callable[[str], bool] = lambda name: True,
    **facts: Any,
) -> Callable[[Path], None]:
    """An adapter file by somebody else: sound in its hash, with other facts or tensors."""

    def write(path: Path) -> None:
        made, _ = read_artefact(path)
        assert made is not None
        tensors = {name: spoil(name, value).contiguous() for name, value in made.tensors.items() if keep(name)}
        write_artefact(path, Artefact(tensors, made.facts | facts))

    return write


def test_classes_that_no_tensor_bears_out_cost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    fit("procrustes", *pairs()).save(path)
    rewritten(num_classes=10**12)(path)
    assert load(path).num_classes == 10**12


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (Path.unlink, "does not exist; compatbench fit writes one"),
        (damaged, r"is damaged or no adapter \(its content does not match its hash\)"),
        (lambda path: path.write_bytes(b"not safetensors at all"), "is damaged or no adapter"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "is damaged or no adapter"),
        (lambda path: save_file({"weight": torch.ones(2)}, path), "it has no hash of its content"),
        (lambda path: write_artefact(path, Artefact({"weight": torch.ones(2)}, {"seconds": 1})), "contains no adapter"),
        (lambda path: write_artefact(path, Artefact({"weight": torch.ones(2)}, [])), "contains no adapter"),
        (rewritten(dim=10**9), "none of its tensors is of size 1000000000"),
        (rewritten(old_dim=10**9), "none of its tensors is of size 1000000000"),
        (rewritten(dim="8"), "its metadata: dim: input should be a valid integer"),
        (rewritten(num_classes=-1), "its metadata: num_classes: input should be greater"),
        (rewritten(method=3), "its metadata: method: input should be a valid string"),
        (rewritten(method="no such"), "no method 'no such'"),
        (rewritten(params=[]), "its metadata: params: input should be a valid dictionary"),
        (rewritten(facts=None), "its metadata: facts: input should be a valid dictionary"),
        (rewritten(method="mlp", params={"hidden": 10**9}), "has changed since"),
        (rewritten(spoil=lambda name, value: value * float("nan")), "its maps contain numbers that are not finite"),
        (rewritten(spoil=lambda name, value: value[:1]), "has changed since this adapter was fitted"),
        (rewritten(keep=lambda name: "probe" not in name), "has changed since"),
        (rewritten(keep=lambda name: "probe" in name), "has changed since this adapter was fitted"),
    ],
)
def test_damaged_and_foreign_files_are_refused_in_one_line(tmp_path: Path, spoil: Any, words: str) -> None:
    path = tmp_path / "a.safetensors"
    fit("procrustes", *pairs()).save(path)
    spoil(path)
    with pytest.raises(RequestError, match=words) as error:
        load(path)
    assert "\n" not in str(error.value)


def test_a_file_holds_tensors_by_the_names_of_their_maps(tmp_path: Path) -> None:
    adapter = fit("procrustes", *pairs())
    adapter.save(tmp_path / "a.safetensors")
    artefact, _ = read_artefact(tmp_path / "a.safetensors")
    assert artefact is not None
    assert sorted(artefact.tensors) == ["probe.gallery", "probe.new", "probe.query", "query.weight"]
    new = pairs()[1]
    by_hand = F.normalize(F.normalize(new) @ artefact.tensors["query.weight"].T)
    assert torch.allclose(adapter.query(new), by_hand, atol=1e-6)


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    old, new, _ = pairs()
    names = {"new": new.numpy(), "old": old.numpy(), "queries": new[:5].numpy()}
    monkeypatch.chdir(tmp_path)
    exec(example, names)
    assert torch.equal(names["mapped"], fit("procrustes", old, new).query(new[:5]))
