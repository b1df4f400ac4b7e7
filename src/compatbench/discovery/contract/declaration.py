"""Checks on what a method file says about itself, before anything is run."""

from __future__ import annotations

from pathlib import Path

from compatbench.discovery.contract.citation import check_citation
from compatbench.discovery.contract.report import Finding, Report
from compatbench.discovery.finding import check_name
from compatbench.discovery.plugins import Plugin, discover, make_plugin
from compatbench.errors import RequestError
from compatbench.method import Adapter, Params, TrainingMethod
from compatbench.vocabulary import Expectation, Need, Role


def check_declaration(report: Report, cls: type[TrainingMethod] | type[Adapter], path: Path) -> Plugin | None:
    """Check the method class from `path` without running it. None where its name is not valid."""
    plugin: Plugin | None = None
    with report.checking("name"):
        check_name(cls)
        plugin = make_plugin(cls, path)
        _check_unique(plugin)
    with report.checking("declarations"):
        _check_declarations(cls)
    with report.checking("parameters"):
        _check_parameters(cls)
    with report.checking("source"):
        check_citation(cls.__doc__ or "", "the formula, its symbols and shapes")
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
