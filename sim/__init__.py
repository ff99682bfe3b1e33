"""The model: platform, gateway, nodes and network in simulated time, and the runs that drive it."""

import e80sim  # noqa: F401 -- lets imports find the compiled build
