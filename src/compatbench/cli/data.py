"""`compatbench data`: lists, fetches and checks datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compatbench.cli.options import DEFAULT_DATA, Data, Datasets, DatasetSettings, assignments
from compatbench.errors import RequestError

if TYPE_CHECKING:
    from compatbench.data.family import Family

Name = Annotated[str, typer.Argument(help="A dataset, see `compatbench data list`.")]


def data_list(
    names: Annotated[list[str] | None, typer.Argument(help="Only these datasets.", metavar="[NAME]...")] = None,
    data: Data = DEFAULT_DATA,
    datasets: Datasets = None,
) -> None:
    """List the datasets: size, licence, folder, and missing files."""
    from compatbench.discovery.datasets import discover_datasets

    found = discover_datasets(datasets or ())
    for family in map(found.get, names or sorted(found.plugins)):
        print(f"{family.name}: {family.description}")
        print(f"    {_size(family)}licence: {family.licence}")
        print(f"    {_state(family, data)}")
    for broken in found.broken:
        print(f"left out {broken.path}: {broken.error}")


def data_get(
    name: Name,
    data: Data = DEFAULT_DATA,
    source: Annotated[
        Path | None, typer.Option("--from", help="Folder that has the files already: it is linked, not copied.")
    ] = None,
    settings: DatasetSettings = None,
    datasets: Datasets = None,
) -> None:
    """Fetch a dataset if licence and host allow it, or say where it already is."""
    from compatbench.discovery.datasets import family, get

    options = assignments("--set", settings, "path=my-images")
    linked = None if source is None else _link(family(name, datasets or ()), source, data)
    try:
        print(get(name, data, print, options, datasets or ()))
    except BaseException:
        if linked is not None:
            linked.unlink()
        raise


def data_check(
    name: Name, data: Data = DEFAULT_DATA, settings: DatasetSettings = None, datasets: Datasets = None
) -> None:
    """Check that a dataset is complete and sound: reads every file whole, also those checked before."""
    from compatbench.discovery.datasets import check

    print(check(name, data, assignments("--set", settings, "path=my-images"), print, datasets or ()))


def _link(family: Family[Any], source: Path, data: Path) -> Path | None:
    """Link the folder of the dataset to `source`; the link, or None if it was there."""
    place = family.link(data)
    if place is None:
        raise RequestError(f"--from: dataset '{family.name}' has no folder of its own; see `compatbench data list`")
    if not source.is_dir():
        raise RequestError(f"--from {source}: there is no such folder")
    if place.exists() or place.is_symlink():
        if place.resolve() == source.resolve():
            return None
        raise RequestError(f"--from {source}: {place} is there already; remove it first")
    data.mkdir(parents=True, exist_ok=True)
    place.symlink_to(source.resolve(), target_is_directory=True)
    return place


def _size(family: Family[Any]) -> str:
    if family.size is None:
        return ""
    return f"{family.size / 1e9:.1f} GB; " if family.size >= 1e9 else f"{family.size / 1e6:.0f} MB; "


def _state(family: Family[Any], data: Path) -> str:
    from compatbench.discovery.datasets import parse_options

    try:
        missing = family.missing(data, parse_options(family, {}))
    except RequestError as error:
        return f"{error}: a suite's dataset_options, or --set"
    place = family.link(data)
    where = "here" if place is None else f"in {place}"
    return f"{where}, missing: {', '.join(missing)}" if missing else f"{where}, nothing is missing"
