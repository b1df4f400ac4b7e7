"""The commands `fit`, `apply` and `export`: an adapter between two files of embeddings."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compatbench.cli.input_options import FILES, OF_COMPARE, print_notices, takes_input_options
from compatbench.cli.options import assignments
from compatbench.data.vectors.options import InputOptions
from compatbench.data.vectors.stores.address import source
from compatbench.errors import RequestError
from compatbench.vocabulary import Similarity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from compatbench.comparison.inputs import PairedItems
    from compatbench.generations.adapters import FittedAdapter

Folders = Annotated[
    list[Path] | None, typer.Option("--methods", help="A folder that adds its methods; may be repeated.")
]


Lengths = Annotated[
    Similarity | None,
    typer.Option(
        "--similarity",
        help="How the index ranks. By dot and l2 a query gets the usual length of the old vectors, and what is stored "
        "keeps its own.",
    ),
]


class Side(StrEnum):
    """The vectors to map."""

    QUERY = "query"
    GALLERY = "gallery"
    NEW = "new"
    ORDER = "order"


@takes_input_options(without=(*OF_COMPARE, "group"))
def fit(
    old: Annotated[Any, typer.Argument(parser=source, help=f"Old embeddings: {FILES}.")],
    new: Annotated[
        Any, typer.Argument(parser=source, help="New embeddings of the same items, paired by id, else by row.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The adapter, a .safetensors file.")],
    method: Annotated[str, typer.Option("--method", help="An adapter, see `compatbench list`.")] = "procrustes",
    param: Annotated[
        list[str] | None, typer.Option("--param", help="A parameter of the method, name=value; may be repeated.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what the method draws at random.")] = 0,
    methods: Folders = None,
    *,
    labels: Path | None,
    options: InputOptions,
) -> None:
    """Fit an adapter on the embeddings of the same items by an old and a new model."""
    if output.suffix != ".safetensors":
        raise RequestError(f"{output}: an adapter is saved as a .safetensors file")
    params = assignments("--param", param, "epochs=20")

    import numpy as np
    import torch
    import torch.nn.functional as F

    from compatbench.comparison.inputs import index_length_notices, read_items
    from compatbench.generations import adapters

    items = read_items(old, new, labels, options, more_old=True)
    rows = np.arange(len(items))
    vectors = torch.from_numpy(items.raw_old(rows)), torch.from_numpy(items.raw_new(rows))
    adapter = adapters.fit(method, *vectors, items.labels, params=params, seed=seed, folders=methods or [])
    adapter.save(output)
    print_notices(items.notices)
    for notice in index_length_notices(items):
        print(f"WARNING: {notice.text}", file=sys.stderr)
    cosine = F.cosine_similarity(adapter.query(vectors[1], vectors[0]), adapter.gallery(vectors[0])).mean()
    print(
        f"written: {output}: {method}, {adapter.dim} → {adapter.old_dim} dimensions, fitted on {len(items)} pairs "
        f"in {adapter.facts.fit_seconds:.1f} s; mean cosine of a mapped new vector and its old one: {cosine:.3f}"
    )
    print(f"next: compatbench apply {output} QUERIES -o MAPPED")


@takes_input_options(without=(*OF_COMPARE, "group", "labels", "old_dims"))
def apply(
    adapter: Annotated[Path, typer.Argument(help="A file that `compatbench fit` wrote.")],
    embeddings: Annotated[Any, typer.Argument(metavar="VECTORS", parser=source, help=f"Embeddings: {FILES}.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Mapped embeddings, in any of these formats.")],
    side: Annotated[
        Side,
        typer.Option(
            "--side",
            help="query: new queries for the old gallery; gallery: old vectors, rewritten; new: new vectors as they "
            "are stored; order: scores of old vectors, the highest to be re-embedded first (.npy).",
        ),
    ] = Side.QUERY,
    old: Annotated[
        Any,
        typer.Option("--old", parser=source, help="The same items by the old model, for adapters that need it."),
    ] = None,
    similarity: Lengths = None,
    methods: Folders = None,
    *,
    options: InputOptions,
) -> None:
    """Map embeddings by a fitted adapter; the output has unit length unless --similarity says otherwise."""
    if side is Side.ORDER and output.suffix != ".npy":
        raise RequestError(f"{output}: scores are written to a .npy file")

    from compatbench.comparison.inputs import pair_items
    from compatbench.data.vectors.embeddings import EmbeddingTable, read_table, write_table
    from compatbench.data.vectors.pairing import Checked, select
    from compatbench.generations import adapters

    fitted = adapters.load(adapter, methods or [])
    table = read_table(embeddings, options)
    expected = fitted.dim if side in (Side.QUERY, Side.NEW) else fitted.old_dim
    if table.dim != expected:
        raise RequestError(f"{table.name} has {table.dim} dimensions; with --side {side} {adapter} takes {expected}")
    checked = Checked.of(table)
    beside = checked if old is None else Checked.of(read_table(old, options, "old"))
    items = pair_items(beside, checked, None, options, more_old=True)
    lengths = similarity not in (None, Similarity.COSINE) and side is not Side.ORDER
    mapped = _map_blocks(fitted, side, items, with_old=old is not None, lengths=lengths)
    ids, classes = (None, None) if side is Side.ORDER else (select(table.ids, items.new_rows), items.labels)
    write_table(output, EmbeddingTable(str(output), mapped, ids, classes))
    print_notices(items.notices)
    _warn_of_lengths(fitted, similarity)
    print(f"written: {output}: {' × '.join(str(size) for size in mapped.shape)}")


def export(
    adapter: Annotated[Path, typer.Argument(help="A file that `compatbench fit` wrote.")],
    onnx: Annotated[Path | None, typer.Option("--onnx", help="Write a graph for onnxruntime, an .onnx file.")] = None,
    numpy: Annotated[
        Path | None,
        typer.Option("--numpy", help="Write a short .py file for numpy alone, and a .npz beside it."),
    ] = None,
    side: Annotated[
        Side, typer.Option("--side", help="The map, as in `apply`; an order is given by `apply` alone.")
    ] = (Side.QUERY),
    similarity: Lengths = None,
    methods: Folders = None,
) -> None:
    """Write a fitted adapter's map for a machine without torch."""
    if onnx is None and numpy is None:
        raise RequestError("nothing to write: give --onnx FILE.onnx, --numpy FILE.py, or both")
    for path, suffix in ((onnx, ".onnx"), (numpy, ".py")):
        if path is not None and path.suffix != suffix:
            raise RequestError(f"{path}: give a file that ends in {suffix}")
    if side is Side.ORDER:
        raise RequestError("an order is computed once, and not exported: compatbench apply --side order")

    from compatbench.generations import adapters
    from compatbench.generations.formula import formula_of
    from compatbench.generations.numpy_form import write_numpy
    from compatbench.generations.onnx_form import write_onnx

    fitted = adapters.load(adapter, methods or [])
    formula = formula_of(fitted, side, lengths=similarity not in (None, Similarity.COSINE))
    what = f"{fitted.plugin.name}, {side}: {fitted.dim} → {fitted.old_dim} dimensions, from {adapter.name}."
    for path, write in ((onnx, write_onnx), (numpy, write_numpy)):
        if path is not None:
            write(formula, path, side, what)
            print(f"written: {path}")
    _warn_of_lengths(fitted, similarity)


