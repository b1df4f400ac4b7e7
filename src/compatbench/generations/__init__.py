"""Trains the models of a chain, and embeds the test images with them."""
