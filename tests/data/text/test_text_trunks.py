"""The published trunks, where their packages are at hand: paraphrases lie closer than what has nothing in common."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from compatbench.data.published_weights import is_here
from compatbench.data.text.trunks import TRUNKS, check_text_trunk, load_text_trunk, packages_of
from compatbench.errors import RequestError

DATA = Path(__file__).parents[3] / "data"
TEXTS = (
    "A cat is sleeping on the carpet.",
    "The kitten lies on the rug, asleep.",
    "The bank raised its interest rates this morning.",
    "This morning the interest rates of the bank went up.",
)


@pytest.mark.parametrize("name", TRUNKS)
def test_paraphrases_lie_closer(name: str) -> None:
    backbone = f"text/{name}"
    missing = [one.file for one in packages_of(backbone) if not is_here(one, DATA)]
    if missing:
        pytest.skip(f"{missing[0]} is not in {DATA}/weights: run a suite with the backbone {backbone} once")
    if TRUNKS[name].needs_tokenizers:
        pytest.importorskip("tokenizers", reason="pip install compatbench[text]")
    trunk = load_text_trunk(backbone, DATA, torch.device("cpu"))
    with torch.inference_mode():
        vectors = F.normalize(trunk.embed(TEXTS, "query"))
        alone = F.normalize(trunk.embed(TEXTS[:1], "query"))
    assert vectors.shape == (4, TRUNKS[name].dim)
    assert torch.allclose(alone[0], vectors[0], atol=1e-4), "a text's vector does not depend on those beside it"
    close = vectors @ vectors.T
    assert min(close[0, 1], close[2, 3]) > max(close[0, 2], close[0, 3], close[1, 2], close[1, 3]) + 0.03


def test_names_are_checked() -> None:
    check_text_trunk("text/minilm-l3")
    check_text_trunk("text/sentence-transformers/all-MiniLM-L6-v2")
    with pytest.raises(RequestError, match=r"no text trunk 'text/minilm-l4'; did you mean 'minilm-l"):
        check_text_trunk("text/minilm-l4")
