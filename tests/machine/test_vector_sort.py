"""numpy's sort on Zen 4: whether the setting is made, and reaches numpy, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ZEN4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nflags\t\t: avx2 avx512f\n\nprocessor\t: 1\n"


def setting(tmp_path: Path, cpuinfo: str, first: str = "", **variables: str) -> str:
    """NPY_DISABLE_CPU_FEATURES after `prefer_fast_sort` on a machine with this cpuinfo."""
    file = tmp_path / "cpuinfo"
    file.write_text(cpuinfo)
    code = f"""
import importlib.util, os, sys, pathlib
{first}
spec = importlib.util.spec_from_file_location("vector_sort", {str(SOURCE)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.prefer_fast_sort(pathlib.Path({str(file)!r}))
print(os.environ.get("NPY_DISABLE_CPU_FEATURES"))
"""
    inherited = {key: value for key, value in os.environ.items() if key != "NPY_DISABLE_CPU_FEATURES"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=inherited | variables, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


SOURCE = Path(__file__).parents[2] / "src" / "compatbench" / "machine" / "vector_sort.py"


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


def test_nothing_is_set_where_numpy_is_there_already(tmp_path: Path) -> None:
    assert setting(tmp_path, ZEN4, first="import numpy") == "None"
