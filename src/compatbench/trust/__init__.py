"""Trust in results: check records against their per-query arrays, publish them, and run them again."""
