"""`e80sim login list|revoke`: who has logged in to a server with 8080's command line, also while it runs."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from e80sim.mistakes import UserError, say

app = typer.Typer(add_completion=False)
login = typer.Typer(help="List and revoke the logins of 8080's command line (`8080 login`).")
app.add_typer(login, name="login")

State = Annotated[
    Path, typer.Option(metavar="DIR", help="the server's state directory, as after `serve --state`")
]


@login.command(name="list")
def list_command(state: State) -> None:
    """List the logins by their names, which are those in records."""
    from api_shim.accounts.state_directory import opened
    from api_shim.store.logins import Logins

    with opened(state) as database:
        for each in Logins(database).all():
            made = datetime.fromtimestamp(each.created_s, UTC).isoformat(timespec="seconds")
            typer.echo(f"{each.name}  {'valid  ' if each.revoked_s is None else 'revoked'}  {made}")


@login.command()
def revoke(
    state: State,
    name: Annotated[str, typer.Argument(metavar="NAME", help="as `login list` shows it: login_...")],
) -> None:
    """End a login for good. The server refuses its token from the next request on."""
    from api_shim.accounts.state_directory import opened
    from api_shim.store.logins import Logins

    with opened(state) as database:
        if not Logins(database).revoke(name, datetime.now(UTC).timestamp()):
            raise UserError(
                f"{name}: --state {state} has no valid login of this name; `e80sim login list` shows them"
            )
    say(f"{name} is revoked")
