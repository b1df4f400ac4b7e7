"""The comparison from Python: `compare`, `fit` and `load` of the package, with whatever holds the vectors."""
