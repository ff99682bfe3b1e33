"""Keys that people make: who is let in, also while the server runs."""

from contextlib import suppress
from pathlib import Path

import pytest

from api_shim.accounts.callers import Callers
from api_shim.store import keys as store_keys
from api_shim.store import lookups
from api_shim.store.database import Database
from api_shim.store.keys import Keys, TooManyKeysError
from api_shim.store.store import DATABASE, Store
from api_shim.wire.errors import ApiError
from sim.__main__ import main
from tests.support.live import scenario


def run(*arguments: str) -> None:
    assert main(["key", *arguments]) == 0


def made(capsys: pytest.CaptureFixture[str], state: Path, *options: str) -> str:
    run("create", "--state", str(state), *options)
    return capsys.readouterr().out.strip()


def lets_in(callers: Callers, key: str) -> bool:
    with suppress(ApiError):
        callers.caller(f"Bearer {key}")
        return True
    return False


def test_a_running_server_takes_notice_of_keys_made_and_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any key, until there is one; then that one alone, and after its end none at all."""
    store = Store(tmp_path)
    callers = Callers(scenario(), {}, issued=store.keys)
    assert callers.any_key
    assert lets_in(callers, "sk-stranger")
    assert lets_in(callers, "sk-chat")
    secret = made(capsys, tmp_path, "--project", "mine", "--label", "my laptop")
    assert not callers.any_key
    caller = callers.caller(f"Bearer {secret}")
    assert (caller.project, caller.tenant, caller.source) == ("mine", "mine", "live")
    assert not lets_in(callers, "sk-stranger")
    assert not lets_in(callers, "sk-chat")
    run("list", "--state", str(tmp_path))
    listed = capsys.readouterr().out
    assert listed.startswith(f"{caller.key}  valid    mine  ")
    assert listed.endswith("my laptop\n")
    run("revoke", "--state", str(tmp_path), caller.key)
    assert not lets_in(callers, secret)
    assert not callers.any_key
    run("list", "--state", str(tmp_path))
    assert f"{caller.key}  revoked  mine" in capsys.readouterr().out
    store.close()


def test_the_scenarios_keys_stay_when_others_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = made(capsys, tmp_path)
    store = Store(tmp_path)
    callers = Callers(scenario(serve={"keys": {"sk-listed": {"project": "p"}}}), {}, issued=store.keys)
    assert callers.caller("Bearer sk-listed").project == "p"
    assert callers.caller(f"Bearer {secret}").project == "default"
    assert not lets_in(callers, "sk-other")
    store.close()


def test_the_disk_has_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = made(capsys, tmp_path)
    assert len(secret) == 46
    assert secret.encode()[3:] not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert made(capsys, tmp_path) != secret


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["list"], "there is nothing yet"),
        (["revoke", "key_x"], "there is nothing yet"),
        (["create", "--project", "My Project"], "--project My Project: a name is"),
        (["create", "--label", "x" * 101], "--label has 101 characters"),
    ],
)
def test_mistakes_are_one_sentence_and_make_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["key", arguments[0], "--state", str(tmp_path / "state"), *arguments[1:]]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_no_key_is_made_for_a_server_that_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["key", "create", "--state", ":memory:"]) == 2
    assert "keeps nothing" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_key_that_is_not_there_cannot_be_revoked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(capsys, tmp_path)
    assert main(["key", "revoke", "--state", str(tmp_path), "key_0"]) == 2
    assert "has no valid key of this name" in capsys.readouterr().err


def test_keys_and_what_is_remembered_of_them_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_keys, "MOST_KEYS", 2)
    monkeypatch.setattr(lookups, "MOST_REMEMBERED", 3)
    keys = Keys(Database(tmp_path / DATABASE))
    for number in range(2):
        keys.add(f"sk-{number}", "", "p", 0)
    with pytest.raises(TooManyKeysError):
        keys.add("sk-2", "", "p", 0)
    for number in range(100):
        found = keys.find(f"sk-{number}")
        assert (found is not None) == (number < 2)
        assert len(keys._lookups._found) <= 3
    keys.close()
