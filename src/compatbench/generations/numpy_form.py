"""A formula as a short Python file on numpy alone, with its constants in a .npz beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compatbench.generations.formula import Formula, Step
from compatbench.storage.files import whole_file

TEMPLATES = {
    "matmul": "{0} @ {1}",
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "relu": "np.maximum({0}, 0)",
    "acos": "np.arccos({0})",
    "sin": "np.sin({0})",
    "cos": "np.cos({0})",
    "square": "{0} ** 2",
    "unit": "unit({0})",
    "gelu": "gelu({0})",
    "softmax": "softmax({0}, {dim})",
    "sum": "{0}.sum(axis={dim}, keepdims={keepdim})",
    "clip": "np.clip({0}, {low}, {high})",
    "unsqueeze": "np.expand_dims({0}, {dim})",
    "concatenate": "np.concatenate([{all}], axis={dim})",
    "einsum": 'np.einsum("{equation}", {all})',
    "length": "np.linalg.norm({0}, axis=1, keepdims=True)",
}
"""Python for each operation."""

HELPERS = {
    "unit": """def unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
""",
    "softmax": """def softmax(x, axis):
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)
""",
    "gelu": """def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf, otypes=[np.float32])(x / math.sqrt(2)))
""",
}


def write_numpy(formula: Formula, path: Path, side: str, what: str) -> None:
    """Write the function `side` into `path`, and its constants beside it; `what` is said in its first line."""
    with whole_file(path.with_suffix(".npz")) as file, file.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **formula.constants)
    with whole_file(path) as file:
        file.write_text(_source(formula, path.with_suffix(".npz").name, side, what), encoding="utf-8")


def _source(formula: Formula, constants: str, side: str, what: str) -> str:
    used = [name for name in HELPERS if any(step.operation == name for step in formula.steps)]
    shapes = ", ".join(f"{name} (N, {dim})" for name, dim in formula.inputs.items())
    lines = [
        f'"""{what} Needs numpy alone, and {constants} beside it."""',
        "",
        *(["import math"] if "gelu" in used else []),
        "from pathlib import Path",
        "",
        "import numpy as np",
        "",
        f'C = np.load(Path(__file__).with_name("{constants}"))',
        "C = {name: C[name] for name in C.files}",
        "",
        "",
        *(f"{HELPERS[name]}\n" for name in used),
        f"def {side}({', '.join(formula.inputs)}):",
        f'    """{shapes}, arrays of float32, to (N, {formula.dim})."""',
        *(f"    {step.name} = {_python(step)}" for step in formula.steps),
        f"    return {formula.result}",
    ]
    return "\n".join(lines) + "\n"


def _python(step: Step) -> str:
    names = [f'C["{name}"]' if name.startswith("c") else name for name in step.inputs]
    return TEMPLATES[step.operation].format(*names, all=", ".join(names), **step.options)
