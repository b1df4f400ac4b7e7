"""Lets `python -m compatbench` do what the command does."""

from compatbench.cli import main

main()
