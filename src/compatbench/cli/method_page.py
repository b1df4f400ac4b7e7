"""The overview of all methods, docs/methods.md."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable

from compatbench.cli.method_facts import SETTING, Size, method_size, needs_by_choice
from compatbench.discovery.plugins import Plugin, discover
from compatbench.errors import RequestError
from compatbench.report.render.arxiv import ARXIV, abstract
from compatbench.report.render.to_markdown import escape, grid
from compatbench.storage.builtin import builtin_folder
from compatbench.vocabulary import MethodKind, Need, Role

CODE_SPAN = re.compile(r"(`[^`]+`)")

INTRODUCTION = f"""\
# Methods

<!-- Made by `compatbench docs` (make docs) from methods/*.py: edit those, not this. -->

Every row is one file in `methods/`; [claims.md](claims.md) says what was measured of what its authors publish.
*Needs* is what the method declares and the suite provides, at a cost; below it, the parameter values that change it.
*Trained* are the parameters that the method adds beside encoder and head, for an adapter the numbers that it fits;
*served* those of them that a query depends on; *encoder* and *stored* the dimensions of the encoder's output (–: an
adapter leaves it as it is) and of the new embeddings in the index. They are counted by building the method for
{SETTING}; stationary heads may choose another dimension.

Adapters are fitted on pairs of the held-out part of the training images, which no model was trained on; where a
description speaks of pairs of the training images, a suite with `pairs: train` does that, as papers do.
"""

GROUPS: dict[str, Callable[[Plugin], bool]] = {
    "Trained with the new model": lambda one: one.cls.role is Role.METHOD and one.kind is MethodKind.TRAINING,
    "Adapters on frozen embeddings": lambda one: one.cls.role is Role.METHOD and one.kind is MethodKind.ADAPTER,
    "References and controls, never ranked": lambda plugin: plugin.cls.role is not Role.METHOD,
}


def methods_page() -> str:
    """The page about the built-in methods: a table of all, and each one's docstring.

    Raises RequestError where a method file does not load.
    """
    catalogue = discover()
    for broken in catalogue.broken:
        raise RequestError(f"{broken.path} does not load: {broken.error}")
    own = [p for _, p in sorted(catalogue.plugins.items()) if p.path.parent == builtin_folder("methods").resolve()]
    groups = {title: [plugin for plugin in own if belongs(plugin)] for title, belongs in GROUPS.items()}
    parts = [INTRODUCTION]
    for title, plugins in groups.items():
        parts += (
            [f"## {title}", _overview([(plugin, method_size(plugin, catalogue)) for plugin in plugins])]
            if plugins
            else []
        )
    ordered = [plugin for plugins in groups.values() for plugin in plugins]
    parts += ["## Each method", *map(_section, ordered)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def docstring_markdown(docstring: str) -> str:
    """A docstring as Markdown: indented blocks become code blocks, all other text is shown unchanged."""
    lines: list[str] = []
    code = False
    for line in inspect.cleandoc(docstring).splitlines():
        indented = line.startswith("    ")
        if indented != code and line:
            while lines and not lines[-1]:
                lines.pop()
            lines += ["```", ""] if code else ["", "```text"]
            code = indented
        lines.append(line.removeprefix("    ") if code else _prose(line))
    return "\n".join([*lines, *(["```"] if code else [])])


def link_arxiv(text: str) -> str:
    """`text` with its arXiv numbers linked to their abstracts."""
    return ARXIV.sub(lambda found: f"[{found[0]}]({abstract(found[0])})", text)


def _overview(rows: list[tuple[Plugin, Size]]) -> str:
    table = [
        [f"[{plugin.name}](#{plugin.name})", _paper(plugin), _needs(plugin), *_counts(counted)]
        for plugin, counted in rows
    ]
    headers = ["method", "paper", "needs", "trained", "served", "encoder", "stored"]
    return grid(table, headers, 3 * ["left"] + 4 * ["right"])


def _counts(counted: Size) -> list[str]:
    numbers = (counted.trained, counted.served, counted.encoder_dim, counted.stored_dim)
    return ["–" if number is None else f"{number:,}" for number in numbers]


def _needs(plugin: Plugin) -> str:
    return "<br>".join(
        f"{f'`{choice}`: ' if choice else ''}{', '.join(need.value for need in Need if need in needs) or 'nothing'}"
        for choice, needs in needs_by_choice(plugin).items()
    )


def _paper(plugin: Plugin) -> str:
    return link_arxiv(escape(plugin.summary))


def _section(plugin: Plugin) -> str:
    source = f"Source: [methods/{plugin.path.name}](../methods/{plugin.path.name})."
    docstring = docstring_markdown(plugin.cls.__doc__ or "")
    return f"### {plugin.name}\n\n{docstring}\n\n{_parameters(plugin)} {source}"


def _parameters(plugin: Plugin) -> str:
    defaults = plugin.resolve({}).model_dump(mode="json")
    if not defaults:
        return "No parameters."
    return "Parameters and defaults: " + ", ".join(f"`{name} = {value}`" for name, value in defaults.items()) + "."


def _prose(line: str) -> str:
    """One line of text whose code spans stay, whose arXiv numbers are linked, and which is plain otherwise."""
    indent = line[: len(line) - len(line.lstrip())]
    bullet = "- " if line.lstrip().startswith("- ") else ""
    parts = CODE_SPAN.split(line[len(indent) + len(bullet) :])
    return indent + bullet + "".join(part if part.startswith("`") else link_arxiv(_escape_line(part)) for part in parts)


def _escape_line(text: str) -> str:
    """`escape` that keeps the spaces at both ends."""
    if not text.strip():
        return text
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return before + escape(text.strip()) + after
