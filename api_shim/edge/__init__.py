"""Applications that really run beside the platform: manifests, processes, limits, and the way to them."""
