"""Processes, seeded random streams, threads: the machine of a cell."""
