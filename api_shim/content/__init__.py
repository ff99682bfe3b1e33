"""What an answer says; its length is decided before the model is asked."""
