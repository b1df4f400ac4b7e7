"""Files written whole or not at all, canonical JSON, artefacts, and bounded readers."""
