"""Text: frozen trunks by name, and what they are made of."""
