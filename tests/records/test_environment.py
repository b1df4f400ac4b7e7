"""What a record says of where it was made, and what it must not say."""

from __future__ import annotations

import getpass
import os
import platform
import socket
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from compatbench.records import environment as module
from compatbench.records.environment import device, environment, fix_gpu_arithmetic


def test_versions_and_hardware_are_those_of_this_process() -> None:
    here = environment()
    assert here.python == platform.python_version()
    assert here.packages["torch"] == version("torch")
    assert {"torch", "timm", "numpy", "faiss-cpu"} <= here.packages.keys()
    assert here.cpu
    assert f"torch {torch.backends.cpu.get_cpu_capability()}" in here.instruction_sets
    assert here.cpu_threads == torch.get_num_threads()
    assert (here.gpu is None) == (device().type == "cpu")


def test_processors_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    told = (
        "vendor_id : AuthenticAMD\ncpu family : 25\nmodel : 1\nmodel name : AMD EPYC\nflags : fpu avx avx2 fma sse4_2\n"
    )
    second = "\nvendor_id : other\n"
    monkeypatch.setattr(module.Path, "read_text", lambda path, **how: told + second)
    assert (module.cpu_name(), module.cpu_kind()) == ("AMD EPYC", "vendor AuthenticAMD, family 25, model 1")
    assert module.instruction_sets()[:-1] == ["avx", "avx2", "fma", "sse4_2"]
    monkeypatch.setattr(module.Path, "read_text", lambda path, **how: "")
    assert module.cpu_kind() is None
    assert module.cpu_name()


def test_no_machine_person_or_folder_is_named() -> None:
    said = environment().model_dump_json()
    for private in (socket.gethostname(), str(Path.home()), str(Path.cwd()), f'"{getpass.getuser()}"'):
        assert private not in said


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository whose `src/compatbench/records/environment.py` the module believes to be."""
    file = tmp_path / "src" / "compatbench" / "records" / "environment.py"
    file.parent.mkdir(parents=True)
    file.touch()
    monkeypatch.setattr(module, "__file__", str(file))
    module._git.cache_clear()
    yield tmp_path
    module._git.cache_clear()


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True).stdout


def test_the_commit_and_whether_there_were_changes_beside_it(checkout: Path) -> None:
    git(checkout, "init")
    git(checkout, "add", ".")
    git(checkout, "commit", "-m", "one")
    clean = environment()
    assert clean.git_sha == git(checkout, "rev-parse", "HEAD").strip()
    assert clean.git_dirty is False
    (checkout / "new").touch()
    assert environment().git_dirty is False, "asked once for each process"
    module._git.cache_clear()
    assert environment().git_dirty is True


def test_an_installed_package_has_no_commit(checkout: Path) -> None:
    assert (environment().git_sha, environment().git_dirty) == (None, None)
    (checkout / ".git").mkdir()
    module._git.cache_clear()
    assert environment().git_sha is None, "a broken repository is none"


def test_a_gpu_is_told_to_add_in_one_order_and_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    try:
        fix_gpu_arithmetic()
        assert torch.are_deterministic_algorithms_enabled() == torch.cuda.is_available()
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        fix_gpu_arithmetic()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled(), "methods may use what has no fixed order"
        assert not torch.backends.cudnn.allow_tf32
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    finally:
        torch.use_deterministic_algorithms(False)
        os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)
