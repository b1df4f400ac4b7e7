"""Options of all commands on files of embeddings: one declaration each, gathered in one object."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from typer.models import ArgumentInfo

from compatbench.data.vectors.options import InputOptions

FILES = (
    ".npy (the matrix), .npz, .safetensors, .parquet, .jsonl, .csv, .tsv (ids, vectors, labels), .faiss, or a database"
)

OPTIONS: dict[str, tuple[Any, Any]] = {
    "vectors": (
        Annotated[
            str | None,
            typer.Option("--vectors", metavar="COLUMN", help="Column of the vectors; OLD's,NEW's where they differ."),
        ],
        None,
    ),
    "ids": (Annotated[str | None, typer.Option("--ids", metavar="COLUMN", help="Column of the ids.")], None),
    "labels": (
        Annotated[
            Path | None,
            typer.Option("--labels", metavar="COLUMN|FILE", help="Column of the classes, or a .npy, one a row of NEW."),
        ],
        None,
    ),
    "group": (
        Annotated[
            str | None,
            typer.Option("--group", metavar="COLUMN", help="Column of the document: several vectors of one are one."),
        ],
        None,
    ),
    "packed_bits": (Annotated[bool, typer.Option("--packed-bits", help="Each byte is eight dimensions.")], False),
    "dims": (
        Annotated[
            int | None, typer.Option("--dims", metavar="N", min=1, help="Use the first N dimensions of NEW alone.")
        ],
        None,
    ),
    "old_dims": (
        Annotated[
            int | None, typer.Option("--old-dims", metavar="N", min=1, help="Use the first N dimensions of OLD alone.")
        ],
        None,
    ),
    "common": (Annotated[bool, typer.Option("--common", help="Leave out items that only one file has.")], False),
    "skip_unknown": (
        Annotated[bool, typer.Option("--skip-unknown", help="Leave out judgements of ids that have no vector.")],
        False,
    ),
    "relevant_from": (
        Annotated[float | None, typer.Option("--relevant-from", metavar="G", help="The least grade that is relevant.")],
        None,
    ),
    "separate_ids": (
        Annotated[bool, typer.Option("--separate-ids", help="A query and an item of the same id are not the same.")],
        False,
    ),
    "skip_bad_rows": (
        Annotated[
            bool, typer.Option("--skip-bad-rows", help="Leave out items that are NaN, infinite or zero in either file.")
        ],
        False,
    ),
}
"""By the name of the parameter: its type and default."""

OF_COMPARE = "skip_unknown", "relevant_from", "separate_ids"
"""What only judgements and queries need."""


def takes_input_options(*, without: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command these options, `without` some; its parameters `options` and `labels` get their values."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        own = [
            one.replace(annotation=hints[one.name])
            for one in inspect.signature(command).parameters.values()
            if one.name not in ("options", "labels")
        ]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, (kind, default) in OPTIONS.items()
            if name not in without
        ]

        @wraps(command)
        def wrapped(**values: Any) -> None:
            given = {one.name: values.pop(one.name) for one in added}
            labels = given.pop("labels", None)
            if labels is not None and not _is_file(labels):
                given["labels"], labels = str(labels), None
            if "labels" not in without:
                values["labels"] = labels
            command(**values, options=InputOptions(**given))

        arguments = [one for one in own if _is_argument(one.annotation)]
        others = [one for one in own if one not in arguments]
        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in [*arguments, *added, *others]]
        wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {one.name: one.annotation for one in parameters}
        return wrapped

    return add


def _is_argument(annotation: Any) -> bool:
    return any(isinstance(part, ArgumentInfo) for part in getattr(annotation, "__metadata__", ()))


def _is_file(word: Path) -> bool:
    from compatbench.data.vectors.formats.registry import FORMATS

    return word.suffix in FORMATS or word.exists()


def print_notices(notices: Any) -> None:
    """Print each exclusion and decision in one line."""
    for notice in notices:
        print(f"note: {notice.text}")
