"""The formats of embeddings in files: one reader a format, and a registry by the ending of the file's name."""
