"""The published weights of encoders: lists the missing ones, and fetches them before a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compatbench.data import published_weights
from compatbench.data.family import Notify
from compatbench.data.text.trunks import packages_of
from compatbench.errors import RequestError, first_line
from compatbench.plan.cells import Cell
from compatbench.suite.encoder_spec import EncoderSpec

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""The files of a model on the hub that timm looks for."""


def missing_weights(cells: Sequence[Cell], data: Path) -> list[str]:
    """The backbones (`arch.tag`) of the cells with weights still to be downloaded."""
    return [encoder.backbone for encoder in _missing(cells, data)]


def fetch_weights(cells: Sequence[Cell], data: Path, notify: Notify) -> None:
    """Download the weights that `missing_weights` names, before training starts. RequestError if that fails."""
    import timm

    for encoder in _missing(cells, data):
        if packages := _packages(encoder):
            for package in packages:
                published_weights.get_package(package, data, notify)
            continue
        backbone = encoder.backbone
        try:
            timm.create_model(backbone, pretrained=True)
        except Exception as error:  # whatever the hub's client, its connection or the file's reader raise
            raise RequestError(
                f"the weights of backbone '{backbone}' cannot be fetched ({first_line(error)}); connect this machine, "
                "copy the Hugging Face cache of one that has them, or set pretrained: false"
            ) from error


def _missing(cells: Sequence[Cell], data: Path) -> list[EncoderSpec]:
    """One encoder for each backbone with weights to be downloaded, and each way to have them."""
    generations = {one for cell in cells if cell.skip is None for one in cell.spec.generations}
    encoders = [encoder for one in generations for encoder in (one.encoder(3, 224), one.documents(3, 224))]
    wanted = {
        (one.backbone, one.weights or ""): one
        for one in encoders
        if one is not None and (one.pretrained or packages_of(one.backbone))
    }
    return [one for _, one in sorted(wanted.items(), key=lambda item: item[0]) if not _is_there(one, data)]


def _packages(encoder: EncoderSpec) -> Sequence[published_weights.WeightsPackage]:
    if encoder.weights == "package":
        return (published_weights.package_of(encoder.backbone),)
    return packages_of(encoder.backbone)


def _is_there(encoder: EncoderSpec, data: Path) -> bool:
    packages = _packages(encoder)
    if packages:
        return all(published_weights.is_here(one, data) for one in packages)
    return _is_here(encoder.backbone)


def _is_here(backbone: str) -> bool:
    import timm
    import torch
    from huggingface_hub import try_to_load_from_cache

    cfg: Any = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    if cfg is None or not (cfg.hf_hub_id or cfg.url):
        return True  # timm says so itself when it builds the model
    if cfg.hf_hub_id:
        files = (cfg.hf_hub_filename,) if cfg.hf_hub_filename else WEIGHTS
        return any(isinstance(try_to_load_from_cache(cfg.hf_hub_id, file), str) for file in files)
    return Path(str(torch.hub.get_dir()), "checkpoints", str(cfg.url).rpartition("/")[2]).exists()
