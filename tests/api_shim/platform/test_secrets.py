"""Secrets: kept, changed, forgotten, and to be read nowhere but by who asks for them with the right key."""

import json
import re
import stat
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest

from api_shim.settings import ServerSettings
from api_shim.store.sealing import KEY_FILE, KEY_VARIABLE, Seal, WrongSealError
from api_shim.store.secrets import MOST_SECRETS, Secret
from api_shim.store.store import Store
from e80sim.mistakes import UserError
from tests.support.live import MakeWire, Wire, chat
from tests.support.platform import CONFIG, app_zip, deploy, post
from tests.support.served import serve

FORMS = [
    {"type": "string", "value": "hunter2"},
    {"type": "openai", "value": {"url": "https://llm.invalid/v1", "api_key": "k"}},
    {"type": "json", "value": {"user": "me", "ports": [1, 2]}},
]


def make_secret(wire: Wire, name: str = "db", **fields: Any) -> Any:
    return post(
        wire, "/v1/secrets", {"name": name, "is_local": False, "type": "string", "value": "v"} | fields
    )


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form["type"]))
def test_each_form_comes_back_as_it_was(wire: Wire, form: dict[str, Any]) -> None:
    assert make_secret(wire, "a b", **form, is_local=True).status == 200
    told = wire.ask("/v1/secrets/a b").json
    assert told == {"object": "secret", "name": "a b", "is_local": True, **form}
    assert wire.ask("/v1/secrets").json["data"] == [told]


def test_a_change_may_rename_and_what_is_deleted_is_gone(wire: Wire) -> None:
    make_secret(wire, "old")
    make_secret(wire, "other")
    change = {"name": "new", "is_local": True, "type": "json", "value": {"a": 1}}
    assert post(wire, "/v1/secrets/old", change).status == 200
    assert wire.ask("/v1/secrets/old").error["code"] == "secret_not_found"
    assert wire.ask("/v1/secrets/new").json["value"] == {"a": 1}
    taken = post(wire, "/v1/secrets/new", change | {"name": "other"})
    assert (taken.status, taken.error["code"]) == (409, "secret_exists")
    assert make_secret(wire, "new").status == 409
    assert post(wire, "/v1/secrets/gone", change).status == 404
    assert wire.ask("/v1/secrets/new", method="DELETE").status == 200
    assert wire.ask("/v1/secrets/new", method="DELETE").status == 404
    assert wire.ask("/v1/secrets/new").status == 404


def test_lists_are_filtered_and_come_in_pages(wire: Wire) -> None:
    for number in range(5):
        make_secret(wire, f"s{number}", is_local=number % 2 == 0)
    local = wire.ask("/v1/secrets?local=true").json
    assert [one["name"] for one in local["data"]] == ["s0", "s2", "s4"]
    assert [one["name"] for one in wire.ask("/v1/secrets?local=false").json["data"]] == ["s1", "s3"]
    page = wire.ask("/v1/secrets?limit=2&page=2").json
    assert [one["name"] for one in page.pop("data")] == ["s2", "s3"]
    envelope = {"total": 5, "page": 2, "total_pages": 3, "limit": 2, "offset": 2, "has_more": True}
    assert page.items() >= (envelope | {"has_previous": True, "next_page": 3, "previous_page": 1}).items()


def nested(levels: int) -> dict[str, Any]:
    """The number within counts as one of them."""
    return {"a": nested(levels - 1) if levels > 2 else 1}


def test_a_value_of_as_many_levels_as_it_may_have_comes_back(wire: Wire) -> None:
    assert make_secret(wire, "deep", type="json", value=nested(100)).status == 200
    assert wire.ask("/v1/secrets/deep").json["value"] == nested(100)
    assert wire.ask("/v1/secrets").status == 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"value": None}, "value"),
        ({"value": [1]}, "value"),
        ({"type": "string", "value": {"a": 1}}, None),
        ({"type": "json", "value": "text"}, None),
        ({"type": "openai", "value": {"url": "u"}}, None),
        ({"type": "openai", "value": {"url": "u", "api_key": 3}}, None),
        ({"type": "json", "value": {"a": [float("inf")]}}, None),
        ({"type": "json", "value": {"a": float("nan")}}, None),
        ({"type": "json", "value": nested(101)}, None),
        ({"type": "number"}, "type"),
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"is_local": "yes"}, "is_local"),
        ({"value": "x" * 65_537}, "value"),
    ],
)
def test_a_wrong_form_is_refused_without_a_word_of_its_value(
    wire: Wire, fields: dict[str, Any], param: str | None
) -> None:
    body = {"name": "db", "is_local": False, "type": "string", "value": "hunter2"} | fields
    refused = post(wire, "/v1/secrets", body)
    assert refused.status == 400
    assert refused.error["param"] == param or str(refused.error["param"]).startswith(f"{param}.")
    assert "hunter2" not in refused.body.decode()


