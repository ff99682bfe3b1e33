"""Pages for whoever runs the server: what it does now, its traces, batches, files, keys and scenario."""

from api_shim.dashboard import batches, files, keys, overview, scenario, sign_in, traces

PAGES = [sign_in, traces, batches, files, keys, scenario, overview]
"""Groups of routes, each with its `router`; the last one takes what no other does."""
