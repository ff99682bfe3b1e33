"""The package's own files: which GPUs and models it has tables for, and what it says of them."""

import json
from importlib.metadata import version
from importlib.resources import files
from typing import Any, NamedTuple

import yaml

from e80sim.mistakes import UserError
from e80sim.plain_yaml import Loader
from hwmodels.aiconfigurator.kernels import ENGINE
from hwmodels.entry import nearest

PACKAGE = "aiconfigurator_core"
CONFIG = "_config.json"
NO_GPUS = frozenset({"attention_lane_defaults", "perf_data_reuse_manifest", "query_versions"})


class System(NamedTuple):
    """A GPU as the package describes it."""

    name: str
    memory_gb: float
    """In 1e9 bytes."""
    bandwidth_gb_per_s: float
    source: str


def release() -> str:
    return version("aiconfigurator-core")


def engine_version(system: str) -> str:
    """Of the engine whose kernels were measured on this GPU."""
    from aiconfigurator_core.sdk.perf_database import resolve_query_version  # noqa: PLC0415

    return str(resolve_query_version(system, ENGINE, "current"))


def system(name: str) -> System:
    """UserError names the nearest one, and where there are no measured kernels."""
    folder = files(PACKAGE) / "systems"
    known = {
        path.name.removesuffix(".yaml") for path in folder.iterdir() if path.name.endswith(".yaml")
    } - NO_GPUS
    if name not in known:
        raise UserError(f"aiconfigurator-core knows {nearest('GPU', name, known)}")
    if not (folder / "data" / name / "gemm" / ENGINE).is_dir():
        able = sorted(gpu for gpu in known if (folder / "data" / gpu / "gemm" / ENGINE).is_dir())
        raise UserError(
            f"aiconfigurator-core {release()} has no kernels measured with {ENGINE} on {name}: it has them "
            f"for {', '.join(able)}"
        )
    told: Any = yaml.load((folder / f"{name}.yaml").read_text(encoding="utf-8"), Loader)  # noqa: S506  (safe)
    gpu = told["gpu"]
    source = f"aiconfigurator-core {release()}, systems/{name}.yaml"
    return System(name, gpu["mem_capacity"] / 1e9, gpu["mem_bw"] / 1e9, source)


def config(model: str) -> dict[str, Any]:
    """The model's config.json; UserError where the package ships none, for it would ask the hub."""
    folder = files(PACKAGE) / "model_configs"
    names = (path.name for path in folder.iterdir())
    known = [name.removesuffix(CONFIG).replace("--", "/") for name in names if name.endswith(CONFIG)]
    known = [name for name in known if not name.endswith("_hf_quant")]
    if model not in known:
        raise UserError(f"aiconfigurator-core knows {nearest('model', model, known)}")
    found: dict[str, Any] = json.loads(
        (folder / f"{model.replace('/', '--')}{CONFIG}").read_text(encoding="utf-8")
    )
    return found
