"""Two models, or two matrices: which adapter keeps the index, what it gains, and what a backfill would gain."""
