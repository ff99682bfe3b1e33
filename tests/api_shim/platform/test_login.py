"""`8080 login`: who is let in, how, and what the token is good for."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from api_shim.accounts.login import ASKED_S, CODE_S, BadCodeError, LoginFlow, NotAskedError
from api_shim.settings import ServerSettings
from api_shim.store.store import Store
from sim.__main__ import main
from tests.support.live import MakeWire, Reply, Wire, chat, scenario
from tests.support.platform import app_zip, deploy, form, post

BACK = "http://localhost:4321"
PAGE = "/accounts/login/oauth"
HERE = {"host": "127.0.0.1:8080"}
BROWSER = {**HERE, "accept": "text/html,*/*"}
TOKEN = "the-token-of-the-dashboard"


def ask(wire: Wire, redirect_uri: str = BACK, **headers: str) -> Reply:
    query = urlencode({"redirect_uri": redirect_uri})
    return wire.ask(f"{PAGE}?{query}", key=None, headers={**HERE, "accept": "*/*", **headers})


def answered(reply: Reply) -> dict[str, str]:
    """What the client hears."""
    assert reply.status in {302, 303}, reply.body
    parts = urlsplit(reply.headers["location"])
    assert f"{parts.scheme}://{parts.netloc}" == BACK
    return {name: value for name, (value,) in parse_qs(parts.query).items()}


def redeem(wire: Wire, **form: str) -> Reply:
    return send(wire, f"{PAGE}/token", {"grant_type": "authorization_code", **form})


def send(wire: Wire, path: str, form: dict[str, str], **headers: str) -> Reply:
    kind = {"content-type": "application/x-www-form-urlencoded", **HERE, **headers}
    return wire.ask(path, urlencode(form).encode(), key=None, headers=kind)


def log_in(wire: Wire) -> str:
    token = redeem(wire, **answered(ask(wire))).json["access_token"]
    assert token.startswith("e80u_")
    return str(token)


def state_of(page: Reply) -> str:
    found = re.search(r'name="state" value="([\w-]+)"', page.body.decode())
    assert found
    return found[1]


def as_(project: str) -> dict[str, Any]:
    return {"headers": {"x-8080-project-slug": project, "content-type": "application/json"}}


def test_a_program_on_this_machine_is_let_in_and_its_code_is_good_once(wire: Wire) -> None:
    given = answered(ask(wire))
    assert sorted(given) == ["code", "state"]
    first = redeem(wire, **given)
    assert (first.status, first.headers["cache-control"]) == (200, "no-store")
    assert first.json["access_token"].split("_")[0] == "e80u"
    again = redeem(wire, **given)
    assert (again.status, again.error["code"]) == (400, "invalid_grant")


def test_a_code_that_comes_with_another_state_is_used_up(wire: Wire) -> None:
    given, other = answered(ask(wire)), answered(ask(wire))
    assert redeem(wire, code=given["code"], state=other["state"]).status == 400
    assert redeem(wire, **given).status == 400
    assert redeem(wire, **other).status == 200


@pytest.mark.parametrize("missing", ["code", "state", "grant_type"])
def test_a_form_without_something_gets_no_token(wire: Wire, missing: str) -> None:
    form = {"grant_type": "authorization_code", **answered(ask(wire))}
    refused = send(wire, f"{PAGE}/token", {name: form[name] for name in form if name != missing})
    assert (refused.status, refused.error["param"]) == (400, missing)


@pytest.mark.parametrize(
    "marks", [{"accept": "text/html"}, {"sec-fetch-mode": "no-cors"}, {"referer": "http://a"}]
)
def test_a_browser_is_asked_and_may_allow_or_deny(wire: Wire, marks: dict[str, str]) -> None:
    page = ask(wire, **marks)
    assert page.status == 200
    assert f"form-action 'self' {BACK};" in page.headers["content-security-policy"]
    allowed = send(wire, PAGE, {"state": state_of(page), "decision": "allow"}, **BROWSER)
    assert redeem(wire, **answered(allowed)).status == 200
    other = state_of(ask(wire, **marks))
    denied = answered(send(wire, PAGE, {"state": other, "decision": "deny"}, **BROWSER))
    assert denied == {"error": "access_denied", "state": other}
    late = send(wire, PAGE, {"state": other, "decision": "allow"}, **BROWSER)
    assert (late.status, b"Nobody asks for this login any more" in late.body) == (400, True)


def test_a_form_of_another_site_lets_nobody_in(wire: Wire) -> None:
    page = ask(wire, accept="text/html")
    form = {"state": state_of(page), "decision": "allow"}
    assert send(wire, PAGE, form, origin="http://evil.invalid").status == 403
    assert send(wire, PAGE, form | {"state": "guessed"}).status == 400


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "",
        "http://localhost",
        "https://localhost:1",
        "http://evil.invalid:1",
        "http://localhost.evil.invalid:1",
        "http://localhost:1@evil.invalid:1",
        "http://me@localhost:1",
        "http://localhost:1#here",
        "http://localhost:70000",
        "javascript:alert(1)",
        "http://localhost:1/\r\nx: y",
        "http://localhost:1\\@evil.invalid",
    ],
)
def test_a_code_goes_to_nobody_but_a_program_on_the_same_machine(wire: Wire, redirect_uri: str) -> None:
    refused = ask(wire, redirect_uri)
    assert refused.status == 400
    assert "location" not in refused.headers


@pytest.mark.parametrize("headers", [{"host": "e80sim.example"}, {"host": "10.0.0.5:8080"}])
def test_who_asks_by_another_name_has_to_know_the_token(make: MakeWire, headers: dict[str, str]) -> None:
    """Such as a page that has made its own name lead here."""
    wire = make(settings=ServerSettings(dashboard_token=TOKEN))
    page = ask(wire, **headers)
    assert page.status == 200
    form = {"state": state_of(page), "decision": "allow"}
    wrong = send(wire, PAGE, form | {"token": "guess"}, **headers)
    assert (wrong.status, state_of(wrong)) == (403, form["state"])
    assert answered(send(wire, PAGE, form | {"token": TOKEN}, **headers))["code"]


def test_a_server_may_want_the_token_of_everybody(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(dashboard_token=TOKEN, login="token"))
    assert ask(wire).status == 200, "a page that asks for it"
    assert ask(wire, authorization="Bearer guess").status == 403
    assert answered(ask(wire, authorization=f"Bearer {TOKEN}"))["code"]
    for _ in range(20):
        last = ask(wire, authorization="Bearer guess")
    assert last.status == 429


def test_a_server_may_take_no_logins(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(login="off"))
    assert ask(wire).error["code"] == "no_logins"
    assert redeem(wire, code="c", state="s").status == 404


def test_pages_and_codes_get_old() -> None:
    flow = LoginFlow()
    state = flow.ask(BACK, 0.0).state
    with pytest.raises(NotAskedError):
        flow.allow(state, ASKED_S)
    state = flow.ask(BACK, 0.0).state
    code = parse_qs(urlsplit(flow.allow(state, 1.0)).query)["code"][0]
    with pytest.raises(BadCodeError):
        flow.redeem(code, state, 1.0 + CODE_S)


def test_a_token_acts_in_the_project_that_it_names(wire: Wire) -> None:
    token = log_in(wire)
    unnamed = wire.ask("/v1/models", key=token)
    assert (unnamed.status, unnamed.error["code"]) == (400, "project_required")
    assert wire.ask("/v1/models", key=token, **as_("demo")).status == 200
    assert wire.ask(body=chat(), key=token, **as_("demo")).status == 200
    body = {"name": "db", "value": "of demo"}
    assert wire.ask("/v1/secrets", body, key=token, **as_("demo")).status == 200
    assert wire.ask("/v1/secrets/db", key=token, **as_("other")).status == 404
    assert wire.ask("/v1/secrets/db", key=token, **as_("demo")).json["value"] == "of demo"
    for wrong in ("De mo", "../demo", "-demo", "key_0123456789ab", "a" * 64):
        refused = wire.ask("/v1/models", key=token, **as_(wrong))
        assert (refused.status, refused.error["code"]) == (400, "invalid_project"), wrong


@pytest.mark.parametrize("path", ["/v1/models", "/api/org", "/v1/secrets"])
def test_an_unknown_token_is_let_in_nowhere_though_any_key_is(wire: Wire, path: str) -> None:
    refused = wire.ask(path, key="e80u_unknown", **as_("demo"))
    assert (refused.status, refused.error["code"]) == (401, "invalid_token")
    assert wire.ask("/v1/models", key="sk-any").status == 200


def test_a_key_of_a_project_sees_what_a_login_does_in_it(
    make: MakeWire, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wire = make(store=Store(tmp_path))
    assert main(["key", "create", "--state", str(tmp_path), "--project", "my-cafe"]) == 0
    key, token = capsys.readouterr().out.strip(), log_in(wire)
    made = post(wire, "/api/project/local", {"project_name": "My Café"}, method="PUT", key=token).json
    post(wire, "/v1/secrets", {"name": "db", "value": "v"}, key=key)
    assert wire.ask("/v1/secrets/db", key=token, **as_(made["project_slug"])).json["value"] == "v"
    assert wire.ask("/v1/secrets/db", key=key, **as_("another")).status == 200, "a key is of its project"
    assert wire.ask("/v1/secrets/db", key=token, **as_("another")).status == 404


def test_organisations_and_projects_are_for_those_who_have_logged_in(wire: Wire) -> None:
    token = log_in(wire)
    assert wire.ask("/api/org", key=token).json == {
        "memberships": [
            {
                "organization_id": "org_local",
                "organization_name": "local",
                "organization_slug": "local",
                "membership": 1,
            }
        ]
    }
    key = wire.ask("/api/org")
    assert (key.status, key.error["code"]) == (403, "login_required")
    assert wire.ask("/api/org", key=None).status == 401

    def project(organisation: str, name: str) -> Any:
        return post(wire, f"/api/project/{organisation}", {"project_name": name}, method="PUT", key=token)

    made = project("local", "My Café 1").json
    assert made["project_slug"] == "my-cafe-1"
    assert project("local", "My Café 1").json == made
    assert project("acme", "my cafe 1").json["project_slug"] == "my-cafe-1-2"
    assert project("local", "日本").json["project_slug"] == "project"
    assert project("a b", "x").status == 400
    assert project("local", "").status == 400
    organisations = wire.ask("/api/org", key=token).json["memberships"]
    assert [one["organization_slug"] for one in organisations] == ["local", "acme"]


def test_a_login_outlives_its_server_and_ends_when_it_is_revoked(
    make: MakeWire, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make(store=Store(tmp_path))
    token = log_in(first)
    first.platform.close()
    second = make(store=Store(tmp_path))
    assert second.ask("/api/org", key=token).status == 200
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or token[5:].encode() not in file.read_bytes()
    assert main(["login", "list", "--state", str(tmp_path)]) == 0
    name, standing, _ = capsys.readouterr().out.split()
    assert standing == "valid"
    assert main(["login", "revoke", "--state", str(tmp_path), name]) == 0
    assert second.ask("/api/org", key=token).status == 401
    assert main(["login", "revoke", "--state", str(tmp_path), name]) == 2


def test_a_program_that_the_platform_runs_acts_as_its_project_until_it_ends(make: MakeWire) -> None:
    """What it sends is called a workload's identity; a token is what it is, whatever it is called."""
    spec = scenario(serve={"keys": {"sk-listed": {"project": "listed"}}})
    wire = make(spec)
    callers = wire.platform.shim.callers
    callers.lend("its-token", replace(callers.caller("Bearer sk-listed"), project="demo"))
    headers = {"x-8080-token-type": "workload-identity"}
    post(wire, "/v1/secrets", {"name": "db", "value": "v"}, key="sk-listed")
    assert wire.ask("/v1/secrets", key="its-token", headers=headers).json["data"] == []
    assert wire.ask(body=chat(), key="its-token", headers=headers).status == 200
    assert wire.ask("/v1/secrets/db", key="sk-listed", headers=headers).status == 200
    callers.take_back("its-token")
    assert wire.ask("/v1/models", key="its-token", headers=headers).status == 401


