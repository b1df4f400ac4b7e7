"""Which cells a suite has, which of them are missing, and what they will take."""
