"""`python -m sim` = `e80sim`. Knows the commands by name and loads only the one that was asked for.

Whatever a command meets, people are told here, and nowhere else: a mistake of theirs is one sentence.
"""

import atexit
import gc
import os
import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any, NoReturn

from e80sim.collector import YOUNG_OBJECTS, set_aside
from e80sim.environment import prefer
from e80sim.mistakes import FAILED, INTERRUPTED, USERS_MISTAKE, UserError, say

COMMANDS = {
    "init": ("sim.scenario.init_cli", "write a first scenario to change, and say what to do with it"),
    "run": ("sim.run.cli", "simulate a scenario and write its run directory and report"),
    "sweep": ("sim.study.sweep_cli", "simulate a scenario for many values of its fields"),
    "plan": ("sim.plan.cli", "find the least of a field that meets objectives, and what it costs"),
    "check": ("sim.run.cli", "validate a scenario without running it"),
    "schema": ("sim.run.cli", "print the JSON schema of scenario files"),
    "report": ("reports.cli", "rebuild report.html of a run directory"),
    "explain": ("reports.explain_cli", "say why requests of a run took as long as they did"),
    "compare": (
        "sim.validation.compare_cli",
        "show which differences of runs are real, or hold one against measurements",
    ),
    "gate": ("sim.gate.cli", "hold a scenario or a run to objectives; exit 1 where one is missed"),
    "probe": (
        "api_shim.probe.cli",
        "measure a real OpenAI-compatible endpoint gently, after its plan is confirmed",
    ),
    "calibrate": (
        "hwmodels.calibrate.cli",
        "fit hardware to step times, to requests, or to what `probe` saw",
    ),
    "aiconfigurator": ("hwmodels.aiconfigurator.cli", "fit a GPU law to aiconfigurator's kernel tables"),
    "validate": ("sim.validation.cli", "replay recorded requests and show how far the answers are off"),
    "trace": ("sim.run.trace_cli", "describe a recorded trace, rewrite it, or write a run as one"),
    "export": ("sim.run.export_cli", "write a run's requests in the file of a load tool, or as a trace"),
    "tokenizer": ("traffic.cli", "write a tokenizer folder, so that load tools count as the server does"),
    "path": ("sim.run.path_cli", "show what a request pays between two places, line by line"),
    "serve": ("api_shim.cli", "answer OpenAI clients as the scenario's platform would"),
    "key": ("api_shim.accounts.key_cli", "make, list and revoke the API keys of a server's state directory"),
    "login": ("api_shim.accounts.login_cli", "list and revoke the logins of 8080's command line"),
    "replay": ("sim.run.replay_cli", "run a recorded live run again offline, and compare every stamp"),
    "edge": ("api_shim.edge_cli", "run an application, or measure its own code on the Edge and elsewhere"),
    "load": ("api_shim.load.cli", "serve a scenario, load it with locust and write the report of both"),
    "catalog": ("hwmodels.cli", "list hardware and LLM facts with their sources"),
}

EXTRAS = {
    "aiconfigurator": "aiconfigurator",
    "serve": "shim",
    "key": "shim",
    "login": "shim",
    "edge": "shim",
    "load": "load",
    "probe": "shim",
    "sweep": "dask",
    "plan": "dask",
}
"""What a plain `pip install e80sim` leaves out."""


UNLESS_STATED = {
    # pyarrow's own pool keeps what a summary has done with: a tenth of the memory of a million requests.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # Nothing here is worth a thread per core, and to start them takes longer than to multiply.
    "OPENBLAS_NUM_THREADS": "1",
}
"""Of the environment: what libraries are to do, where the user does not say otherwise."""
LOOKS_FOR_PLUGINS = "pydantic.plugin._loader"


def usage() -> str:
    lines = [f"  {name:<14} {what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: e80sim COMMAND [...]",
            "",
            *lines,
            "",
            "`e80sim COMMAND --help` tells the rest; `e80sim --version` which program this is.",
            "",
        ]
    )


def _version() -> str:
    import platform
    from importlib.metadata import version

    from e80sim.build import build

    return f"e80sim {version('e80sim')} (Python {platform.python_version()}, {build()})\n"


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 done, 2 the user's mistake, 1 ours, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        status = _perform(arguments)
        sys.stdout.flush()
    except UserError as mistake:
        say(str(mistake))
    except BrokenPipeError:  # such as `e80sim run ... | head`: who has read enough wants no complaint
        _give_stdout_up()
        return FAILED
    except OSError as error:
        if error.filename is None and not _stdout_is_full():
            raise
        say(f"{error.filename or 'stdout'}: {error.strerror}")
    except KeyboardInterrupt:  # while the modules load; commands have their own way to stop
        return INTERRUPTED
    else:
        return status
    return USERS_MISTAKE


