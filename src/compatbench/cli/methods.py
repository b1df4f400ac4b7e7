"""Commands about method and dataset files: new, check, docs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from compatbench.cli.options import DEFAULT_DATA, Data, DatasetSettings, assignments
from compatbench.errors import RequestError


def new(
    name: Annotated[str, typer.Argument(help="The method's name, e.g. my_method.")],
    folder: Annotated[Path | None, typer.Option("--folder", help="Where to write it; the built-in methods.")] = None,
) -> None:
    """Write a method file that keeps the contract, to start from."""
    from compatbench.discovery.scaffold import new_method
    from compatbench.storage.builtin import builtin_folder

    path = new_method(name, folder or builtin_folder("methods"))
    print(f"written: {path}")
    rows = name if folder is None else shlex.quote(f"{name},{folder}")
    print(f"next: compatbench check {shlex.quote(str(path))}; compatbench run digits --methods {rows}")


def check(
    file: Annotated[str, typer.Argument(help="A method or dataset file, or the name of a built-in one.")],
    data: Data = DEFAULT_DATA,
    settings: DatasetSettings = None,
) -> None:
    """Check that a method or a dataset keeps the contract; each finding says what to change.

    Exit code 1 if one fails. What a dataset loads is checked where its files are below --data.
    """
    from compatbench.discovery.datasets import DATASETS
    from compatbench.storage.builtin import builtin_folder

    builtin = (builtin_folder("methods") / f"{file}.py", DATASETS.builtin / f"{file}.py")
    path = next((place for place in (Path(file), *builtin) if place.suffix == ".py" and place.is_file()), None)
    if path is None:
        raise RequestError(f"no method or dataset {file}; give the name of a built-in one, or a path to a .py file")

    from compatbench.discovery.contract import check as check_file

    outcome = check_file(path, data, assignments("--set", settings, "path=my-images"))
    print(outcome)
    if not outcome.passed:
        raise typer.Exit(1)


def docs(
    folder: Annotated[Path, typer.Option("--folder", help="Gets methods.md.")] = Path("docs"),
) -> None:
    """Write docs/methods.md, the overview of all methods, from their files."""
    from compatbench.cli.method_page import methods_page
    from compatbench.storage.files import write_whole

    path = folder / "methods.md"
    write_whole(path, methods_page())
    print(f"written: {path}")
