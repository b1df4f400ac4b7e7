"""What is compared: suites, scenarios and recipes."""
