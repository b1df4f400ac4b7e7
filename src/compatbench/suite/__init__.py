"""Suites, scenarios and recipes: the description of a benchmark."""
