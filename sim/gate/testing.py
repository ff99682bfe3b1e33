"""The gate as an assertion, for tests of whatever is behind a scenario."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from reports.targets import PASS
from sim.gate.gate import judged
from sim.gate.simulated import simulated, targets_of
from sim.scenario.load import load
from sim.scenario.overrides import Setting


class UnmetError(AssertionError):
    """What `require` raises: one sentence for each objective that is missed or undecided."""


def require(scenario: str | Path, *objectives: str, settings: Mapping[str, object] | None = None) -> None:
    """For a test: run `scenario` and hold it to `objectives`, and to those that it states itself.

        def test_the_agent_answers_in_time() -> None:
            require("agent.yaml", "felt_p95_ms<=400", settings={"run.replications": 20})

    Raises:
        UnmetError: an objective is missed or undecided; its text has a sentence for each.
        UserError: scenario, setting or objective are wrong.

    """
    stated = [Setting(name, value, name) for name, value in (settings or {}).items()]
    plan = load(Path(scenario), stated)
    targets = targets_of(plan, objectives)
    with TemporaryDirectory(prefix="e80sim-") as rows:
        found = judged(simulated(plan, Path(rows)), targets)
    unmet = [f"{one.verdict.upper()}: {one.sentence}" for one in found if one.verdict != PASS]
    if unmet:
        raise UnmetError("\n".join(unmet))
