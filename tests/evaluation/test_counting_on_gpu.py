"""The kernel that counts on a GPU: its numbers in Triton's interpreter, and whether it compiles for two GPUs.

Each in a process of its own, since Triton decides at its import whether it interprets. On a GPU itself,
tests/evaluation/test_retrieval.py and scripts/gpu_check.py use it.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

NUMBERS = """
import torch
from compatbench.evaluation.counting_on_gpu import BLOCK, count_by_comparison

generator = torch.Generator().manual_seed(0)
for rows, items, relevant in (3, 5000, 7), (2, BLOCK, 1), (4, 100, 30), (1, BLOCK + 1, 2), (2, 10, 0):
    columns = torch.randn(rows, items + 13, generator=generator).round(decimals=1)  # many are equal, and 0.0 or -0.0
    scores, thresholds = columns[:, :items], torch.randn(rows, relevant, generator=generator).round(decimals=1)
    thresholds = thresholds.sort(dim=1).values
    found = count_by_comparison(scores, thresholds)
    for row in range(rows):
        for place in range(relevant):
            assert found[row, place] == sum(score >= thresholds[row, place] for score in scores[row].tolist())
print("equal")
"""

COMPILES = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from compatbench.evaluation.counting_on_gpu import BLOCK, _count

signature = {"scores": "*fp32", "thresholds": "*fp32", "ahead": "*i32"}
signature |= dict.fromkeys(("items", "stride", "relevant"), "i32") | {"BLOCK": "constexpr"}
for capability in 80, 90:
    made = triton.compile(ASTSource(_count, signature, {"BLOCK": BLOCK}), target=GPUTarget("cuda", capability, 32))
    print(len(made.asm["cubin"]))
"""


def said(program: str, interpret: str) -> str:
    environment = os.environ | {"TRITON_INTERPRET": interpret}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_counts_as_a_loop_does() -> None:
    assert said(NUMBERS, "1").strip() == "equal"


def test_it_compiles_for_an_a100_and_an_h100() -> None:
    assert all(int(size) > 1000 for size in said(COMPILES, "0").split())
