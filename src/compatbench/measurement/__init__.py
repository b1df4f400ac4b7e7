"""What a cell measures of its models, and puts into its record."""
