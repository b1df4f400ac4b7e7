"""Embeddings straight from a vector database, each by its own client, in pages."""
