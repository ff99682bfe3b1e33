"""Pages for whoever runs the server: what it does now, its traces, batches, files, keys and scenario."""

from api_shim.dashboard import (
    apps,
    batches,
    deployments,
    files,
    keys,
    login,
    overview,
    scenario,
    sign_in,
    traces,
)

PAGES = [login, sign_in, traces, batches, files, apps, deployments, keys, scenario, overview]
"""Groups of routes, each with its `router`; the last one takes what no other does."""
