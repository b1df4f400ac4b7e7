"""numpy's sort on Zen 4: whether the setting is made, and where."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compatbench.execution.cell import RunContext

ZEN4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nflags\t\t: avx2 avx512f\n\nprocessor\t: 1\n"


def setting(tmp_path: Path, cpuinfo: str, **variables: str) -> str:
    """NPY_DISABLE_CPU_FEATURES after `prefer_fast_sort` on a machine with this cpuinfo."""
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo)
    code = f"""
import os, pathlib
from compatbench.machine.vector_sort import prefer_fast_sort
prefer_fast_sort(pathlib.Path({str(file)!r}))
print(os.environ.get("NPY_DISABLE_CPU_FEATURES"))
"""
    inherited = {key: value for key, value in os.environ.items() if key != "NPY_DISABLE_CPU_FEATURES"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=inherited | variables, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_zen_4_is_told_apart(tmp_path: Path) -> None:
    assert setting(tmp_path, ZEN4) == "X86_V4 AVX512_ICL AVX512_SPR"


@pytest.mark.parametrize(
    "other",
    [
        ZEN4.replace("AuthenticAMD", "GenuineIntel"),
        ZEN4.replace(": 25", ": 26"),
        ZEN4.replace(" avx512f", ""),
        "processor\t: 0\nBogoMIPS\t: 50.00\n",
    ],
)
def test_other_machines_are_left_alone(tmp_path: Path, other: str) -> None:
    assert setting(tmp_path, other) == "None"


def test_what_the_user_set_stays(tmp_path: Path) -> None:
    assert setting(tmp_path, ZEN4, NPY_DISABLE_CPU_FEATURES="AVX512_SPR") == "AVX512_SPR"


@pytest.mark.parametrize("starts", ["cli.main", "execution.local.LocalExecutor"])
def test_it_is_made_where_processes_start(starts: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before the command line imports numpy, and for the processes that an executor starts."""
    made: list[bool] = []
    module, _, name = starts.rpartition(".")
    start = importlib.import_module(f"compatbench.{module}")
    monkeypatch.setattr(start, "prefer_fast_sort", lambda: made.append(True))
    monkeypatch.setattr(sys, "argv", ["compatbench", "--help"])
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(variable, "1")
    if name == "main":
        with pytest.raises(SystemExit):
            start.main()
    else:
        start.LocalExecutor(RunContext(tmp_path, tmp_path), 1, 60)
    assert made == [True]
