"""The table object and its renderers."""
