"""What is simulated: the models, their limits, the places, and all of the scenario as it was loaded."""

import yaml
from starlette.requests import Request
from starlette.responses import Response

from api_shim.dashboard.pages import SignedIn, page, page_router
from api_shim.routes.described import TheShim
from api_shim.store.keys import key_name
from e80sim.plain_yaml import Dumper
from sim.scenario.schema import Scenario

router = page_router()
WIDTH = 100


@router.get("/scenario")
async def show_scenario(request: Request, shim: TheShim, session: SignedIn) -> Response:
    del session
    scenario = shim.world.scenario
    text = await shim.clock.aside(lambda: scenario_yaml(scenario))
    return await page(
        request,
        shim,
        "scenario.html",
        scenario=scenario,
        text=text,
        listeners=shim.settings.place_of_port,
        default_place=shim.callers.default_place,
        fingerprint=shim.fingerprint,
    )


def scenario_yaml(scenario: Scenario) -> str:
    """With all that its defaults say, and names for its API keys that give nothing of them away."""
    data = scenario.model_dump(mode="json")
    data["serve"]["keys"] = {key_name(key): holder for key, holder in data["serve"]["keys"].items()}
    return yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=WIDTH)
