"""The command line. Exit codes: 0 done, 1 a cell failed or a gate did not hold, 2 the request is wrong, 130 Ctrl-C.

Heavy libraries are imported inside the commands, so that `--help` and a typing mistake answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from compatbench.cli import adapters, compare, data, methods, search, suites, timing, trust, tuning
from compatbench.errors import MachineError, RequestError, is_machines_failure
from compatbench.machine.standard_streams import mend_standard_streams

app = typer.Typer(
    name="compatbench",
    help="Benchmark backward-compatible embeddings: one protocol, many methods, honest tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
COMMANDS: dict[str, Callable[..., None]] = {
    "run": suites.run,
    "plan": suites.plan,
    "status": suites.status,
    "report": suites.report,
    "list": suites.list_all,
    "tune": tuning.tune,
    "time": timing.time_training,
    "verify": trust.verify,
    "submit": trust.submit,
    "tables": trust.tables,
    "reproduce": trust.reproduce,
    "order": trust.order,
    "new": methods.new,
    "check": methods.check,
    "docs": methods.docs,
    "fit": adapters.fit,
    "apply": adapters.apply,
    "export": adapters.export,
    "compare": compare.compare,
    "search": search.search,
}
DATA_COMMANDS: dict[str, Callable[..., None]] = {"list": data.data_list, "get": data.data_get, "check": data.data_check}

for name, command in COMMANDS.items():
    app.command(name=name)(command)
of_data = typer.Typer(help="Datasets: what there is, fetch it, check it.", no_args_is_help=True)
for name, command in DATA_COMMANDS.items():
    of_data.command(name=name)(command)
app.add_typer(of_data, name="data")


def main() -> None:
    """Entry point of the `compatbench` command."""
    mend_standard_streams()
    try:
        app()
    except RequestError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if not (isinstance(error, MemoryError) or is_machines_failure(error)):
            raise
        print(f"error: {MachineError.of(error)}", file=sys.stderr)
        sys.exit(1)