def test_the_link_to_a_deployment_leads_to_its_page(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(dashboard_token=TOKEN))
    made = deploy(wire, env_vars={"COLOUR": "green"}, env_secrets={"DB": "db"})
    link = wire.ask(f"/o/local/p/demo/edge/deployment/{made}", key=None)
    assert (link.status, link.headers["location"]) == (303, f"/dashboard/deployments/{made}")
    assert (
        wire.ask(f"/dashboard/deployments/{made}", key=None)
        .headers["location"]
        .startswith("/dashboard/sign-in")
    )
    signed = send(wire, "/dashboard/sign-in", {"token": TOKEN})
    cookie = signed.headers["set-cookie"].partition(";")[0]
    page = wire.ask(f"/dashboard/deployments/{made}", key=None, headers={"cookie": cookie}).body.decode()
    assert "pending" in page
    assert "This server runs no apps" in page
    assert "COLOUR" in page
    assert "green" not in page
    assert wire.ask("/dashboard/deployments/dep_0", key=None, headers={"cookie": cookie}).status == 404


def test_an_older_client_deploys_and_reads_its_secrets(wire: Wire) -> None:
    token, config = (
        log_in(wire),
        {"project": "p", "organization_slug": "o", "entrypoint": "main:app", "cpu_mhz": 500},
    )
    body = {"config": config, "artifact_metadata": {"python_version": "3.13"}}
    root = "/api/endpoint/acme/demo"
    sent = form("artifact.zip", app_zip(), {"metadata": json.dumps(body)})
    artifact = wire.ask(f"{root}/artifact", key=token, **sent)
    assert artifact.status == 200, artifact.body
    begun = post(wire, f"{root}/artifact/multipart", body, key=token).json["artifact_id"]
    part = form("artifact_part", app_zip(), {})
    assert wire.ask(f"{root}/artifact/multipart/{begun}/1", key=token, **part).status == 200
    assert wire.ask(f"{root}/artifact/multipart/{begun}", method="POST", key=token).json["complete"]
    made = post(wire, f"{root}/deploy", {"artifact_id": begun}, key=token).json["deployment_id"]
    (job,) = wire.ask("/v1/jobs", key=token, **as_("demo")).json["jobs"]
    assert (job["id"], job["artifact_id"]) == (made, begun)
    wire.ask("/v1/secrets", {"name": "a", "value": "x", "is_local": True}, key=token, **as_("demo"))
    wire.ask("/v1/secrets", {"name": "b", "value": "y"}, key=token, **as_("demo"))
    secrets = wire.ask("/api/secrets/demo?local=1", key=token).json
    assert secrets == {"secrets": [{"name": "a", "type": "string", "value": "x"}]}
    assert wire.ask("/api/secrets/other?local=1", key=token).json == {"secrets": []}
