#!/usr/bin/env bash
# Runs a command with the arithmetic of an older processor: without AVX-512 where this one has it, else without AVX.
# Other kernels add in another order, so that what depends on the last bits, on the signs of eigenvectors or on ties
# comes out otherwise. Each library looks at a variable of its own when it is loaded.
#
#     scripts/older_processor.sh COMMAND …
set -euo pipefail
if grep -qw avx512f /proc/cpuinfo; then
  export ATEN_CPU_CAPABILITY=avx2 DNNL_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell # torch, oneDNN, OpenBLAS
  export NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL"                             # numpy
else
  export ATEN_CPU_CAPABILITY=default DNNL_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Nehalem
  export NPY_DISABLE_CPU_FEATURES=X86_V3
  export MKL_CBWR=COMPATIBLE # torch's linear algebra, which heeds no setting between this one and its best
fi
exec "$@"
