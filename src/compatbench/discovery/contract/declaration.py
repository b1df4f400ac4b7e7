"""Checks on the declarations of a method file, before anything runs."""

from __future__ import annotations

import re
from difflib import get_close_matches
from inspect import getsource, isfunction
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from compatbench.discovery.contract.report import Report, Violation
from compatbench.discovery.finding import Kind, check_name, find
from compatbench.discovery.plugins import METHODS, Plugin, make_plugin
from compatbench.method import Adapter, Method, Params, TrainingMethod, ranges
from compatbench.vocabulary import Expectation, Need, Role

SOURCE = re.compile(
    r"\d{4}\.\d{4,5}"  # arXiv
    r"|arXiv:? ?[a-z-]+/\d{7}"  # arXiv before 2007
    r"|\b10\.\d{4,9}/\S+"  # DOI
    r"|\b[A-Z][A-Za-z-]*(?: [A-Z][A-Za-z-]*)* (?:19|20)\d{2}\b"  # venue and year
    r"|\bours\b"
)

_NEAR = 0.75
"""Share of letters in common from which on a name is taken for a misspelt one."""


def check_declaration(report: Report, cls: type[Method], path: Path) -> Plugin | None:
    """Check the method class from `path` without running it. None if its name is not valid."""
    report.check("name", check_naming, METHODS, cls, path)
    plugin = None if report.just_failed else make_plugin(cls, path)
    report.check("declarations", _check_declarations, cls)
    report.check("hooks", _check_hooks, cls)
    report.check("parameters", _check_parameters, cls)
    report.check("source", check_citation, cls.__doc__ or "", "the formula, its symbols and shapes")
    return plugin


def check_naming(kind: Kind[Any], cls: type[Any], path: Path) -> None:
    """Raise ContractError or Finding if the name of `cls`, from `path`, cannot be used."""
    check_name(cls)
    other = find(kind, wanted=lambda name: False).paths.get(cls.name, path)
    if other != path:
        raise Violation(f"the name '{cls.name}' is taken by {other.name}: choose another")


def check_citation(text: str, content: str) -> None:
    """Raise Finding if the docstring `text` is empty, with the missing `content`, or cites no source."""
    if not text.strip():
        raise Violation(f"the class has no docstring: give {content}, and the paper")
    if not SOURCE.search(text):
        raise Violation("the docstring cites no source: name an arXiv id, a DOI, venue and year, or say '(ours)'")


def _check_declarations(cls: type[Method]) -> None:
    if not isinstance(cls.role, Role):
        raise Violation(f"role = {cls.role!r}: use one of {', '.join(f'Role.{role.name}' for role in Role)}")
    for attribute, kind in (("needs", Need), ("expects", Expectation)):
        for value in getattr(cls, attribute):
            if not isinstance(value, kind):
                names = ", ".join(f"{kind.__name__}.{member.name}" for member in kind)
                raise Violation(f"{attribute} has {value!r}: use members of {kind.__name__} ({names})")


def _check_hooks(cls: type[Method]) -> None:
    """No function that nothing calls has nearly the name of a hook which the class does not override."""
    base = TrainingMethod if issubclass(cls, TrainingMethod) else Adapter
    hooks = _functions(base) | _functions(Method)
    classes = cls.__mro__[: cls.__mro__.index(base)]
    own = {name for one in classes for name in _functions(one)}
    source = "\n".join(getsource(one) for one in classes)
    for name in sorted(own - hooks):
        near = get_close_matches(name, hooks - own, n=1, cutoff=_NEAR)
        if near and not re.search(rf"\.{name}\b", source):
            raise Violation(f"nothing calls {name}(), which looks like a misspelt {near[0]}(): rename it")


def _functions(cls: type[Any]) -> set[str]:
    """Names of the public functions that a class itself defines."""
    return {name for name, value in vars(cls).items() if isfunction(value) and not name.startswith("_")}


def _check_parameters(cls: type[Method]) -> None:
    params = cls.Params
    if not (isinstance(params, type) and issubclass(params, Params)):
        raise Violation("Params must be a class that derives from compatbench.method.Params: class Params(Params): …")
    missing = [name for name, field in params.model_fields.items() if field.is_required()]
    if missing:
        raise Violation(f"no default for {', '.join(missing)}: give each parameter its published value as default")
    values = params()
    for name, searched in ranges(values).items():
        for value in (searched.at(0), searched.at(1)):
            try:
                params.model_validate({**values.model_dump(), name: value})
            except ValidationError as error:
                raise Violation(f"the range of {name} has {value}: {error.errors()[0]['msg']}; narrow it") from error
    if params.model_config.get("extra") != "forbid" or not params.model_config.get("frozen"):
        raise Violation(
            "Params changes model_config: keep extra='forbid' and frozen=True, so that typing errors are seen"
        )
