"""Fitting a GPU's law, and what stands around it, to requests that a server answered."""
