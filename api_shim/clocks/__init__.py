"""The clocks of a live model: wall time, virtual asyncio time."""
