"""A command that has subcommands, and also takes arguments of its own."""

from typing import Any

from typer.core import TyperGroup


class DefaultCommand(TyperGroup):
    """Without the name of another subcommand it is `run` that is meant: `sweep FILE` is `sweep run FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 -- click's own
        named = args[:1] and args[0] in self.commands
        return super().parse_args(ctx, args if named else ["run", *args])
