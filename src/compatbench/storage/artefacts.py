"""Artefacts: tensors named by the hash of all they depend on, made once and shared by every cell."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from compatbench.machine import processes
from compatbench.storage.files import remove_leftovers, whole_file

Notify = Callable[[str], None]
Made = TypeVar("Made")
Reader = Callable[[Path], tuple[Made | None, str]]
"""What is at a path, or None and what is wrong with it: nothing where there is no file."""
Waiting = Callable[[float], None]
"""Called at once and then now and then by a process that waits for what another one makes, with the seconds that it has
waited; may raise to go away."""
WAITING_SECONDS = 5.0


def nobody_waits(seconds: float) -> None:
    """The `Waiting` that tells nobody."""


@dataclass
class Artefact:
    """Named tensors (on the CPU once stored), and JSON-serialisable facts about them."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any] = field(default_factory=dict)


def get_or_make(folder: Path, name: str, make: Callable[[], Artefact], notify: Notify = lambda line: None) -> Artefact:
    """The artefact `name` in `folder`; made, and stored, if it is missing or damaged.

    A lock lets only one process make it, while the others wait and then read. Raises what `make` raises.
    """
    path = folder / f"{name}.safetensors"
    return made_once(path, read_artefact, lambda: _written(path, make()), notify)


def get_or_make_together(
    folder: Path,
    name: str,
    make: Callable[[], Artefact],
    notify: Notify = lambda line: None,
    waiting: Waiting = nobody_waits,
) -> Artefact:
    """`get_or_make` by all processes that train together, if `make` needs all of them; see `made_together`."""
    path = folder / f"{name}.safetensors"
    return made_together(path, read_artefact, lambda: _written(path, make()), make, notify, waiting)


def made_once(
    path: Path, read: Reader[Made], make: Callable[[], Made], notify: Notify, waiting: Waiting = nobody_waits
) -> Made:
    """The content of `path`, by `read`; if there is none, `make` writes it while other processes wait."""
    found, _ = read(path)
    if found is not None:
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, waiting):
        remove_leftovers(path)
        found, problem = read(path)
        if found is None:
            if problem:
                notify(f"{path.name} is damaged ({problem}); making it again")
            found = make()
    return found


@contextmanager
def _locked(path: Path, waiting: Waiting) -> Iterator[None]:
    lock = FileLock(path.parent / f".{path.stem}.lock")
    patience, begun = 0.0, time.monotonic()
    while True:
        try:
            lock.acquire(timeout=patience)
            break
        except Timeout:
            waiting(time.monotonic() - begun)
            patience = WAITING_SECONDS
    try:
        yield
    finally:
        lock.release()


def made_together(
    path: Path,
    read: Reader[Made],
    make: Callable[[], Made],
    assist: Callable[[], object],
    notify: Notify,
    waiting: Waiting = nobody_waits,
) -> Made:
    """`made_once` by all processes that train together: the others `assist` while the first makes.

    The first alone looks, locks and writes; the others have what it wrote. Raises RuntimeError in a process that
    cannot read that.
    """

    def make_together() -> Made:
        processes.agree(True)
        return make()

    if processes.is_first():
        found = made_once(path, read, make_together, notify, waiting)
        processes.agree(False)
        return found
    while processes.agree(False):
        assist()
    seen, problem = read(path)
    if seen is None:
        name = path.stem
        raise RuntimeError(f"{name} was stored by the first process, but {problem or 'is not here'}: share one disk")
    return seen


def _written(path: Path, artefact: Artefact) -> Artefact:
    write_artefact(path, artefact)
    return artefact


def tensors_hash(tensors: dict[str, Tensor]) -> str:
    """Sha256 (hex) over names, shapes, types and bytes."""
    state = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        state.update(f"{name}:{tuple(value.shape)}:{value.dtype};".encode())
        state.update(value.reshape(-1).numpy().tobytes())
    return state.hexdigest()


def _content_hash(tensors: dict[str, Tensor], facts: str) -> str:
    return hashlib.sha256(f"{tensors_hash(tensors)};{facts}".encode()).hexdigest()


def write_artefact(path: Path, artefact: Artefact) -> None:
    """Write `artefact` at `path`, whole or not at all, with the hash of its content."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in artefact.tensors.items()}
    facts = json.dumps(artefact.facts)
    metadata = {"facts": facts, "sha256": _content_hash(tensors, facts)}
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def read_artefact(path: Path) -> tuple[Artefact | None, str]:
    """The artefact at `path`, or None and the reason; no reason if there is no file."""
    if not path.exists():
        return None, ""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if "sha256" not in metadata:
            return None, "it has no hash of its content"
        if metadata["sha256"] == _content_hash(tensors, metadata["facts"]):
            return Artefact(tensors, json.loads(metadata["facts"])), ""
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RecursionError) as error:
        return None, str(error)
    return None, "its content does not match its hash"
