"""Which part of a run is measured."""

from reports.warm_up import WarmUp, choose_warm_up
from sim.run.replications import Results
from sim.scenario.load import Plan
from sim.time.units import PS_PER_S

GAPS = "Gaps between tokens are counted while the run goes on, and so from its start."


def warm_up_of(plan: Plan, results: Results) -> WarmUp:
    """As the scenario states it, or as its requests tell; none where an interrupt came before its end."""
    stated, measured_s = plan.base.run.warm_up_s, results.measured_ps / PS_PER_S
    if stated == "auto":
        chosen = choose_warm_up(results.tables, results.variants, measured_s)
        return chosen._replace(notes=(*chosen.notes, GAPS)) if chosen.seconds else chosen
    return WarmUp(stated if stated < measured_s else 0.0, ())
