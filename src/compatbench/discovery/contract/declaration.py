"""Checks on what a method file says about itself, before anything is run."""

from __future__ import annotations

import re
from pathlib import Path

from compatbench.discovery.contract.report import Finding, Report, describe
from compatbench.discovery.finding import check_name, find_class
from compatbench.discovery.plugins import METHODS, Plugin, discover, make_plugin
from compatbench.discovery.source import load_module
from compatbench.errors import RequestError
from compatbench.method import Adapter, Params, TrainingMethod
from compatbench.vocabulary import Expectation, Need, Role

SOURCE = re.compile(
    r"\d{4}\.\d{4,5}"  # arXiv
    r"|arXiv:? ?[a-z-]+/\d{7}"  # arXiv before 2007
    r"|\b10\.\d{4,9}/\S+"  # DOI
    r"|\b[A-Z][A-Za-z-]*(?: [A-Z][A-Za-z-]*)* (?:19|20)\d{2}\b"  # venue and year
    r"|\bours\b"
)


def check_declaration(report: Report, path: Path) -> Plugin | None:
    """Check the file at `path` without running its method. None where there is no class to go on with."""
    plugin: Plugin | None = None
    with report.checking("imports"):
        try:
            module = load_module(path)
        except Exception as error:
            raise Finding(f"the file does not import: {describe(error, path)}") from error
    if report.just_failed:
        return None
    with report.checking("one class"):
        cls = find_class(module, METHODS.bases)
    if report.just_failed:
        return None
    with report.checking("name"):
        check_name(cls)
        plugin = make_plugin(cls, path)
        _check_unique(plugin)
    with report.checking("declarations"):
        _check_declarations(cls)
    with report.checking("parameters"):
        _check_parameters(cls)
    with report.checking("source"):
        _check_source(cls)
    return plugin


def _check_unique(plugin: Plugin) -> None:
    try:
        known = discover().plugins
    except RequestError as error:
        raise Finding(str(error)) from error
    for other in known.values():
        if other.name == plugin.name and other.path != plugin.path:
            raise Finding(f"the name '{plugin.name}' is taken by {other.path.name}: choose another")


def _check_declarations(cls: type[TrainingMethod] | type[Adapter]) -> None:
    if not isinstance(cls.role, Role):
        raise Finding(f"role = {cls.role!r}: use one of {', '.join(f'Role.{role.name}' for role in Role)}")
    for attribute, kind in (("needs", Need), ("expects", Expectation)):
        for value in getattr(cls, attribute):
            if not isinstance(value, kind):
                names = ", ".join(f"{kind.__name__}.{member.name}" for member in kind)
                raise Finding(f"{attribute} has {value!r}: use members of {kind.__name__} ({names})")


def _check_parameters(cls: type[TrainingMethod] | type[Adapter]) -> None:
    params = cls.Params
    if not (isinstance(params, type) and issubclass(params, Params)):
        raise Finding("Params must be a class that derives from compatbench.method.Params: class Params(Params): …")
    missing = [name for name, field in params.model_fields.items() if field.is_required()]
    if missing:
        raise Finding(f"no default for {', '.join(missing)}: give each parameter its published value as default")
    if params.model_config.get("extra") != "forbid" or not params.model_config.get("frozen"):
        raise Finding(
            "Params changes model_config: keep extra='forbid' and frozen=True, so that typing errors are seen"
        )


def _check_source(cls: type[TrainingMethod] | type[Adapter]) -> None:
    text = cls.__doc__ or ""
    if not text.strip():
        raise Finding("the class has no docstring: give the formula, its symbols and shapes, and the paper")
    if not SOURCE.search(text):
        raise Finding("the docstring cites no source: name an arXiv id, a DOI, venue and year, or say '(ours)'")
