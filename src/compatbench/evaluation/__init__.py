"""Evaluation: embeddings, labels and sample ids to numbers. Knows nothing of training.

`arrays`, `compatibility`, `curves`, `flips` and `statistics` work without torch, so that reports can use them.
"""
