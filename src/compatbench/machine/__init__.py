"""Processes, seeded random streams, threads: the machine that a cell runs on."""
