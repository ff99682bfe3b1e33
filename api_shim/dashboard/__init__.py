"""Pages for whoever runs the server: what it does at the moment, its traces, keys, files and scenario."""

from api_shim.dashboard import files, keys, overview, scenario, sign_in, traces

PAGES = [sign_in, traces, files, keys, scenario, overview]
"""Groups of routes, each with its `router`; the last one takes what no other does."""
