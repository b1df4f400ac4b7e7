"""The contract test of a method file: `compatbench check FILE`. Runs on CPU in seconds.

Each check gives one result, and the message of a failed one says what to change. Nothing here judges how good
a method is.
"""

from __future__ import annotations

from pathlib import Path

from compatbench.discovery.contract.adapters import check_adapter
from compatbench.discovery.contract.declaration import check_declaration
from compatbench.discovery.contract.report import Report
from compatbench.discovery.contract.trained import check_training_method

__all__ = ["Report", "check"]


def check(path: Path) -> Report:
    """Run every check on the method file at `path`.

    Later checks need earlier ones: where the file does not import, nothing more is tried.
    """
    report = Report(path)
    plugin = check_declaration(report, path.resolve())
    if plugin is not None:
        run = check_adapter if plugin.kind == "adapter" else check_training_method
        run(report, plugin)
    return report
