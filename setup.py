"""Compiles the hot path with mypyc, where a C compiler is at hand. `docs/compiled.md` says when it is used.

What is made lies in `e80sim/compiled/`, beside no source: `e80sim/build.py` takes it only for the sources
that it was made from. All else about the package stands in `pyproject.toml`.
"""

import json
import os
import shlex
import shutil
import sys
import sysconfig
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

sys.path.insert(0, str(Path(__file__).parent))
from e80sim.build import GROUP, LIBRARY, digests, sources

# fmt: off
ROOMS = {
    "hwmodels": [
        "shared_step", "step_time"
    ],
    "sim.callers": [
        "origin", "sources"
    ],
    "sim.network": [
        "connections", "keep_alive", "line", "transport", "trouble"
    ],
    "sim.node": [
        "async_scheduling", "batch", "cache_log", "cached_runs", "fair_queue", "fast_forward", "kernel",
        "kv_demand", "kv_pool", "lockstep", "node", "preemption_log", "prefix_pool", "progression",
        "queue_limits", "queue_orders", "step_engine", "waiting_queue", "whole_batches", "whole_prefill",
        "work"
    ],
    "sim.platform": [
        "budget", "disaggregated", "gateway", "least", "links", "loads", "members", "meter", "platform",
        "pool", "rate_limit", "recorder", "refusals", "routing", "ticket", "token_bucket", "window_meters"
    ],
    "sim.time": [
        "timeline", "units"
    ],
    "traffic": [
        "request"
    ],
}
"""Modules that run for every request. What works on arrays gains nothing: numpy is compiled already."""
MODULES = [f"{room}.{name}" for room, names in ROOMS.items() for name in names]
# fmt: on

MYPY = ["--config-file=", "--follow-imports=skip", "--ignore-missing-imports", "--explicit-package-bases"]
"""`make check` is strict. Types of other modules and of libraries would cost most of the time, and buy
little."""

C_FILES = Path("build", "compiled")
FLAGS = ["-O1", "-g0", "-fvisibility=hidden", "-Wno-error"]

ENTRY = """
PyMODINIT_FUNC PyInit_{tail}(void) {{ return module("init_{exported}", "{library}.init_{exported}"); }}
"""
ENTRIES = """
#include <Python.h>
/* One library holds all modules; the import system asks each by its last name. */
static PyObject *module(const char *attribute, const char *capsule_name) {{
    PyObject *group = PyImport_ImportModule("{library}");
    if (group == NULL) return NULL;
    PyObject *capsule = PyObject_GetAttrString(group, attribute);
    Py_DECREF(group);
    if (capsule == NULL) return NULL;
    PyObject *(*init)(void) = (PyObject *(*)(void))PyCapsule_GetPointer(capsule, capsule_name);
    Py_DECREF(capsule);
    return init == NULL ? NULL : init();
}}
"""


def obstacle() -> str:
    """Why nothing can be compiled here; empty where it can."""
    if os.environ.get("E80SIM_PURE"):
        return "E80SIM_PURE is set"
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return f"there is no Python.h of Python {sysconfig.get_python_version()}"
    try:
        import mypyc.build  # noqa: F401, PLC0415 -- whether it is there
    except ImportError:
        return "there is no mypyc, which comes with mypy"
    return ""


def fill(extension: Extension) -> None:
    """With all modules, as one library. Raises SystemExit where mypyc refuses them."""
    from mypyc.build import mypycify  # noqa: PLC0415 -- not everywhere
    from mypyc.namegen import exported_name  # noqa: PLC0415

    tails = [name.rpartition(".")[2] for name in MODULES]
    assert len(set(tails)) == len(tails), "two modules of one last name"
    files = [str(path) for path in sources(Path(), MODULES)]
    group, *_ = mypycify([*MYPY, *files], group_name=GROUP, multi_file=True, target_dir=str(C_FILES))
    entries = [
        ENTRY.format(tail=tail, exported=exported_name(name), library=LIBRARY)
        for name, tail in zip(MODULES, tails, strict=True)
    ]
    path = C_FILES / "entries.c"
    path.write_text(ENTRIES.format(library=LIBRARY) + "".join(entries), encoding="utf-8")
    extension.sources = [*group.sources, str(path)]
    extension.include_dirs = group.include_dirs
    extension.extra_compile_args = [*group.extra_compile_args, *FLAGS]


class BuildCompiled(build_ext):
    """With all processors, and only what has changed."""

    def run(self) -> None:
        if self.editable_mode:
            return  # `tools/compiled` does that, and says so
        known = digests(Path(), MODULES)
        made = Path(self.get_ext_fullpath(self.extensions[0].name))
        made.parent.mkdir(parents=True, exist_ok=True)
        try:
            fill(self.extensions[0])
            super().run()
        except (SystemExit, CompileError, LinkError) as error:
            who = "mypyc" if isinstance(error, SystemExit) else "the C compiler"
            print(f"{who} refuses these modules: the build goes on pure", file=sys.stderr)  # noqa: T201
            return
        made.with_name("sources.json").write_text(
            json.dumps({"library": made.name, "sources": known}, indent=1)
        )

    def build_extensions(self) -> None:
        self.compiler.compile = self._compile_all(self.compiler.compile)
        super().build_extensions()

    def _compile_all(self, compile_some: Callable[..., object]) -> Callable[..., list[str]]:
        common = max(path.stat().st_mtime for path in [*C_FILES.rglob("*.h"), Path(__file__)])

        def compile_all(files: list[str], output_dir: str, **options: object) -> list[str]:
            def compile_one(file: str) -> str:
                (made,) = self.compiler.object_filenames([file], output_dir=output_dir)
                if not _is_newer(Path(made), Path(file), common):
                    compile_some([file], output_dir=output_dir, **options)
                return str(made)

            with ThreadPoolExecutor(os.cpu_count()) as pool:
                return list(pool.map(compile_one, files))

        return compile_all


def _is_newer(made: Path, file: Path, common: float) -> bool:
    return made.exists() and made.stat().st_mtime > max(file.stat().st_mtime, common)


why = obstacle()
if why:
    print(f"e80sim is not compiled: {why}", file=sys.stderr)  # noqa: T201
setup(
    ext_modules=[] if why else [Extension(f"e80sim.compiled.{LIBRARY}", [])],
    cmdclass={"build_ext": BuildCompiled},
)
