"""Formats that say which requests waited for which: a reader for each."""
