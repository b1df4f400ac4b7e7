"""The recorded command of a cell: it re-runs the cell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compatbench.records.record import CellSpec, Record


@dataclass(frozen=True)
class Origin:
    """The user's words for the suite and the folders of methods and datasets, without absolute paths."""

    suite: str = ""
    """Path of a suite file; empty for a built-in suite."""
    method_folders: tuple[str, ...] = ()
    dataset_folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, suite: str, name: str, method_folders: Sequence[Path], dataset_folders: Sequence[Path] = ()) -> Origin:
        """The origin of the suite `name`, called `suite` by the user."""
        path = "" if suite == name else relative(Path(suite))
        return cls(path, tuple(map(relative, method_folders)), tuple(map(relative, dataset_folders)))


BUILT_IN = Origin()


def relative(path: Path) -> str:
    """`path` unchanged if it is relative, else from the working directory; its last part if it lies outside."""
    if not path.is_absolute():
        return path.as_posix()
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else path.name


def command(spec: CellSpec, world_size: int = 1, origin: Origin = BUILT_IN) -> str:
    """The line that re-runs this cell, in the folder from which the paths of `origin` are given."""
    launcher = ["accelerate", "launch", "--multi_gpu", "--num_processes", str(world_size), "-m"]
    trial = spec.test_classes == "held_out"
    parts = [*(launcher if world_size > 1 else []), "compatbench", "tune" if trial else "run"]
    parts += [origin.suite or spec.suite]
    parts += ["--methods", ",".join([*origin.method_folders, spec.method.name if trial else spec.method.label])]
    parts += ["--scenarios", spec.scenario, *([] if trial else ["--seeds", str(spec.seed)])]
    for folder in origin.dataset_folders:
        parts += ["--datasets", folder]
    return shlex.join(parts)


def runs_its_cell(record: Record) -> bool:
    """Whether the command of `record` is the one of its cell, from whatever folders."""
    try:
        words = shlex.split(record.command)
        suite, methods = (words[words.index(word) + 1] for word in ("run", "--methods"))
    except (ValueError, IndexError):
        return False
    spec = record.spec
    folders = tuple(methods.removesuffix(spec.method.label).split(",")[:-1])
    datasets = tuple(words[place + 1] for place, word in enumerate(words[:-1]) if word == "--datasets")
    path = "" if suite == spec.suite else suite
    if path and (Path(path).stem != spec.suite or Path(path).suffix not in (".yaml", ".yml")):
        return False
    return record.command == command(spec, record.environment.processes, Origin(path, folders, datasets))
