"""At which slug what is deployed may run."""

from pathlib import Path

import pytest

from api_shim.edge.deployed import MOST_APPS, check_place
from api_shim.edge.plan import EdgePlan
from e80sim.mistakes import UserError


def plan(slug: str, project: str | None = None, *, isolated: bool = True) -> EdgePlan:
    return EdgePlan(slug, project or slug, "main:app", Path(), isolated=isolated)


@pytest.mark.parametrize(
    ("running", "said"),
    [
        ([plan("a-b", "a_b")], "another project, whose name differs in - and _ alone, is at 'a-b'"),
        ([plan("a-b", isolated=False)], "this server runs a folder of its own at 'a-b'"),
        ([plan(f"p{n}") for n in range(MOST_APPS)], "100 projects have applications here"),
    ],
)
def test_a_project_is_told_why_its_application_cannot_run(running: list[EdgePlan], said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_place("a-b", "a-b", running)


def test_a_projects_own_application_gives_way_also_where_there_are_as_many_as_may_be() -> None:
    others = [plan(f"p{n}") for n in range(MOST_APPS - 1)]
    check_place("a-b", "a-b", others)
    check_place("a-b", "a-b", [*others, plan("a-b"), plan("a-b")])
    check_place("a-b", "a-b", [*others, *[plan(f"f{n}", isolated=False) for n in range(5)]])
