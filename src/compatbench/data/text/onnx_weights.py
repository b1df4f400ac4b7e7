"""The weights in an ONNX file of a BERT, without running the file.

Of Protocol Buffers, https://protobuf.dev/programming-guides/encoding, and of ONNX's messages only as much is read as
lies on the way from the model over its graph to the tensors with their names, shapes and bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import torch
from torch import Tensor

GRAPH, INITIALIZER = 7, 5
"""Fields of `ModelProto` and of `GraphProto`."""
DIMS, NAME, RAW = 1, 8, 9
"""Fields of `TensorProto`."""
PRODUCTS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
"""Weights whose names the export lost, in the order of their use in a layer; they are transposed."""


def read_bert(file: bytes) -> dict[str, Tensor]:
    """The weights by their authors' names, from `embeddings` and `encoder` on. Raises ValueError for another file."""
    [graph] = [value for field, value in _fields(memoryview(file)) if field == GRAPH]
    found: dict[str, Tensor] = {}
    nameless = 0
    for tensor in (value for field, value in _fields(_bytes(graph)) if field == INITIALIZER):
        name, weights = _tensor(_bytes(tensor))
        if name.startswith("onnx::MatMul"):
            layer, part = divmod(nameless, len(PRODUCTS))
            nameless += 1
            found[f"encoder.layer.{layer}.{PRODUCTS[part]}.weight"] = weights.T
        elif known := re.search(r"(embeddings|encoder)\..*", name):
            found[known[0]] = weights
    return found


def _tensor(message: memoryview) -> tuple[str, Tensor]:
    dims, name, raw = [], "", memoryview(b"")
    for field, value in _fields(message):
        if field == DIMS and isinstance(value, int):
            dims.append(value)
        elif field == NAME:
            name = bytes(_bytes(value)).decode()
        elif field == RAW:
            raw = _bytes(value)
    if not raw:
        return name, torch.empty(0)
    return name, torch.frombuffer(bytearray(raw), dtype=torch.float32).reshape(dims)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number, with its whole number or its bytes."""
    place = 0
    while place < len(message):
        key, place = _number(message, place)
        if key & 7 == 0:
            value, place = _number(message, place)
            yield key >> 3, value
            continue
        length = {1: 8, 5: 4}.get(key & 7)
        if length is None:
            length, place = _number(message, place)
        yield key >> 3, message[place : place + length]
        place += length


def _number(message: memoryview, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, and where it ends."""
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message should be: this is no ONNX file")
    return value
