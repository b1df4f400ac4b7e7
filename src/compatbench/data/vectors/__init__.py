"""Reading of embeddings and of relevance judgements from files, for `compare` and for datasets."""
