"""One HTTP request with its answer: in the model, and on the wire."""
