"""Executors: take a plan's cells and see to it that each ends as exactly one record."""
