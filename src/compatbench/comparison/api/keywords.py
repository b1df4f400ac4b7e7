"""Errors of the Python API name options by their keywords."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

from compatbench.data.vectors.options import InputOptions
from compatbench.errors import RequestError

_FLAG = re.compile(r"(?<![^\s(])--([a-z][a-z-]*)(?: (?=[A-Z0-9]))?")
_FLAGS = {one.name for one in fields(InputOptions) if one.default is False}


def by_keywords(text: str) -> str:
    """`text` with options as keywords: `--metric F1` is `metric=F1`, and `--skip-bad-rows` is `skip_bad_rows=True`."""
    return _FLAG.sub(_keyword, text)


def _keyword(found: re.Match[str]) -> str:
    name = found[1].replace("-", "_")
    return f"{name}=True" if name in _FLAGS else name + "=" * found[0].endswith(" ")


@contextmanager
def errors_by_keywords() -> Iterator[None]:
    """A decorator: errors name keywords in place of the options of the command."""
    try:
        yield
    except RequestError as error:
        raise RequestError(by_keywords(str(error))) from error.__cause__
