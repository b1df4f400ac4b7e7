"""The command line. Exit codes: 0 done, 1 a cell failed or a gate did not hold, 2 the request is wrong, 130 Ctrl-C.

Heavy libraries are imported inside the commands, so that `--help` and a typing mistake answer at once.
"""

from __future__ import annotations

import sys

import typer

from compatbench.cli import adapters, compare, data, methods, search, suites, timing, trust, tuning
from compatbench.errors import MachineError, RequestError, is_machines_failure
from compatbench.machine.standard_streams import mend_standard_streams
from compatbench.machine.vector_sort import prefer_fast_sort

app = typer.Typer(
    name="compatbench",
    help="Benchmark backward-compatible embeddings: one protocol, many methods, honest tables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (suites, tuning, timing, trust, methods, adapters, compare, search, data):
    group.register(app)


def main() -> None:
    """Entry point of the `compatbench` command."""
    mend_standard_streams()
    prefer_fast_sort()
    try:
        app()
    except RequestError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if not is_machines_failure(error):
            raise
        print(f"error: {MachineError.of(error)}", file=sys.stderr)
        sys.exit(1)
