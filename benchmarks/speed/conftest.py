"""compatbench comes before numpy, for the setting that it makes (see compatbench.machine.vector_sort)."""

import compatbench  # noqa: F401
