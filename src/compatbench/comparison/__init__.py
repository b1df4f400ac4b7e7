"""Two models, or two matrices: which adapter keeps the index, its gain, and the gain of a backfill."""
