"""Whether a scenario meets its objectives, as a check for continuous integration."""
