"""Recorded requests as files have them: a reader and a writer for each format, and the table of all."""
