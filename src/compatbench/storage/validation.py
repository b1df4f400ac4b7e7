"""Turns pydantic's errors into one line with the key and the remedy."""

from __future__ import annotations

import difflib
import functools
import reprlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError, model_validator

from compatbench.errors import RequestError

Model = TypeVar("Model", bound=BaseModel)


class NoTruthValues(BaseModel):
    """Base of models whose numbers are never written as true or false, which pydantic would take for 1 and 0."""

    @model_validator(mode="before")
    @classmethod
    def _numbers_are_no_truth_values(cls, data: Any) -> Any:
        refuse_truth_values(cls, data)
        return data


def refuse_truth_values(model: type[BaseModel], data: Any) -> None:
    """Raise ValueError where a number of a `model`, or one in a list of numbers, is true or false in `data`."""
    for name in _numbers(model) & data.keys() if isinstance(data, dict) else ():
        value = data[name]
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, bool):
                raise ValueError(f"{name} is a number, and not {str(one).lower()}")


@functools.cache
def _numbers(model: type[BaseModel]) -> frozenset[str]:
    """The fields of numbers that take no truth values."""
    kinds = {name: _leaves(field.annotation) for name, field in model.model_fields.items()}
    return frozenset(name for name, found in kinds.items() if found & {int, float} and bool not in found)


def _leaves(annotation: Any) -> set[Any]:
    parts = get_args(annotation)
    return set().union(*map(_leaves, parts)) if parts else {annotation}


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or the list of known names if none is near."""
    names = sorted(known)
    if not names:
        return "; there are none"
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(names)}"


def check_keywords(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise RequestError for a keyword that is not among the `known` ones."""
    known = list(known)
    for name in given:
        if name not in known:
            raise RequestError(f"there is no option '{name}'{did_you_mean(name, known)}")


def several(given: Any, name: str) -> Iterable[Any]:
    """A single word or path is one of several; None is none. Raises RequestError for what cannot be listed."""
    if given is None or isinstance(given, str | Path):
        return () if given is None else (given,)
    if not isinstance(given, Iterable):
        raise RequestError(f"{name} is {given!r}: give one name, or several")
    return given


def validated(model: type[Model], data: object, where: str) -> Model:
    """`data` as a `model`. Raises RequestError, in one line: `where`, then the first problem."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise RequestError(f"{where}{_explain(error, model)}") from error
    except UnicodeEncodeError as error:  # of a key, before any is looked at
        raise RequestError(f"{where}contains half of a character: {error.object[error.start]!r}") from error


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first problem of `error` in one line: path of the key, the problem, the remedy.

    A misspelt key comes before the required one that it leaves missing.
    """
    problems = error.errors()
    problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    path = [str(part) for part in problem["loc"]]
    where = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key" + did_you_mean(path[-1], _fields(model, path[:-1]))
    if problem["type"] == "missing":
        return f"{where}: is required"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    shown = f" (got {reprlib.repr(given)})" if isinstance(given, str | int | float | bool | None) else ""
    at = f"{where}: " if where else ""
    return f"{at}{message[0].lower()}{message[1:]}{shown}"


def _fields(model: type[BaseModel], path: list[str]) -> list[str]:
    """Field names of the model that lies at `path` below `model`, as far as annotations tell."""
    current: type[BaseModel] = model
    for part in path:
        field = current.model_fields.get(part)
        nested = _model_in(field.annotation) if field is not None else None
        if nested is not None:
            current = nested
    return list(current.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The pydantic model inside an annotation such as `list[M]` or `dict[str, list[M]]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
