"""Time as whole picoseconds: SimPy's queue, units, and the random streams of a run. The ground floor."""
