"""Tables, plots and pages from records. Knows records and per-query arrays, and nothing of torch."""
