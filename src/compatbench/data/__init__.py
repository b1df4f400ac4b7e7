"""Datasets: one file a family, all of them images with class labels and sample ids in memory."""
