"""Executors: run a plan's cells, and make each end as exactly one record."""
