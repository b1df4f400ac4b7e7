"""Evaluation: embeddings, labels and sample ids to numbers. Knows nothing of training.

`arrays`, `compatibility`, `flips` and `statistics` work without torch, so that reports can use them.
"""
