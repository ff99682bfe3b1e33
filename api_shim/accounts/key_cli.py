"""`e80sim key create|list|revoke`: the keys that a server on a state directory takes, also while it runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e80sim.mistakes import UserError, say

if TYPE_CHECKING:
    from api_shim.store.keys import Keys

app = typer.Typer(add_completion=False)
key = typer.Typer(help="Make, list and revoke API keys. Once there is one, a server takes no others.")
app.add_typer(key, name="key")

State = Annotated[
    Path, typer.Option(metavar="DIR", help="the server's state directory, as after `serve --state`")
]


@key.command()
def create(
    state: State,
    project: Annotated[str, typer.Option(metavar="NAME", help="whose limits and files it has")] = "default",
    label: Annotated[str, typer.Option(metavar="TEXT", help="to know it by in the list")] = "",
) -> None:
    """Make a key and print it, this once: only a digest of it is kept."""
    from api_shim.accounts.new_key import NotAKeyError, check, make_key
    from api_shim.store.keys import MOST_KEYS, TooManyKeysError

    try:
        check(project, label)
    except NotAKeyError as error:
        raise UserError(f"--{error}") from None
    with _keys(state, make=True) as keys:
        try:
            secret, made = make_key(keys, project, label, _now_s())
        except TooManyKeysError:
            raise UserError(f"--state {state} has {MOST_KEYS:,} keys, which is all that it takes") from None
    say(f"{made.name} of project {project}; it is not shown again")
    typer.echo(secret)


@key.command(name="list")
def list_command(state: State) -> None:
    """List the keys by their names, which are those in records, with project, state and label."""
    with _keys(state) as keys:
        for each in keys.all():
            made = datetime.fromtimestamp(each.created_s, UTC).isoformat(timespec="seconds")
            standing = "valid" if each.revoked_s is None else "revoked"
            typer.echo(f"{each.name}  {standing:<7}  {each.project}  {made}  {each.label}".rstrip())


@key.command()
def revoke(
    state: State, name: Annotated[str, typer.Argument(metavar="NAME", help="as `key list` shows it: key_...")]
) -> None:
    """End a key for good. The server refuses it from its next request on."""
    with _keys(state) as keys:
        if not keys.revoke(name, _now_s()):
            raise UserError(
                f"{name}: --state {state} has no valid key of this name; `e80sim key list` shows them"
            )
    say(f"{name} is revoked")


@contextmanager
def _keys(state: Path, *, make: bool = False) -> "Iterator[Keys]":
    from api_shim.accounts.state_directory import opened
    from api_shim.store.keys import Keys

    with opened(state, make=make) as database:
        yield Keys(database)


def _now_s() -> float:
    return datetime.now(UTC).timestamp()
