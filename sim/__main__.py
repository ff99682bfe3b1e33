"""`python -m sim` = `e80sim`. Knows the commands by name and loads only the one that was asked for."""

import sys
from importlib import import_module

COMMANDS = {
    "run": ("sim.run.cli", "simulate a scenario and write its run directory and report"),
    "check": ("sim.run.cli", "validate a scenario without running it"),
    "schema": ("sim.run.cli", "print the JSON schema of scenario files"),
    "report": ("reports.cli", "rebuild report.html of a run directory"),
    "compare": ("reports.compare_cli", "show finished runs side by side, with what changes between them"),
    "calibrate": ("hwmodels.calibrate.cli", "fit a GPU law to a table of step times"),
    "validate": ("sim.validation.cli", "replay recorded requests and show how far the answers are off"),
    "trace": ("traffic.cli", "describe a recorded trace, or rewrite it in another format"),
    "path": ("sim.network.cli", "show what a request pays between two places, line by line"),
    "serve": ("api_shim.cli", "answer OpenAI clients as the scenario's platform would"),
    "replay": ("sim.run.replay_cli", "run a recorded live run again offline, and compare every stamp"),
    "load": ("api_shim.load.cli", "serve a scenario, load it with locust and write the report of both"),
    "catalog": ("hwmodels.cli", "list hardware and LLM facts with their sources"),
}

USAGE_ERROR = 2
INTERRUPTED = 130


def usage() -> str:
    lines = [f"  {name:<10} {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(
        ["usage: e80sim COMMAND [...]", "", *lines, "", "`e80sim COMMAND --help` tells the rest.", ""]
    )


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 2 the user's mistake, 1 ours, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in {"-h", "--help"}:
        sys.stdout.write(usage())
        return 0
    if arguments[0] not in COMMANDS:
        sys.stderr.write(f"e80sim: there is no command {arguments[0]!r}\n\n{usage()}")
        return USAGE_ERROR
    try:
        from typer.main import get_group

        app = import_module(COMMANDS[arguments[0]][0]).app
        status = get_group(app).main(args=arguments, prog_name="e80sim")
    except SystemExit as exit_:
        status = exit_.code
    except KeyboardInterrupt:  # while the modules load; commands have their own way to stop
        status = INTERRUPTED
    return status if isinstance(status, int) else 0


if __name__ == "__main__":
    sys.exit(main())
