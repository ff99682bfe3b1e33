"""What an application takes until it serves: its process is really started once, as `edge run` starts it."""

import asyncio
from collections.abc import Mapping

from api_shim.edge.edge_app import EdgeApp
from api_shim.edge.manifest import AppFolder
from api_shim.edge.plan import AppLimits, EdgePlan
from sim.scenario.schema import EdgeSection


def start_up_ms(app: AppFolder, edge: EdgeSection, environment: Mapping[str, str]) -> float | None:
    """Real time on this machine, until the first answer; None where it does not start by itself."""
    manifest = app.manifest
    limits = AppLimits(
        memory_mb=manifest.memory_size_mb or edge.memory_size_mb,
        share=(manifest.cpu_mhz or edge.cpu_mhz) / edge.reference_mhz,
    )
    plan = EdgePlan(
        manifest.slug, manifest.slug, manifest.entrypoint, app.folder, limits, environment=environment
    )
    return asyncio.run(_started_in_ms(plan))


async def _started_in_ms(plan: EdgePlan) -> float | None:
    app = EdgeApp(plan)
    try:
        await app.until_settled(plan.limits.start_s)
        return None if app.started_in_s is None else app.started_in_s * 1000
    finally:
        await app.stop()
