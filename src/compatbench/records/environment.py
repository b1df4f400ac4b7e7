"""The environment of a cell: versions, hardware and the state of the checkout, without names of machine or person."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from compatbench.records.parts import Environment

RECORDED_PACKAGES = ("compatbench", "torch", "timm", "numpy", "faiss-cpu", "scipy")


def device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fix_gpu_arithmetic() -> None:
    """Make this process's GPU add in one order and keep all bits of float32; to be called before its first use."""
    if not torch.cuda.is_available():
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else a product may differ from run to run
    torch.use_deterministic_algorithms(True, warn_only=True)  # an operation that has no fixed order says so in the log
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.allow_tf32 = False


def environment() -> Environment:
    """The environment of this process, for a record."""
    sha, dirty = _git()
    return Environment(
        python=platform.python_version(),
        packages={name: found for name in RECORDED_PACKAGES if (found := _version(name)) is not None},
        cpu=cpu_name(),
        cpu_kind=cpu_kind(),
        instruction_sets=instruction_sets(),
        cpu_threads=torch.get_num_threads(),
        gpu=gpu_name(),
        git_sha=sha,
        git_dirty=dirty,
    )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def gpu_name() -> str | None:
    """Model name of the GPU; None if there is none."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None


def cpu_name() -> str:
    """Model name of the processor; its architecture if the system does not tell."""
    return _processor().get("model name") or platform.processor() or platform.machine()


def cpu_kind() -> str | None:
    """Vendor, family and model of the processor; None if the system does not tell."""
    told = [f"{word} {found}" for key, word in _KIND.items() if (found := _processor().get(key))]
    return ", ".join(told) or None


def instruction_sets() -> list[str]:
    """Instruction sets of the processor that change how numbers are added, and what torch makes of them."""
    flags = _processor().get("flags") or _processor().get("Features") or ""
    used = f"torch {torch.backends.cpu.get_cpu_capability()}"
    return [*(flag for flag in sorted(flags.split()) if _COUNTS.match(flag)), used]


_KIND = {
    "vendor_id": "vendor",
    "cpu family": "family",
    "model": "model",
    "CPU implementer": "implementer",
    "CPU part": "part",
    "CPU variant": "variant",
}
_COUNTS = re.compile(r"(avx2?|fma|f16c|sse4_2|avx512(f|dq|_bf16|_fp16|_vnni)|amx.*|asimd.*|sve.*|bf16|i8mm)$")


def _processor() -> dict[str, str]:
    """What Linux says of the first processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8").strip().partition("\n\n")[0]
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


@functools.cache
def _git() -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the checkout that this package runs from; None where it is installed."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None, None
    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return None, None
    sha = re.search(r"^# branch.oid (\w+)$", said, re.MULTILINE)
    return sha and sha[1], any(not line.startswith("#") for line in said.splitlines())
