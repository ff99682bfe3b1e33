"""Who asks, and what they do with the answer."""
