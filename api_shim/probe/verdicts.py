"""What measuring says of a hypothesis."""

SUPPORTED, REFUTED, UNDECIDED = "supported", "refuted", "undecided"
EXIT_STATUS = {SUPPORTED: 0, REFUTED: 1, UNDECIDED: 3}
"""As of `e80sim gate`."""
