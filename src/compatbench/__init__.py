"""CompatBench: one protocol and one leaderboard for backward-compatible embeddings.

    import compatbench as cb
    cb.compare(old, new, labels=labels).verdict
    cb.fit("procrustes", old, new).query(queries)

These names are imported when they are first used, so that the package itself costs no time. `__init__.pyi` types them.
"""

__version__ = "0.1.0"

PROTOCOL_VERSION = 2
"""Version of docs/protocol.md that every record carries; records of two versions never share a table."""

_PUBLIC = {
    "Result": "compatbench.comparison.api.result",
    "RequestError": "compatbench.errors",
    "ServingAdapter": "compatbench.comparison.api.serving_adapter",
    "compare": "compatbench.comparison.api.functions",
    "fit": "compatbench.comparison.api.functions",
    "load": "compatbench.comparison.api.functions",
}
"""The module of each public name."""


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'compatbench' has no attribute '{name}'")
    from importlib import import_module

    globals()[name] = value = getattr(import_module(_PUBLIC[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
