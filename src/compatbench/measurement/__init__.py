"""Measures the models of a cell, for its record."""
