"""Makes `python -m compatbench` work like the command `compatbench`."""

from compatbench.cli import main

main()
