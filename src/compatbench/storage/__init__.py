"""Files that are whole or absent, canonical JSON, artefacts, and bounded readers."""
