"""GPU laws fitted to the measured kernels of aiconfigurator-core, an optional package."""
