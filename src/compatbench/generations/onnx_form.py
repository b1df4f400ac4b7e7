"""A formula as an ONNX file, for onnxruntime and other servers. Needs the extra `onnx`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compatbench.errors import RequestError, check_installed
from compatbench.generations.formula import Formula, Step
from compatbench.storage.files import whole_file

OPSET, IR_VERSION = 17, 8
"""Of mid-2022: what servers of the last years read."""

NAMES = {
    "matmul": "MatMul",
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "neg": "Neg",
    "relu": "Relu",
    "acos": "Acos",
    "sin": "Sin",
    "cos": "Cos",
}
"""Operations that ONNX has with the same inputs."""


def write_onnx(formula: Formula, path: Path, side: str, what: str) -> None:
    """Write the graph `side` with the formula's inputs and the output `mapped`.

    Raises RequestError where the package is missing.
    """
    check_installed("onnx", "an ONNX file (unlike --numpy)", "onnx")
    import onnx

    graph = _Graph(formula)
    for step in formula.steps:
        graph.add(step)
    vectors = onnx.TensorProto.FLOAT
    helper: Any = onnx.helper
    made = helper.make_graph(
        [*graph.nodes, helper.make_node("Identity", [formula.result], ["mapped"])],
        side,
        [helper.make_tensor_value_info(name, vectors, ["N", dim]) for name, dim in formula.inputs.items()],
        [helper.make_tensor_value_info("mapped", vectors, ["N", formula.dim])],
        [onnx.numpy_helper.from_array(value, name) for name, value in graph.constants.items()],
    )
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="compatbench",
        doc_string=what,
    )
    onnx.checker.check_model(model, full_check=True)
    with whole_file(path) as file:
        file.write_bytes(model.SerializeToString())


class _Graph:
    def __init__(self, formula: Formula) -> None:
        self.constants: dict[str, NDArray[Any]] = dict(formula.constants)
        self.nodes: list[Any] = []

    def add(self, step: Step) -> None:
        """The nodes of one step, the last of which has its name."""
        *inner, (name, inputs, attributes) = self._nodes(step)
        for number, (kind, given, options) in enumerate(inner):
            self._node(kind, given, f"{step.name}_{number}", options)
        self._node(name, inputs, step.name, attributes)

    def _node(self, kind: str, inputs: list[str], output: str, attributes: dict[str, Any]) -> None:
        import onnx

        self.nodes.append(onnx.helper.make_node(kind, inputs, [output], **attributes))

    def _constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"n{len(self.constants) + 1}"
        self.constants[name] = np.asarray(value, dtype=dtype)
        return name

    def _nodes(self, step: Step) -> Iterator[tuple[str, list[str], dict[str, Any]]]:
        """Kinds, inputs and attributes; all but the last are named `step_0`, `step_1` …"""
        x, options, name = list(step.inputs), step.options, step.name
        match step.operation:
            case plain if plain in NAMES:
                yield NAMES[plain], x, {}
            case "square":
                yield "Mul", [x[0], x[0]], {}
            case "length":
                yield "ReduceL2", x, {"axes": [1], "keepdims": 1}
            case "unit":
                yield "ReduceL2", x, {"axes": [1], "keepdims": 1}
                yield "Max", [f"{name}_0", self._constant(1e-12)], {}
                yield "Div", [x[0], f"{name}_1"], {}
            case "gelu":
                yield "Mul", [x[0], self._constant(1 / math.sqrt(2))], {}
                yield "Erf", [f"{name}_0"], {}
                yield "Add", [f"{name}_1", self._constant(1)], {}
                yield "Mul", [x[0], f"{name}_2"], {}
                yield "Mul", [f"{name}_3", self._constant(0.5)], {}
            case "sum":
                axes = self._constant([options["dim"]], np.int64)
                yield "ReduceSum", [x[0], axes], {"keepdims": int(options["keepdim"])}
            case "softmax":
                yield "Softmax", x, {"axis": options["dim"]}
            case "clip":
                yield "Clip", [x[0], self._constant(options["low"]), self._constant(options["high"])], {}
            case "unsqueeze":
                yield "Unsqueeze", [x[0], self._constant([options["dim"]], np.int64)], {}
            case "concatenate":
                yield "Concat", x, {"axis": options["dim"]}
            case "einsum":
                yield "Einsum", x, {"equation": options["equation"]}
            case other:
                raise RequestError(f"ONNX has no '{other}'")
