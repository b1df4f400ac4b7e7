"""The commands `fit` and `apply`: an adapter between two files of embeddings."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compatbench.cli.options import assignments
from compatbench.errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from compatbench.compare.embeddings import EmbeddingTable
    from compatbench.generations.adapters import FittedAdapter

FILES = ".npy (the matrix), .npz, .safetensors or .parquet (ids, vectors, labels)"
Folders = Annotated[
    list[Path] | None, typer.Option("--methods", help="A folder that adds its methods; may be repeated.")
]


class Side(StrEnum):
    """The vectors to map."""

    QUERY = "query"
    GALLERY = "gallery"
    NEW = "new"
    ORDER = "order"


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command(name="fit")(fit)
    app.command(name="apply")(apply)


def fit(
    old: Annotated[Path, typer.Argument(help=f"Old embeddings: {FILES}.")],
    new: Annotated[Path, typer.Argument(help="New embeddings of the same items, paired by id, else by row.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The adapter, a .safetensors file.")],
    method: Annotated[str, typer.Option("--method", help="An adapter, see `compatbench list`.")] = "procrustes",
    param: Annotated[
        list[str] | None, typer.Option("--param", help="A parameter of the method, name=value; may be repeated.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="A .npy file with the class of each row of NEW.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of what the method draws at random.")] = 0,
    methods: Folders = None,
) -> None:
    """Fit an adapter on the embeddings of the same items by an old and a new model."""
    if output.suffix != ".safetensors":
        raise RequestError(f"{output}: an adapter is saved as a .safetensors file")
    params = assignments("--param", param, "epochs=20")

    import torch
    import torch.nn.functional as F

    from compatbench.compare.embeddings import align, read_labels, read_table
    from compatbench.generations import adapters

    new_table = read_table(new)
    old_table = align(read_table(old), new_table)
    classes = new_table.labels if labels is None else read_labels(labels, len(new_table))
    if classes is None:
        classes = old_table.labels
    vectors = torch.from_numpy(new_table.float32()), torch.from_numpy(old_table.float32())
    adapter = adapters.fit(method, *vectors, classes, params=params, seed=seed, folders=methods or [])
    adapter.save(output)
    cosine = F.cosine_similarity(adapter.query(*vectors), adapter.gallery(vectors[1])).mean()
    print(
        f"written: {output}: {method}, {adapter.dim} → {adapter.old_dim} dimensions, fitted on {len(new_table)} pairs "
        f"in {adapter.facts['fit_seconds']:.1f} s; mean cosine of a mapped new vector and its old one: {cosine:.3f}"
    )
    print(f"next: compatbench apply {output} QUERIES -o MAPPED")


def apply(
    adapter: Annotated[Path, typer.Argument(help="A file that `compatbench fit` wrote.")],
    vectors: Annotated[Path, typer.Argument(help=f"Embeddings: {FILES}.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Mapped embeddings, in any of these formats.")],
    side: Annotated[
        Side,
        typer.Option(
            "--side",
            help="query: new queries for the old gallery; gallery: old vectors, rewritten; new: new vectors as they "
            "are stored; order: scores of old vectors, the highest to be embedded anew first (.npy).",
        ),
    ] = Side.QUERY,
    old: Annotated[
        Path | None, typer.Option("--old", help="The same items by the old model, where both encoders are needed.")
    ] = None,
    methods: Folders = None,
) -> None:
    """Map embeddings by a fitted adapter; the output has unit length."""
    if side is Side.ORDER and output.suffix != ".npy":
        raise RequestError(f"{output}: scores are written to a .npy file")

    from dataclasses import replace

    from compatbench.compare.embeddings import EmbeddingTable, align, read_table, write_table
    from compatbench.generations import adapters

    fitted = adapters.load(adapter, methods or [])
    table = read_table(vectors)
    expected = fitted.dim if side in (Side.QUERY, Side.NEW) else fitted.old_dim
    if table.dim != expected:
        raise RequestError(f"{vectors} has {table.dim} dimensions; with --side {side} {adapter} takes {expected}")
    beside = align(read_table(old), table) if old is not None else None
    mapped = _map_blocks(fitted, side, table, beside)
    if side is Side.ORDER:
        write_table(output, EmbeddingTable(str(output), mapped))
    else:
        write_table(output, replace(table, vectors=mapped))
    print(f"written: {output}: {' × '.join(str(size) for size in mapped.shape)}")


def _map_blocks(
    fitted: FittedAdapter, side: Side, table: EmbeddingTable, old: EmbeddingTable | None
) -> NDArray[np.float32]:
    """The whole table, mapped block by block."""
    import numpy as np
    import torch

    mapped: NDArray[np.float32] | None = None
    for rows, block in table.blocks():
        given = torch.from_numpy(block)
        beside = None if old is None else torch.from_numpy(np.array(old.vectors[rows], dtype=np.float32))
        if side in (Side.QUERY, Side.NEW):
            result = (fitted.query if side is Side.QUERY else fitted.new)(given, beside)
        else:
            result = (fitted.gallery if side is Side.GALLERY else fitted.order)(given)
        if mapped is None:
            mapped = np.empty((len(table), *result.shape[1:]), dtype=np.float32)
        mapped[rows] = result.numpy()
    assert mapped is not None  # a table has rows
    return mapped
