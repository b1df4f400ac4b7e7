"""Checks on the declarations of a method file, before anything runs."""

from __future__ import annotations

from pathlib import Path

from compatbench.discovery.contract.citation import check_citation
from compatbench.discovery.contract.naming import check_naming
from compatbench.discovery.contract.report import Finding, Report
from compatbench.discovery.plugins import METHODS, Plugin, make_plugin
from compatbench.method import Method, Params
from compatbench.vocabulary import Expectation, Need, Role


def check_declaration(report: Report, cls: type[Method], path: Path) -> Plugin | None:
    """Check the method class from `path` without running it. None if its name is not valid."""
    report.check("name", check_naming, METHODS, cls, path)
    plugin = None if report.just_failed else make_plugin(cls, path)
    report.check("declarations", _check_declarations, cls)
    report.check("parameters", _check_parameters, cls)
    report.check("source", check_citation, cls.__doc__ or "", "the formula, its symbols and shapes")
    return plugin


def _check_declarations(cls: type[Method]) -> None:
    if not isinstance(cls.role, Role):
        raise Finding(f"role = {cls.role!r}: use one of {', '.join(f'Role.{role.name}' for role in Role)}")
    for attribute, kind in (("needs", Need), ("expects", Expectation)):
        for value in getattr(cls, attribute):
            if not isinstance(value, kind):
                names = ", ".join(f"{kind.__name__}.{member.name}" for member in kind)
                raise Finding(f"{attribute} has {value!r}: use members of {kind.__name__} ({names})")


def _check_parameters(cls: type[Method]) -> None:
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
