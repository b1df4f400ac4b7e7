"""CompatBench: one protocol and one leaderboard for backward-compatible embeddings."""

__version__ = "0.1.0"

PROTOCOL_VERSION = 2
"""Version of docs/protocol.md that every record carries; records of two versions never share a table."""
