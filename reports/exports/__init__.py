"""A run in the files of load tools and engines, for whatever reads these."""
