"""Keeps numpy from the slower of its two vectorised sorts; scoring spends most of its time sorting."""

import os
from pathlib import Path


def prefer_fast_sort(cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """On AMD's Zen 4, let numpy use AVX2 instead of AVX-512: its sorts are then four times as fast.

    On that family compressing stores are done in microcode, and the AVX-512 sort consists of them
    (github.com/numpy/x86-simd-sort/issues/6). numpy reads the setting once, when it is imported: the command line
    calls this before, and the executor for the processes that it starts. What the user has set stays. The results are
    the same either way.
    """
    if not cpuinfo.is_file():
        return
    first_cpu = cpuinfo.read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0]
    facts = dict(line.split(":", 1) for line in first_cpu.replace("\t", "").splitlines() if ":" in line)
    family = (facts.get("vendor_id", "").strip(), facts.get("cpu family", "").strip())
    if family == ("AuthenticAMD", "25") and "avx512f" in facts.get("flags", "").split():
        os.environ.setdefault("NPY_DISABLE_CPU_FEATURES", "X86_V4 AVX512_ICL AVX512_SPR")
