"""Options shared by several commands: the selectors, the folders, and their parsing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compatbench.errors import RequestError
from compatbench.storage.strict_yaml import read_value

if TYPE_CHECKING:
    from compatbench.plan.selection import Selection
    from compatbench.vocabulary import MetricName

DEFAULT_SUITE = "icons_quick"
SuiteArgument = Annotated[str, typer.Argument(help="A suite by name (see `compatbench list`), or a .yaml file.")]
Methods = Annotated[
    str,
    typer.Option("--methods", help="Only these rows (names or labels, comma-separated); a folder adds its methods."),
]
Scenarios = Annotated[str, typer.Option("--scenarios", help="Only these scenarios, comma-separated.")]
Seeds = Annotated[str, typer.Option("--seeds", help="These seeds instead of the suite's, e.g. 0,1,2.")]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of this machine's results.")]
Data = Annotated[Path, typer.Option("--data", envvar="COMPATBENCH_DATA", help="Folder of the datasets.")]
Datasets = Annotated[
    list[Path] | None,
    typer.Option("--datasets", metavar="DIR", help="A folder with dataset files of your own; may be repeated."),
]
DatasetSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="OPTION=VALUE", help="An option of the dataset; may be given several times."),
]
RankBy = Annotated[
    str,
    typer.Option("--rank-by", help="A: gain while a backfill runs; gamma: with no backfill; phi: after the backfill."),
]
Jobs = Annotated[int, typer.Option("--jobs", min=0, help="Cells at a time; 0 chooses.")]
ExecutorName = Annotated[str, typer.Option("--executor", help="Where cells run: local, ray or slurm.")]
Address = Annotated[
    str | None, typer.Option("--address", envvar="RAY_ADDRESS", help="A Ray cluster; one is started where absent.")
]
ExecutorOptions = Annotated[
    list[str] | None, typer.Option("--option", help="Of Slurm jobs, e.g. slurm_partition=gpu; may be repeated.")
]
DEFAULT_RUNS = Path("results/runs")
DEFAULT_DATA = Path("data")


def selection_of(methods: str, scenarios: str, seeds: str) -> tuple[Selection, tuple[Path, ...]]:
    """The selection by these selectors, and the folders of methods among them."""
    from compatbench.plan.selection import Selection

    names, folders = split_folders(methods)
    return Selection(names, split_list(scenarios), parse_seeds(seeds)), folders


def ranking_number(word: str) -> MetricName:
    """The number that `--rank-by` names. Raises RequestError for any other word."""
    from compatbench.vocabulary import RANKED_BY

    names = {name: number for number in RANKED_BY for name in (number.value, number.heading.lower())}
    names |= {"gamma": names["γ"], "phi": names["φ"]}
    if word.lower() not in names:
        raise RequestError(f"--rank-by {word}: give A (while a backfill runs), gamma (without one) or phi (after it)")
    return names[word.lower()]


def split_folders(methods: str) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    """The words of `--methods`: names of rows, and folders of further methods."""
    from compatbench.storage.builtin import builtin_folder

    def is_folder(word: str) -> bool:
        is_method = word == Path(word).name and (builtin_folder("methods") / f"{word}.py").exists()
        return Path(word).is_dir() and not is_method

    words = split_list(methods)
    return tuple(word for word in words if not is_folder(word)), tuple(Path(word) for word in words if is_folder(word))


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from `0,1,2`. Raises RequestError for anything but whole numbers."""
    try:
        return tuple(int(word) for word in split_list(text))
    except ValueError as error:
        raise RequestError(f"--seeds {text}: give whole numbers, e.g. --seeds 0,1,2") from error


def split_list(text: str) -> tuple[str, ...]:
    """Comma-separated words; commas inside brackets, as in a row's label, do not separate.

    Raises RequestError for commas alone, which would otherwise ask for everything.
    """
    words, depth, current = [], 0, ""
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            words.append(current)
            current = ""
        else:
            current += character
    found = tuple(word.strip() for word in [*words, current] if word.strip())
    if text.strip() and not found:
        raise RequestError(f"'{text}' names nothing: give words with commas between them, or leave the option out")
    return found


def assignments(option: str, words: Sequence[str] | None, example: str) -> dict[str, Any]:
    """Values by name from the words `name=value` of a repeated option, each value as YAML has it.

    Raises RequestError, which names `option` and shows the `example`, for other words.
    """
    values = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise RequestError(f"{option} {word}: give name=value, e.g. {option} {example}")
        values[name.strip()] = read_value(value, f"{option} {word}")
    return values