def _stdout_is_full() -> bool:
    """What could not be written is forgotten already, so that only another attempt can tell."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        _give_stdout_up()
        return True
    return False


def _give_stdout_up() -> None:
    """Else Python would try again at its end, and print what it thinks of it."""
    with suppress(OSError, ValueError):  # not a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _perform(arguments: list[str]) -> int:
    """Raises UserError, also for options and arguments that the command does not take."""
    name = arguments[0] if arguments else "--help"
    if name in {"-h", "--help"}:
        sys.stdout.write(usage())
        return 0
    if name == "--version":
        sys.stdout.write(_version())
        return 0
    if name not in COMMANDS:
        raise UserError(f"there is no command {name!r}{_nearest(name)}")
    prefer(UNLESS_STATED)
    thresholds = gc.get_threshold()
    gc.disable()  # what modules make stays, and looking through it while they load costs a tenth of a command
    if not COMMANDS[name][0].startswith("api_shim."):  # servers go on, and may be watched by a plugin
        _do_without_plugins()
        gc.set_threshold(YOUNG_OBJECTS, *thresholds[1:])  # more modules load once a command runs
    try:
        return _loaded_and_performed(name, arguments)
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()


def _do_without_plugins() -> None:
    """Of pydantic, unless the user says something of them.

    To look for any reads the metadata of every package there is, and what could read it loads `email`: 25 ms.
    A stand-in says that there are none; a version of pydantic that asks it for more is given its own module.
    """
    prefer({"PYDANTIC_DISABLE_PLUGINS": "__all__"})
    if os.environ["PYDANTIC_DISABLE_PLUGINS"] == "__all__":
        stand_in = ModuleType(LOOKS_FOR_PLUGINS)
        vars(stand_in).update(get_plugins=tuple, __getattr__=_of_pydantic)
        sys.modules.setdefault(LOOKS_FOR_PLUGINS, stand_in)


def _of_pydantic(name: str) -> Any:  # noqa: ANN401 -- whatever that module has
    if name.startswith("__"):  # the import system asks for such
        raise AttributeError(name)
    sys.modules.pop(LOOKS_FOR_PLUGINS, None)
    return getattr(import_module(LOOKS_FOR_PLUGINS), name)


def _loaded_and_performed(name: str, arguments: list[str]) -> int:
    from importlib.util import find_spec

    import typer
    from typer.main import get_group

    usage_error: Any = typer.BadParameter.__base__  # click's own, wherever this typer keeps it
    try:
        group = get_group(import_module(COMMANDS[name][0]).app)
        set_aside()
        gc.enable()
        status = group.main(args=arguments, prog_name="e80sim", standalone_mode=False)
    except usage_error as error:
        called = error.ctx.command_path if error.ctx else f"e80sim {name}"
        raise UserError(_sentence(error.format_message(), called)) from None
    except SystemExit as exit_:
        status = exit_.code
    except ModuleNotFoundError as error:
        lacking = (error.name or name).partition(".")[0]
        if name not in EXTRAS or lacking == name or find_spec(lacking) is not None:
            raise
        need = f"{name} needs {error.name}, which is not installed"
        raise UserError(f"{need}: pip install 'e80sim[{EXTRAS[name]}]'") from None
    return status if isinstance(status, int) else 0


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
    return f"; did you mean `{close[0]}`?" if close else f"; there are {', '.join(COMMANDS)}"


def _sentence(message: str, called: str) -> str:
    """Of click's words, such as `Missing argument 'SCENARIO'.`, or pydantic's, where typer asks that."""
    words = " ".join(message.split()).rstrip(".")
    words = words.replace("Value error, ", "").replace("Input should be", "it must be")
    words = words.partition(", unable to parse")[0]
    return f"{words[:1].lower()}{words[1:]}; see {called} --help"


def program() -> NoReturn:
    """`main` as a whole process: what is in memory then goes with it, and not object by object."""
    status = main()
    atexit._run_exitfuncs()  # noqa: SLF001 -- what exiting would do first, then the rest of it is left out
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    program()
