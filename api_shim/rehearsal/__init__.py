"""An application's own code, run in virtual time on a simulated network, beside the simulated platform."""
