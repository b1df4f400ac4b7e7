"""The timings are those of the command line, which makes this setting before numpy is imported."""

from compatbench.machine.vector_sort import prefer_fast_sort

prefer_fast_sort()
