"""The contract test of a method or dataset file: `compatbench check FILE`. Runs on CPU in seconds.

Each check gives one result, and the message of a failed one says what to change. Nothing here judges how good
a method is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from compatbench.data.family import Family
from compatbench.discovery.contract.adapters import check_adapter
from compatbench.discovery.contract.dataset import check_dataset_class
from compatbench.discovery.contract.declaration import check_declaration
from compatbench.discovery.contract.report import Report, Violation
from compatbench.discovery.contract.trained import check_training_method
from compatbench.discovery.datasets import DATASETS, NO_OPTIONS, load_family
from compatbench.discovery.finding import find_class
from compatbench.discovery.plugins import METHODS
from compatbench.errors import describe
from compatbench.vocabulary import MethodKind

__all__ = ["Report", "check"]


def check(path: Path, data: Path = Path("data"), options: Mapping[str, Any] = NO_OPTIONS) -> Report:
    """Run every check on the method or dataset file at `path`; a dataset is read from below `data` with `options`.

    Later checks need earlier ones: where the file does not import, nothing more is tried.
    """
    report = Report(path)
    path = path.resolve()
    module = report.check("imports", _imported, path)
    if module is None:
        return report
    cls = report.check("one class", find_class, module, METHODS.bases() + DATASETS.bases())
    if cls is None:
        return report
    if issubclass(cls, Family):
        check_dataset_class(report, cls, module.__doc__ or "", data, options)
        return report
    plugin = check_declaration(report, cls, path)
    if plugin is not None:
        run = check_adapter if plugin.kind is MethodKind.ADAPTER else check_training_method
        run(report, plugin)
    return report


def _imported(path: Path) -> ModuleType:
    try:
        return load_family(path)
    except Exception as error:
        raise Violation(f"the file does not import: {describe(error, path)}") from error
