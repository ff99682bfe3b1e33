"""What to run: the schema of a scenario file, and reading one with errors that name the line."""
