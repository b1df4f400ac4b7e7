"""Where the commands print."""

from __future__ import annotations

from rich.console import Console


def plain_console(*, soft_wrap: bool = False) -> Console:
    """Prints what it is given: titles, paths and reasons may hold brackets that rich would take for its own."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap)
