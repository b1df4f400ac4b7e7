"""The arithmetic of an older processor is another one, in torch and in numpy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import numpy as np, torch
from threadpoolctl import threadpool_info
matrix = np.random.default_rng(0).normal(size=(200, 300))
kernels = sorted(one["architecture"] for one in threadpool_info() if one["internal_api"] == "openblas")
print(torch.backends.cpu.get_cpu_capability())
print(kernels, (matrix @ matrix.T).tobytes().hex())
"""


CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPUINFO.exists() or "avx2" not in CPUINFO.read_text(), reason="a processor without AVX2")
def test_torch_and_openblas_take_other_kernels() -> None:
    plain, older = (
        subprocess.run([*words, sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        for words in ([], [str(ROOT / "scripts" / "older_processor.sh")])
    )
    for line, other in zip(plain.stdout.splitlines(), older.stdout.splitlines(), strict=True):
        assert line != other
    assert older.stderr == "", "numpy knows the features that it is to do without"
