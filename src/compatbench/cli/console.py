"""The console of the commands."""

from __future__ import annotations

from rich.console import Console


def plain_console(*, soft_wrap: bool = False) -> Console:
    """Prints texts unchanged: titles, paths and reasons may contain brackets, rich's markup."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap)
