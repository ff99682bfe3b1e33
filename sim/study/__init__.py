"""Studies of many runs: what is varied, what is kept of each, and what comes out of all."""
