"""The model: platform, gateway, nodes and network in simulated time, and the runs that drive it."""