def test_no_project_sees_anothers_secrets(wire: Wire) -> None:
    make_secret(wire, "db", value="mine")
    for path in ("/v1/secrets/db", "/v1/secrets/db?project=sk-me"):
        assert wire.ask(path, key="sk-other").status == 404
    assert wire.ask("/v1/secrets", key="sk-other").json["data"] == []
    assert wire.ask("/v1/secrets/db", method="DELETE", key="sk-other").status == 404
    theirs = {"name": "db", "type": "string", "value": "theirs"}
    assert post(wire, "/v1/secrets/db", theirs, key="sk-other").status == 404
    assert post(wire, "/v1/secrets", theirs, key="sk-other").status == 200
    assert wire.ask("/v1/secrets/db").json["value"] == "mine"


def test_a_value_is_nowhere_on_the_disk_and_in_no_trace(make: MakeWire, tmp_path: Path) -> None:
    needle = "n33dle-in-no-haystack"
    wire = make(store=Store(tmp_path), settings=ServerSettings(trace_share=1.0))
    make_secret(wire, "db", value=needle)
    post(wire, "/v1/secrets/db", {"name": "db", "type": "json", "value": {"password": needle}})
    deploy(wire, env_secrets={"DB": "db"})
    wire.ask(body=chat("hello", log=True))
    wire.platform.run(wire.platform.shim.tracer.close())
    assert needle not in json.dumps(wire.ask("/v1/traces").json)
    assert needle not in repr(Secret("db", False, "string", needle))
    wire.platform.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"state.sqlite", KEY_FILE} <= {path.name for path in files}
    for path in files:
        assert needle.encode() not in path.read_bytes(), path


def test_the_key_is_the_servers_own_users_alone(make: MakeWire, tmp_path: Path) -> None:
    wire = make(store=Store(tmp_path / "state"))
    assert not (tmp_path / "state" / KEY_FILE).exists(), "it is made when it is needed"
    make_secret(wire)
    assert stat.S_IMODE((tmp_path / "state" / KEY_FILE).stat().st_mode) == 0o600
    wire.platform.close()
    again = make(store=Store(tmp_path / "state"))
    assert again.ask("/v1/secrets/db").json["value"] == "v"


def test_a_server_with_another_key_does_not_start(
    make: MakeWire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, b64encode(b"k" * 32).decode())
    wire = make(store=Store(tmp_path))
    make_secret(wire)
    wire.platform.close()
    assert not (tmp_path / KEY_FILE).exists()
    monkeypatch.setenv(KEY_VARIABLE, b64encode(b"l" * 32).decode())
    with pytest.raises(UserError, match="its secrets were sealed with another key"):
        Store(tmp_path)
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(UserError, match="its secrets were sealed with another key"):
        Store(tmp_path)
    monkeypatch.setenv(KEY_VARIABLE, "short")
    with pytest.raises(UserError, match=re.escape(f"{KEY_VARIABLE} has to hold 32 bytes in base64")):
        Store(tmp_path)


def test_what_is_sealed_is_opened_for_its_own_purpose_only() -> None:
    seal = Seal(None)
    sealed = seal.seal(b"plain", "a")
    assert seal.open(sealed, "a") == b"plain"
    assert seal.seal(b"plain", "a") != sealed
    for content, purpose in ((sealed, "b"), (sealed[:-1] + b"x", "a"), (sealed[:12], "a")):
        with pytest.raises(WrongSealError):
            seal.open(content, purpose)
    with pytest.raises(WrongSealError):
        Seal(None).open(sealed, "a")


def test_a_project_has_so_many_secrets(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_shim.store.secrets.MOST_SECRETS", 2)
    assert MOST_SECRETS == 1000
    assert [make_secret(wire, name).status for name in "abc"] == [200, 200, 409]
    assert make_secret(wire, "c").error["code"] == "secret_limit"


@pytest.mark.realtime
def test_a_server_says_nothing_of_a_secret(tmp_path: Path) -> None:
    """Not of one that it keeps, not of one that it refuses, not of one that an app is given."""
    needle, state = "n33dle-in-no-log", tmp_path / "state"
    server = serve(tmp_path, "--state", str(state), "--trace-sample", "1")
    secret = {"name": "db", "is_local": False, "type": "string", "value": needle}
    with httpx.Client(base_url=server.urls[0], headers={"authorization": "Bearer sk-me"}) as client:
        assert client.post("/v1/secrets", json=secret).status_code == 200
        for wrong in ({"type": "openai"}, {"name": "a/b"}, {"is_local": needle}, {"value": {"a": needle}}):
            refused = client.post("/v1/secrets", json=secret | wrong)
            assert (refused.status_code, needle in refused.text) == (400, False)
        again = client.post("/v1/secrets", json=secret)
        assert (again.status_code, needle in again.text) == (409, False)
        files = {"artifact.zip": ("upload", app_zip())}
        config = {"config": json.dumps(CONFIG | {"env_secrets": {"DB": "db"}})}
        artifact = client.post("/v1/artifacts", data=config, files=files).json()["artifact_id"]
        assert client.post("/v1/jobs", json={"artifact_id": artifact}).status_code == 200
        page = client.get("/v1/jobs").text + client.get("/v1/traces").text + client.get("/metrics").text
    server.end()
    kept = b"".join(file.read_bytes() for file in state.rglob("*") if file.is_file())
    assert needle not in page + "\n".join(server.lines)
    assert needle.encode() not in kept
