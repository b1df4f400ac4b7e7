"""Caches on disk answers behind seconds of imports: a backbone's full name, whether it can be built."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from pydantic import BaseModel

from compatbench.storage.canonical import digest
from compatbench.storage.files import file_sha256, write_whole

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def cache_folder() -> Path:
    """The folder of cached answers; it can be deleted at any time."""
    chosen = os.environ.get("COMPATBENCH_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "compatbench"


def cached_on_disk(
    *packages: str, machine: Callable[[], str] = str
) -> Callable[[Callable[Arguments, Answer]], Callable[Arguments, Answer]]:
    """Let a function answer the same question once, also across processes.

    An answer is named by the arguments, the source of the function's module, the versions of `packages` and what
    `machine` says: where one of them changes, the function is called again. What it raises is not kept.
    """

    def decorate(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
        @functools.cache
        @functools.wraps(function)
        def cached(*arguments: Any) -> Answer:
            question = {
                "function": f"{function.__module__}.{function.__name__}",
                "source": _source_hash(function.__code__.co_filename),
                "arguments": [one.model_dump(mode="json") if isinstance(one, BaseModel) else one for one in arguments],
                "packages": {package: version(package) for package in packages},
                "machine": machine(),
            }
            file = cache_folder() / f"{function.__name__}-{digest(question)}.json"
            with suppress(OSError, ValueError, KeyError, TypeError):
                return cast(Answer, json.loads(file.read_text(encoding="utf-8"))["answer"])
            answer: Answer = function(*arguments)  # type: ignore[call-arg]
            with suppress(OSError):  # a folder that cannot be written costs time, nothing else
                write_whole(file, json.dumps({**question, "answer": answer}, indent=1))
            return answer

        return cast(Callable[Arguments, Answer], cached)

    return decorate


@functools.cache
def _source_hash(file: str) -> str:
    return file_sha256(Path(file))
