"""Methods are found in folders and installed packages."""
