"""Run the code cells of a notebook, and write what they show into it.

    python scripts/run_notebook.py docs/python.ipynb

One namespace, no kernel: enough for a page that is plain Python, and the tests run it alike.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any


def run_cells(notebook: dict[str, Any]) -> list[object]:
    """Fill in `outputs` of every code cell; returns the value of each cell's last expression, None without one."""
    names: dict[str, object] = {}
    shown = []
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(cells, start=1):
        tree, value, printed = ast.parse("".join(cell["source"])), None, io.StringIO()
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        with contextlib.redirect_stdout(printed):
            exec(compile(tree, "notebook", "exec"), names)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "notebook", "eval"), names)
        cell["execution_count"] = number
        cell["outputs"] = [*_printed(printed.getvalue()), *_value(value, number)]
        shown.append(value)
    return shown


def _printed(text: str) -> list[dict[str, Any]]:
    return [{"name": "stdout", "output_type": "stream", "text": text.splitlines(keepends=True)}] if text else []


def _value(value: Any, number: int) -> list[dict[str, Any]]:
    if value is None:
        return []
    data = {"text/plain": repr(value).splitlines(keepends=True)}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = value._repr_html_().splitlines(keepends=True)
    return [{"data": data, "execution_count": number, "metadata": {}, "output_type": "execute_result"}]


if __name__ == "__main__":
    path = Path(sys.argv[1])
    page = json.loads(path.read_text(encoding="utf-8"))
    run_cells(page)
    path.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
