"""Batches: a file of requests, run behind everybody else."""
