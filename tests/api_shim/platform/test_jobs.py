"""Deployments: who runs them is told, and what becomes of them is what that says."""

from pathlib import Path

import pytest

from api_shim.accounts.deployments import (
    DEPENDENCIES_FOLDER,
    NOBODY_RUNS_APPS,
    PROJECT_FOLDER,
    AppConfigError,
    DeployedApp,
)
from api_shim.store.archives import unpack
from api_shim.store.deployments import Deployment
from api_shim.store.store import Store
from tests.support.live import MakeWire, Wire, scenario
from tests.support.platform import deploy, post, upload


class Runner:
    """Notes what it is to run."""

    def __init__(self, wire: Wire) -> None:
        self.told: list[Deployment] = []
        self.service = wire.platform.shim.deployments
        self.service.runner = self

    def deployed(self, deployment: Deployment) -> None:
        self.told.append(deployment)


def jobs(wire: Wire) -> list[tuple[str, str]]:
    return [(one["id"], one["status"]) for one in wire.ask("/v1/jobs").json["jobs"]]


def plan_of(wire: Wire, deployment: Deployment) -> DeployedApp:
    return wire.platform.run(wire.platform.shim.deployments.plan(deployment))


def test_a_server_that_runs_no_apps_says_so(wire: Wire) -> None:
    made = deploy(wire)
    (job,) = wire.ask("/v1/jobs").json["jobs"]
    assert (job["id"], job["status"], job["started_at"]) == (made, "pending", None)
    assert job["reason"] == NOBODY_RUNS_APPS


def test_who_runs_apps_is_told_and_says_how_it_goes_on(wire: Wire) -> None:
    runner = Runner(wire)
    first = deploy(wire)
    assert [one.id for one in runner.told] == [first]
    assert wire.platform.run(runner.service.note(first, "in_progress"))
    assert jobs(wire) == [(first, "in_progress")]
    assert wire.platform.run(runner.service.note(first, "running"))
    assert wire.ask("/v1/jobs").json["jobs"][0]["started_at"] is not None
    second = deploy(wire)
    assert jobs(wire) == [(second, "pending"), (first, "running")], "the first runs until the second does"
    wire.platform.run(runner.service.note(second, "running"))
    assert jobs(wire) == [(second, "running"), (first, "dead")]
    assert not wire.platform.run(runner.service.note(first, "running")), "what is dead stays so"
    wire.platform.run(runner.service.note(second, "dead", "It crashed."))
    assert wire.ask("/v1/jobs").json["jobs"][0]["reason"] == "It crashed."
    assert wire.platform.run(runner.service.live()) == []


def test_what_has_not_begun_gives_way_to_what_is_deployed_after_it(wire: Wire) -> None:
    first, second = deploy(wire), deploy(wire)
    assert jobs(wire) == [(second, "pending"), (first, "dead")]
    history = wire.ask("/v1/job-histories").json
    assert [one["id"] for one in history["data"]] == [second, first]
    assert history["data"][1]["reason"] == f"Replaced by {second}."
    assert all(isinstance(one["started_at"], str) for one in history["data"])
    page = wire.ask("/v1/job-histories?limit=1&page=2").json
    assert ([one["id"] for one in page["data"]], page["has_previous"], page["total"]) == ([first], True, 2)


def test_a_plan_has_what_the_file_states_and_what_secrets_hold(wire: Wire, tmp_path: Path) -> None:
    post(wire, "/v1/secrets", {"name": "token", "value": "s3cret"})
    post(wire, "/v1/secrets", {"name": "other", "type": "openai", "value": {"url": "u", "api_key": "k"}})
    runner = Runner(wire)
    deploy(wire, env_secrets={"TOKEN": "token", "OTHER": "other"}, cpu_count=500)
    plan = plan_of(wire, runner.told[0])
    assert (plan.entrypoint, plan.cpu_mhz, plan.gpu_count, plan.memory_size_mb) == (
        "main:app",
        500,
        None,
        256,
    )
    assert plan.environment == {
        "_8080_ORGANIZATION_SLUG": "local",
        "COLOUR": "green",
        "TOKEN": "s3cret",
        "OTHER": '{"url": "u", "api_key": "k"}',
    }
    assert plan.secrets == ("s3cret", plan.environment["OTHER"])
    assert "s3cret" not in repr(plan)
    unpack(plan.archive, tmp_path / "app")
    assert (tmp_path / "app" / PROJECT_FOLDER / "main.py").exists()
    assert (tmp_path / "app" / DEPENDENCIES_FOLDER).is_dir()


def test_a_plan_names_the_organisation_in_which_its_project_was_made(make: MakeWire) -> None:
    wire = make(scenario(serve={"keys": {"sk-me": {"project": "my-cafe"}}}))
    wire.platform.shim.store.projects.ensure("acme", "My Café", 1)
    runner = Runner(wire)
    deploy(wire)
    assert plan_of(wire, runner.told[0]).environment["_8080_ORGANIZATION_SLUG"] == "acme"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({}, "which the project has not"),
        ({"name": "token", "value": "s", "is_local": True}, "which is local"),
    ],
)
def test_a_secret_that_cannot_be_had_is_named(wire: Wire, made: dict[str, object], said: str) -> None:
    if made:
        post(wire, "/v1/secrets", made)
    runner = Runner(wire)
    deploy(wire, env_secrets={"TOKEN": "token"})
    with pytest.raises(AppConfigError, match=f"TOKEN is to hold the secret 'token', {said}"):
        plan_of(wire, runner.told[0])


def test_what_ran_runs_again_on_the_next_server(make: MakeWire, tmp_path: Path) -> None:
    first = make(store=Store(tmp_path))
    made = deploy(first)
    first.platform.run(first.platform.shim.deployments.note(made, "running"))
    first.platform.close()
    second = make(store=Store(tmp_path))
    runner = Runner(second)
    second.platform.run(runner.service.resume())
    assert [one.id for one in runner.told] == [made]
    assert jobs(second) == [(made, "pending")]


def test_no_project_sees_anothers_deployments(wire: Wire) -> None:
    artifact_id = upload(wire).json["artifact_id"]
    stolen = post(wire, "/v1/jobs", {"artifact_id": artifact_id}, key="sk-other")
    assert (stolen.status, stolen.error["code"]) == (404, "artifact_not_found")
    deploy(wire)
    assert wire.ask("/v1/jobs", key="sk-other").json["jobs"] == []
    assert wire.ask("/v1/job-histories", key="sk-other").json["data"] == []
    assert wire.ask(f"/v1/multipart/{artifact_id}/finish", method="POST", key="sk-other").status == 404


def test_a_job_names_its_artifact(wire: Wire) -> None:
    assert post(wire, "/v1/jobs", {}).error["param"] == "artifact_id"
    assert post(wire, "/v1/jobs", b"{").status == 400
