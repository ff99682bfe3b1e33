"""A run's headlines as hypotheses about a real endpoint, each with the test that decides it."""
