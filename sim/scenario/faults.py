"""What is wrong with the section `faults`: things that do not exist, and two faults of one thing at once."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

from sim.faults.kinds import Fault, HopOutage, NodeCrash, NodeFault, PacketLoss, RegionCut
from sim.network import Network
from sim.scenario.nearest import unknown
from sim.scenario.schema import Scenario
from sim.scenario.source_map import Location

Found = tuple[Location, str]
Check = Callable[[Scenario, Location, Fault], Iterator[Found]]


def fault_problems(scenario: Scenario) -> Iterator[Found]:
    for name, fault in scenario.faults.items():
        found = list(problems_of(scenario, ("faults", name), fault))
        yield from found
        if found:
            return
    yield from _at_once(scenario)


def problems_of(scenario: Scenario, at: Location, fault: Fault) -> Iterator[Found]:
    """Of one fault, which stands at `at`, by itself."""
    horizon_s = scenario.run.horizon_s
    if fault.at_s is not None and fault.at_s >= horizon_s:
        yield (
            (*at, "at_s"),
            f"at_s {fault.at_s:g} is not within the horizon of {horizon_s:g} s: it never breaks",
        )
    for check in CHECKS:
        yield from check(scenario, at, fault)


def _node(scenario: Scenario, at: Location, fault: Fault) -> Iterator[Found]:
    if not isinstance(fault, NodeFault):
        return
    model = scenario.models.get(fault.model)
    if model is None:
        yield (*at, "model"), unknown("model", fault.model, scenario.models)
        return
    absent = [] if fault.nodes == "all" else [index for index in fault.nodes if index >= model.nodes]
    if absent:
        yield (
            (*at, "nodes"),
            f"`{fault.model}` has no node {absent[0]}: its {model.nodes:,} are numbered from 0",
        )
    elif fault.nodes == []:
        yield (*at, "nodes"), "no node is named: name some, or `all`, or leave the fault out"
    if isinstance(fault, NodeCrash) and model.disaggregated is not None:
        words = f"nodes of `{fault.model}`, which divide prefill and decode, cannot crash here"
        yield (*at, "model"), f"{words}: leave `disaggregated` or the fault out"


def _restart(scenario: Scenario, at: Location, fault: Fault) -> Iterator[Found]:
    del scenario
    if isinstance(fault, NodeCrash):
        if fault.kv == "kept" and fault.requests == "fail":
            yield (*at, "kv"), "kv `kept` means nothing to requests that fail: state `requests: requeue`"
        if fault.restart_s and fault.at_s is not None and fault.for_s is None:
            yield (*at, "restart_s"), "a node that is down to the end does not restart: state `for_s`"


def _network(scenario: Scenario, at: Location, fault: Fault) -> Iterator[Found]:
    places = scenario.network.places
    if isinstance(fault, RegionCut) and fault.place not in places:
        yield (*at, "place"), unknown("place", fault.place, places)
    if isinstance(fault, HopOutage | PacketLoss):
        network, apps = Network(scenario.network), {app.place for app in scenario.apps.values()}
        paths = [network.path(place, end) for place in places for end in (None, *apps & {*places})]
        kinds = dict.fromkeys(hop.kind for path in paths for hop in path.hops)
        if fault.hop not in kinds:
            yield (*at, "hop"), unknown("hop of this kind on any path here", fault.hop, kinds)


CHECKS: tuple[Check, ...] = (_node, _restart, _network)


def _at_once(scenario: Scenario) -> Iterator[Found]:
    """One thing is broken in one way at a time."""
    windows: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for name, fault in scenario.faults.items():
        for target in fault.targets(lambda model: scenario.models[model].nodes):
            windows[target.label].append((*fault.window_s, name))
    for label, found in windows.items():
        for (_, end_s, one), (begin_s, _, other) in pairwise(sorted(found)):
            if begin_s <= end_s:
                words = f"{label} is broken by `{one}` already when `{other}` comes ({begin_s:g} s)"
                yield ("faults", other), f"{words}: one thing breaks in one way at a time"
                return
