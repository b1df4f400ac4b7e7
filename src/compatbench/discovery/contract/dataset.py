"""Checks on a dataset file: its declarations, its behaviour without files, and its data if they are here."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compatbench.data.family import Counts, Family, Options
from compatbench.discovery.contract.declaration import check_citation, check_naming
from compatbench.discovery.contract.report import Report, Violation
from compatbench.discovery.datasets import DATASETS, load_dataset, parse_options
from compatbench.errors import RequestError

if TYPE_CHECKING:
    from compatbench.data.dataset import Dataset

IMAGE_SIZE = 32


def check_dataset_class(
    report: Report, cls: type[Family[Any]], module_doc: str, data: Path, options: Mapping[str, Any]
) -> None:
    """Check the dataset of `cls` with `options`, its files below `data` if they are there."""
    report.check("name", check_naming, DATASETS, cls, report.path.resolve())
    report.check("declarations", _check_declarations, cls)
    if report.just_failed:
        return
    report.check("options", _check_options, cls, options)
    report.check("source", _check_source, cls, module_doc)
    if report.failed:
        return
    family = cls()
    chosen = parse_options(family, options)
    report.check("without files", _check_without_files, family, chosen)
    if missing := family.missing(data, chosen):
        report.leave_out("data", f"not here, missing: {missing[0]}; put them there, or give --data, and check again")
    else:
        _check_data(report, family, data, chosen)


def _check_source(cls: type[Family[Any]], module_doc: str) -> None:
    text = f"{module_doc}\n{cls.__doc__ or ''}"
    if "https://" not in text:
        check_citation(text, "its split")


def _check_declarations(cls: type[Family[Any]]) -> None:
    if unwritten := sorted(getattr(cls, "__abstractmethods__", ())):
        raise Violation(f"{cls.__name__} has no {' and no '.join(unwritten)}: write them, see docs/adding-a-dataset.md")
    for attribute in ("description", "licence"):
        text = getattr(cls, attribute, None)
        if not isinstance(text, str) or not text.strip() or "\n" in text:
            raise Violation(f"{attribute} = {text!r}: give one line of text")
    size = getattr(cls, "size", 0)
    if size is not None and (not isinstance(size, int) or size <= 0):
        raise Violation(f"size = {size!r}: give the bytes on disk, or None where that depends")
    options = getattr(cls, "options_type", None)
    if not (isinstance(options, type) and issubclass(options, Options)):
        raise Violation("options_type must be Options, or a class that derives from compatbench.data.family.Options")


def _check_options(cls: type[Family[Any]], given: Mapping[str, Any]) -> None:
    model = cls.options_type
    if model.model_config.get("extra") != "forbid" or not model.model_config.get("frozen"):
        raise Violation(f"{model.__name__} changes model_config: keep extra='forbid' and frozen=True")
    for name, field in model.model_fields.items():
        if field.annotation is Any:
            raise Violation(f"option {name} has the type Any: give the type that it has, such as bool or str")
        if field.is_required() and name not in given:
            raise Violation(f"option {name} has no default: give it one, or check with --set {name}=VALUE")
    parse_options(cls(), given)


def _check_without_files(family: Family[Any], options: Options) -> None:
    with tempfile.TemporaryDirectory() as empty:
        missing = family.missing(Path(empty), options)
        try:
            family.load(Path(empty), options, IMAGE_SIZE)
        except RequestError as error:
            if not missing:
                raise Violation(f"load fails without its files, and missing() names none of them: {error}") from error
        except Exception as error:
            raise Violation(
                f"load raises {type(error).__name__} without its files ({error}): raise RequestError, in one line, "
                "with the file that is missing and how to get it"
            ) from error
        else:
            if missing:
                raise Violation(f"load works without {missing[0]}, which missing() names: leave it out there")


def _check_data(report: Report, family: Family[Any], data: Path, options: Options) -> None:
    dataset = report.check("loads", load_dataset, family, IMAGE_SIZE, data, options)
    if dataset is None:
        return
    report.check("classes", _check_classes, dataset)
    report.check("published counts", _check_published, family.published_of(options), dataset)
    report.check("fingerprint", _check_fingerprint, dataset, family, data, options)


def _check_fingerprint(dataset: Dataset, family: Family[Any], data: Path, options: Options) -> None:
    if load_dataset(family, IMAGE_SIZE, data, options).fingerprint != dataset.fingerprint:
        raise Violation(
            "two loads give different data: use no random numbers without a seed, no order of a folder or a set"
        )


def _check_classes(dataset: Dataset) -> None:
    splits = (dataset.train, dataset.query, dataset.gallery)
    used = {label for split in splits for label in split.labels.tolist()}
    if unused := sorted(set(range(dataset.num_classes)) - used):
        raise Violation(
            f"no image has the label {unused[0]} ({dataset.class_names[unused[0]]}): number the classes that there "
            "are 0, 1, 2, …"
        )


def _check_published(published: Counts, dataset: Dataset) -> None:
    found: dict[str, int] = {name: len(getattr(dataset, name)) for name in ("train", "query", "gallery")}
    found |= {"train_classes": len(dataset.train_classes), "classes": dataset.num_classes}
    for name, count in vars(published).items():
        if count not in (None, found[name]):
            raise Violation(f"published has {name}={count:,}, and load gives {found[name]:,}: correct one of them")
    new = (published.classes or 0) > (published.train_classes or 0) > 0
    if new and (shared := set(dataset.query.labels.tolist()) & set(dataset.train_classes)):
        raise Violation(
            f"published has more classes than are trained on, so test classes are new ones, and class "
            f"{min(shared)} has both training images and queries"
        )
