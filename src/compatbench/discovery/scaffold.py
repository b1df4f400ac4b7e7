"""Writes a first method file; it keeps the contract."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from compatbench.discovery.finding import PLUGIN_NAME
from compatbench.discovery.plugins import known_methods
from compatbench.errors import RequestError


def new_method(name: str, folder: Path) -> Path:
    """Write `folder/name.py` from the template and return its path.

    Raises RequestError for a name that is not valid or already taken, and for a file that exists.
    """
    if not PLUGIN_NAME.fullmatch(name):
        raise RequestError(f"'{name}' is no valid name: use lower-case letters, digits and _, such as my_method")
    path = folder / f"{name}.py"
    if path.exists():
        raise RequestError(f"{path} exists; choose another name, or delete the file")
    taken = known_methods([folder] if folder.is_dir() else []).paths.get(name)
    if taken is not None:
        raise RequestError(f"the name '{name}' is taken by {taken}; choose another")
    template = files("compatbench.discovery").joinpath("method_template.txt").read_text(encoding="utf-8")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(template.replace("{name}", name).replace("{class}", class_name), encoding="utf-8")
    return path
