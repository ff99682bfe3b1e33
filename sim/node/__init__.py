"""One engine: its batching arithmetic, two kernels that agree to the picosecond, the events that drive it."""
