"""From a scenario to a run directory: worlds, replications, live runs, stopping, manifest."""
