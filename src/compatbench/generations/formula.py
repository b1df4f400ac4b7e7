"""A fitted map as a list of array operations, for machines without torch.

The map's modules are traced by `torch.fx`; what does not depend on the vectors is computed, and becomes a constant.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from compatbench.errors import RequestError, first_line
from compatbench.generations.adapters import FittedAdapter
from compatbench.method import to_dim
from compatbench.vocabulary import Need

EXAMPLES = 3


@dataclass(frozen=True)
class Step:
    """One operation on earlier results, inputs and constants, by their names."""

    name: str
    operation: str
    """One of those that `compatbench.generations.numpy_form` writes."""
    inputs: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Formula:
    """Vectors (N, D) in, vectors (N, D') out."""

    inputs: Mapping[str, int]
    """D by name: `new`, `old` or both."""
    dim: int
    """D'."""
    steps: tuple[Step, ...]
    constants: Mapping[str, NDArray[np.float32]]
    result: str
    """The name of the step that gives them."""


def formula_of(adapter: FittedAdapter, side: str = "query", *, lengths: bool = False) -> Formula:
    """What `adapter.query`, `.gallery` or `.new` computes, with `lengths` as `FittedAdapter.with_length` gives them.

    Raises RequestError, saying why, where that are no array operations.
    """
    inputs = {"old": adapter.old_dim} if side == "gallery" else {"new": adapter.dim}
    both = side != "gallery" and Need.BOTH_ENCODERS_ONLINE in adapter.needs
    if both:
        inputs["old"] = adapter.old_dim
    served = (
        _Rewritten(adapter) if side == "gallery" else (_MappedWithOld if both else _Mapped)(adapter, side == "query")
    )
    try:
        with torch.no_grad():
            graph = fx.GraphModule(served, _Tracer().trace(served.eval()))
            translation = _Translation(graph, inputs)
            result = translation.translate()
    except (NotImplementedError, fx.proxy.TraceError, TypeError, ValueError, RuntimeError) as error:
        raise RequestError(
            f"method '{adapter.plugin.name}' cannot be exported, since its map is more than array operations "
            f"({first_line(error)}); serve it by compatbench.load"
        ) from error
    name = translation.result
    if lengths:
        of_query = side == "query"
        length = (
            translation.constant(adapter.usual_length) if of_query else translation.add("length", next(iter(inputs)))
        )
        name = translation.add("mul", name, length)
    return Formula(inputs, result.shape[1], tuple(translation.steps), translation.constants, name)


class _Mapped(nn.Module):
    """New vectors, mapped by `new` and then by `query`, as FittedAdapter maps them."""

    def __init__(self, adapter: FittedAdapter, to_old: bool) -> None:
        super().__init__()
        wanted = [adapter.maps.new, *([adapter.maps.query] if to_old else [])]
        self.maps = nn.ModuleList([one for one in wanted if one is not None])
        self.dim = adapter.gallery(torch.ones(1, adapter.old_dim)).shape[1] if to_old else None

    def forward(self, new: Tensor) -> Tensor:
        return self._mapped(new)

    def _mapped(self, new: Tensor, *old: Tensor) -> Tensor:
        found = F.normalize(new)
        for one in self.maps:
            found = F.normalize(one(found, *map(F.normalize, old)))
        return found if self.dim is None else F.normalize(to_dim(found, self.dim))


class _MappedWithOld(_Mapped):
    def forward(self, new: Tensor, old: Tensor) -> Tensor:  # type: ignore[override]
        return self._mapped(new, old)


class _Rewritten(nn.Module):
    def __init__(self, adapter: FittedAdapter) -> None:
        super().__init__()
        self.map = adapter.maps.gallery or nn.Identity()

    def forward(self, old: Tensor) -> Tensor:
        return F.normalize(self.map(F.normalize(old)))


class _Tracer(fx.Tracer):
    """`to_dim` asks for a shape, which a trace does not know: it is one operation."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=(to_dim,))

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _MODULES


class _Translation(fx.Interpreter):
    """Runs the graph on a few vectors, and notes what each operation is."""

    def __init__(self, graph: fx.GraphModule, inputs: Mapping[str, int]) -> None:
        super().__init__(graph)
        self.sizes = inputs
        self.steps: list[Step] = []
        self.constants: dict[str, NDArray[np.float32]] = {}
        self.names: dict[fx.Node, str] = {}
        """Of what depends on the vectors."""
        self.result = ""
        """The name of the output."""

    def translate(self) -> Tensor:
        """Note all steps; returns the result of the examples."""
        generator = torch.Generator().manual_seed(0)
        result: Tensor = self.run(*(torch.randn(EXAMPLES, size, generator=generator) for size in self.sizes.values()))
        return result

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if n.op == "placeholder":
            if value is not None:
                self.names[n] = str(n.target)
        elif n.op == "output":
            self.result = self.operand(n.args[0])
        elif any(one in self.names for one in n.all_input_nodes):
            self.names[n] = self._note(n)
        return value

    def _note(self, n: fx.Node) -> str:
        if n.op == "call_module":
            module = self.fetch_attr(str(n.target))
            return _MODULES[type(module)](self, module, self.operand(n.args[0]))
        key = n.target if n.op == "call_method" else getattr(n.target, "__name__", "")
        if key not in _CALLS:
            raise NotImplementedError(f"no array operation '{key}'")
        return _CALLS[str(key)](self, n, *n.args, **n.kwargs)

    def add(self, operation: str, *inputs: str, **options: Any) -> str:
        """Note one step; returns its name. Unit vectors are not scaled again."""
        if operation == "unit" and any(one.name == inputs[0] and one.operation == "unit" for one in self.steps):
            return inputs[0]
        name = f"v{len(self.steps) + 1}"
        self.steps.append(Step(name, operation, inputs, options))
        return name

    def constant(self, value: Any) -> str:
        """Note a number or a tensor that does not depend on the vectors; returns its name."""
        name = f"c{len(self.constants) + 1}"
        array = value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
        self.constants[name] = np.ascontiguousarray(array, dtype=np.float32)
        return name

    def operand(self, value: Any) -> str:
        """The name of an argument of an operation."""
        if isinstance(value, fx.Node):
            return self.names[value] if value in self.names else self.constant(self.env[value])
        return self.constant(value)


def _linear(notes: _Translation, module: Any, x: str) -> str:
    found = notes.add("matmul", x, notes.constant(module.weight.T))
    return found if module.bias is None else notes.add("add", found, notes.constant(module.bias))


def _batch_norm(notes: _Translation, module: Any, x: str) -> str:
    scale = module.weight / (module.running_var + module.eps).sqrt()
    scaled = notes.add("mul", x, notes.constant(scale))
    return notes.add("add", scaled, notes.constant(module.bias - module.running_mean * scale))


_MODULES: dict[type[nn.Module], Callable[[_Translation, Any, str], str]] = {
    nn.Linear: _linear,
    nn.BatchNorm1d: _batch_norm,
    nn.ReLU: lambda notes, module, x: notes.add("relu", x),
    nn.GELU: lambda notes, module, x: notes.add("gelu", x),
    nn.Identity: lambda notes, module, x: x,
}


def _plain(operation: str) -> Callable[..., str]:
    return lambda notes, n, *operands: notes.add(operation, *map(notes.operand, operands))


def _sum(notes: _Translation, n: fx.Node, x: fx.Node, dim: int, keepdim: bool = False) -> str:
    return notes.add("sum", notes.operand(x), dim=dim, keepdim=keepdim)


def _normalize(notes: _Translation, n: fx.Node, x: fx.Node, p: float = 2, dim: int = 1, **_: Any) -> str:
    if (p, dim) != (2, 1):
        raise NotImplementedError("normalize in another way than to unit length")
    return notes.add("unit", notes.operand(x))


def _to_dim(notes: _Translation, n: fx.Node, x: fx.Node, dim: int) -> str:
    size = notes.env[x].shape[1]
    found = notes.operand(x)
    return found if size == dim else notes.add("matmul", found, notes.constant(torch.eye(size, dim)))


def _getitem(notes: _Translation, n: fx.Node, x: fx.Node, places: Any) -> str:
    found = notes.operand(x)
    for dim, place in enumerate(places):
        if place is None:
            found = notes.add("unsqueeze", found, dim=dim)
        elif place != slice(None):
            raise NotImplementedError("a part of a vector")
    return found


def _gelu(notes: _Translation, n: fx.Node, x: fx.Node, approximate: str = "none") -> str:
    if approximate != "none":
        raise NotImplementedError("an approximate GELU")
    return notes.add("gelu", notes.operand(x))


_CALLS: dict[str, Callable[..., str]] = {
    **{name: _plain(name) for name in ("add", "sub", "mul", "matmul", "neg", "relu", "acos", "sin", "cos", "square")},
    operator.truediv.__name__: _plain("div"),
    "normalize": _normalize,
    "gelu": _gelu,
    "to_dim": _to_dim,
    "getitem": _getitem,
    "sum": _sum,
    "softmax": lambda notes, n, x, dim: notes.add("softmax", notes.operand(x), dim=dim),
    "clamp": lambda notes, n, x, low, high: notes.add("clip", notes.operand(x), low=low, high=high),
    "cat": lambda notes, n, parts, dim=0: notes.add("concatenate", *map(notes.operand, parts), dim=dim),
    "einsum": lambda notes, n, text, *x: notes.add("einsum", *map(notes.operand, x), equation=text),
}
"""By the name of a function or of a tensor's method."""
