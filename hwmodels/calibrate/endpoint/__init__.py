"""Fitting what stands behind an endpoint, and the way to it, to what a client saw of its requests."""
