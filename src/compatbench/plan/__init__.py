"""Plans: the cells of a suite, the missing ones, and their cost."""
