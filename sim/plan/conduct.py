"""A plan from its question to its result: closed form, search, and what is asked of the answer afterwards."""

from typing import Any

from sim.plan.headroom import headroom
from sim.plan.planning import Means, Work, lines_of, search
from sim.plan.question import Question
from sim.plan.result import headroom_json, result_of, settle
from sim.plan.vllm import commands

Json = dict[str, Any]


def conduct(
    question: Question, way: str | None, means: Means, work: Work, *, with_headroom: bool, emit: bool
) -> Json:
    """What `plan.json` says.

    Raises:
        UserError: a point could not run, or nobody can tell which way values get better.
        StoppedError: interrupted; cells that had ended are kept.

    """
    way, lines = lines_of(question, way, means, work)
    search(question, lines, means, work)
    result = result_of(question, way, lines, means)
    settle(result)
    best = result["best"]
    if best is None:
        return result
    line, choice = lines[best], question.choices[best]
    place = result["lines"][best]["answer"]
    scenario = question.scenario(choice, line.values[place])
    if emit:
        result["vllm"] = commands(scenario)
    if with_headroom and not _is_load(question):
        found = headroom(question, scenario, choice.variant, line.closed[place], means, work)
        result["carries"] = headroom_json(found, means.store)
    return result


def _is_load(question: Question) -> bool:
    """Whether the answer is a load itself."""
    return question.searched is not None and question.searched.startswith("traffic.")
