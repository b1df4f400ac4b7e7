"""One JSON file a cell, and the folder they lie in."""
