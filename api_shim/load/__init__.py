"""`e80sim load`: a served scenario under locust."""
