"""Exported maps: the same vectors by numpy alone and by ONNX as by the adapter, for every kind of adapter."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import onnx.reference
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from compatbench.discovery.plugins import discover
from compatbench.errors import RequestError
from compatbench.generations.adapters import FittedAdapter, fit
from compatbench.generations.formula import formula_of
from compatbench.generations.numpy_form import write_numpy
from compatbench.generations.onnx_form import write_onnx

ADAPTERS = sorted(name for name, plugin in discover().plugins.items() if plugin.kind == "adapter")
QUICK = {"epochs": 2, "inner": 16, "rounds": 2, "restarts": 2}
GENERATOR = np.random.default_rng(0)
OLD, NEW = (GENERATOR.normal(size=(60, dim)).astype(np.float32) for dim in (4, 6))
GIVEN = {name: GENERATOR.normal(size=(7, dim)).astype(np.float32) for name, dim in (("old", 4), ("new", 6))}


def fitted(name: str) -> FittedAdapter:
    known = discover().get(name).cls.Params.model_fields
    params = {key: value for key, value in QUICK.items() if key in known}
    return fit(name, OLD, NEW, np.arange(60) % 3, params=params)


def exported(adapter: FittedAdapter, side: str, folder: Path, *, lengths: bool = False) -> list[NDArray[np.float32]]:
    """Mapped by the numpy file and by the ONNX file."""
    formula = formula_of(adapter, side, lengths=lengths)
    given = {name: GIVEN[name] for name in formula.inputs}
    write_numpy(formula, folder / "form.py", side, "What it is.")
    write_onnx(formula, folder / "form.onnx", side, "What it is.")
    by_numpy = runpy.run_path(str(folder / "form.py"))[side](**given)
    (by_onnx,) = onnx.reference.ReferenceEvaluator(str(folder / "form.onnx")).run(None, given)
    return [by_numpy, by_onnx]


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_is_exported_maps_as_the_adapter_does(name: str, tmp_path: Path) -> None:
    adapter = fitted(name)
    for side in ("query", "gallery", "new") if adapter.maps.gallery or adapter.maps.new else ("query",):
        given = [GIVEN["old"]] if side == "gallery" else [GIVEN["new"], GIVEN["old"]]
        expected = getattr(adapter, side)(*given).numpy()
        for mapped in exported(adapter, side, tmp_path):
            np.testing.assert_allclose(mapped, expected, atol=1e-5, err_msg=side)
            assert mapped.dtype == np.float32


def test_lengths_are_those_that_an_index_by_distance_expects(tmp_path: Path) -> None:
    adapter = fitted("fct")
    usual = np.median(np.sort(np.linalg.norm(OLD, axis=1))[:-1])  # torch takes the lower of two middle ones
    for mapped in exported(adapter, "query", tmp_path, lengths=True):
        np.testing.assert_allclose(np.linalg.norm(mapped, axis=1), usual, rtol=1e-5)
    for mapped in exported(adapter, "gallery", tmp_path, lengths=True):
        np.testing.assert_allclose(np.linalg.norm(mapped, axis=1), np.linalg.norm(GIVEN["old"], axis=1), rtol=1e-5)
        np.testing.assert_allclose(
            mapped, adapter.with_length(adapter.gallery(GIVEN["old"]), "gallery", GIVEN["old"]), atol=1e-5
        )


def test_the_numpy_form_of_a_linear_map_has_twenty_lines(tmp_path: Path) -> None:
    write_numpy(formula_of(fitted("ridge")), tmp_path / "form.py", "query", "What it is.")
    assert len((tmp_path / "form.py").read_text().splitlines()) <= 22


class _Nearest(nn.Module):
    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors.sort(dim=1).values


class _Branch(nn.Module):
    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return -vectors if vectors.sum() > 0 else vectors


@pytest.mark.parametrize(("module", "words"), [(_Nearest(), "no array operation 'sort'"), (_Branch(), "control flow")])
def test_a_map_of_other_operations_is_refused_in_one_line(module: nn.Module, words: str) -> None:
    adapter = fitted("ridge")
    adapter.maps.query = module
    with pytest.raises(RequestError, match=words) as error:
        formula_of(adapter)
    assert "\n" not in str(error.value)
