"""What runs beside the accelerators, as timing models."""
