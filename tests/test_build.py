"""What the build makes of `counting.c`, with and without a C compiler, in copies of the files that it reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from compatbench.evaluation.compiled import Compiled, library_path

ROOT = Path(__file__).parents[1]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The build's own files, and of the package the module that counts; with a library of an older source."""
    for name in ("hatch_build.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    package = tmp_path / "src" / "compatbench"
    (package / "evaluation").mkdir(parents=True)
    for name in ("__init__.py", "evaluation/counting.c", "evaluation/counting.py"):
        shutil.copy(ROOT / "src" / "compatbench" / name, package / name)
    (package / "evaluation" / "counting-0123456789ab.so").write_bytes(b"stale")
    for name in ("methods", "benchmarks"):
        (tmp_path / name).mkdir()
    return tmp_path


def wheel(folder: Path, compiler: str) -> Path:
    """Build one in `folder`."""
    environment = {**os.environ, "CC": compiler}
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", "made"]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    (made,) = (folder / "made").iterdir()
    return made


def libraries(made: Path) -> list[str]:
    with zipfile.ZipFile(made) as archive:
        return [name for name in archive.namelist() if name.endswith(".so")]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_wheel_contains_the_library_that_its_source_is_looked_for_by(copy: Path, tmp_path: Path) -> None:
    made = wheel(copy, "cc")
    assert libraries(made) == [f"compatbench/evaluation/{library_path().name}"]
    assert made.name.startswith("compatbench-0.1.0-py3-none-")
    assert "none-any" not in made.name
    with zipfile.ZipFile(made) as archive:
        assert "compatbench/evaluation/counting.c" in archive.namelist()
        assert Compiled(Path(archive.extract(libraries(made)[0], tmp_path / "installed")))


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_or_with_a_broken_one_the_wheel_is_for_every_system(copy: Path, compiler: str) -> None:
    made = wheel(copy, compiler)
    assert libraries(made) == []
    assert made.name == "compatbench-0.1.0-py3-none-any.whl"
