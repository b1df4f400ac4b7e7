r"""A table as LaTeX for papers: booktabs, everything escaped. Needs `\usepackage{booktabs,amssymb,graphicx}`."""

from __future__ import annotations

from compatbench.errors import one_line
from compatbench.report.render.table import Column, Table, TableCell, interval, value

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "*": r"\(*\)",
    "−": r"\(-\)",
    "–": "--",
    "`": r"\textasciigrave{}",
    "…": r"\dots{}",
    "÷": r"\(\div\)",
    "×": r"\(\times\)",
    "±": r"\(\pm\)",
    "≤": r"\(\leq\)",
    "≥": r"\(\geq\)",
    "→": r"\(\to\)",
    "Γ": r"\(\Gamma\)",
    "†": r"\(\dagger\)",
    "‡": r"\(\ddagger\)",
    "§": r"\S{}",
    "β": r"\(\beta\)",
    "▼": r"\(\blacktriangledown\)",
    "✓": r"\(\checkmark\)",
    "✗": r"\(\times\)",
    "·": r"\(\cdot\)",
}


def to_latex(table: Table) -> str:
    """`table` as a `table*` float, as wide as the page; the footnotes stand under it."""
    width = len(table.columns)
    lines = [
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escape(table.title)}. {escape(table.caption)}}}",
        rf"\label{{tab:{table.name}}}",
        r"\resizebox{\textwidth}{!}{%",
        rf"\begin{{tabular}}{{{''.join(column.align[0] for column in table.columns)}}}",
        r"\toprule",
        " & ".join(escape(column.title) for column in table.columns) + r" \\",
    ]
    for group in table.groups:
        lines += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\textit{{{escape(group.title)}}}}} \\"]
        for row in group.rows:
            lines.append(" & ".join(_cell(row.cell(column), column) for column in table.columns) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}}"]
    lines += [rf"\par\footnotesize {escape(mark)} {escape(text)}" for mark, text in table.footnotes.items()]
    return "\n".join([*lines, r"\end{table*}"]) + "\n"


def escape(text: str) -> str:
    """Escape plain text for LaTeX."""
    return "".join(_SPECIAL.get(character, character) for character in one_line(text))


def _cell(cell: TableCell, column: Column) -> str:
    text = escape(value(cell, column.unit))
    if text.startswith("["):
        text = f"{{{text}}}"  # the `\\` before it would take a bracket as its own
    if cell.bold:
        text = rf"\textbf{{{text}}}"
    limits = interval(cell, column.unit)
    if limits:
        text += rf" {{\scriptsize {escape(limits)}}}"
    marks = ", ".join(map(escape, cell.marks))
    return text + (rf" \textsuperscript{{{marks}}}" if marks else "")
