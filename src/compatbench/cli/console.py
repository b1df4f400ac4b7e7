"""The console of the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console


def plain_console(*, soft_wrap: bool = False) -> Console:
    """Prints texts unchanged: titles, paths and reasons may contain brackets, rich's markup."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=soft_wrap)


@contextmanager
def shown_progress() -> Iterator[Callable[[object], None]]:
    """Shows on standard error what it is called with: on a terminal in one line that changes, else nothing."""
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        yield lambda progress: None
        return
    with console.status("") as status:
        yield lambda progress: status.update(str(progress))