def _warn_of_lengths(fitted: FittedAdapter, similarity: Similarity | None) -> None:
    if similarity is None and fitted.facts.old_lengths_differ:
        print(
            "WARNING: the adapter was fitted on old vectors of unequal lengths, and gives unit vectors here: an index "
            "that ranks by inner product or distance needs --similarity dot or l2 (--similarity cosine: it does not)",
            file=sys.stderr,
        )


def _map_blocks(
    fitted: FittedAdapter, side: Side, items: PairedItems, *, with_old: bool, lengths: bool
) -> NDArray[np.float32]:
    """All items, mapped block by block."""
    import numpy as np
    import torch

    from compatbench.data.vectors.embeddings import BLOCK_ROWS

    mapped: NDArray[np.float32] | None = None
    for begin in range(0, len(items), BLOCK_ROWS):
        rows = np.arange(begin, min(begin + BLOCK_ROWS, len(items)))
        given = torch.from_numpy(items.raw_new(rows))
        beside = torch.from_numpy(items.raw_old(rows)) if with_old else None
        if side in (Side.QUERY, Side.NEW):
            result = (fitted.query if side is Side.QUERY else fitted.new)(given, beside)
        else:
            result = (fitted.gallery if side is Side.GALLERY else fitted.order)(given)
        if lengths:
            result = fitted.with_length(result, side, given)
        if mapped is None:
            mapped = np.empty((len(items), *result.shape[1:]), dtype=np.float32)
        mapped[rows] = result.numpy()
    assert mapped is not None  # a table has rows
    return mapped
