"""Numbers and intervals by row, from records."""
