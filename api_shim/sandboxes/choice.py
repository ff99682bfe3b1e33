"""Which backend a server has, and where packages may come from."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from api_shim.sandboxes.keeper import Keeper

BackendName = Literal["bubblewrap", "docker", "off"]


@dataclass(frozen=True, slots=True)
class SandboxChoice:
    backend: BackendName = "bubblewrap"
    python: str | None = None
    """The interpreter inside; None: the distribution's."""
    wheelhouse: Path | None = None
    """A folder of wheels to install from; None: no packages, unless there is an index."""
    package_index: str | None = None
    """The address of an index that a sandbox of its own may ask for packages."""

    def keeper(self) -> "Keeper":
        """Raises NoIsolationError where there is to be none."""
        from api_shim.sandboxes.backend import NoIsolationError  # noqa: PLC0415 -- `serve --help` needs none of it
        from api_shim.sandboxes.bubblewrap import PYTHON, Bubblewrap, readable_by_all  # noqa: PLC0415
        from api_shim.sandboxes.docker import Docker  # noqa: PLC0415
        from api_shim.sandboxes.keeper import Keeper  # noqa: PLC0415
        from api_shim.sandboxes.packages import PackageSource  # noqa: PLC0415

        if self.backend == "off":
            raise NoIsolationError("this server runs without sandboxes: serve with `--sandboxes bubblewrap`")
        source = PackageSource(self.wheelhouse, self.package_index)
        if self.backend == "docker":
            return Keeper(Docker(wheelhouse=self.wheelhouse), source)
        wheelhouse = self.wheelhouse
        if wheelhouse is not None and os.geteuid() == 0 and not readable_by_all(wheelhouse.resolve()):
            raise NoIsolationError(
                f"--wheelhouse {wheelhouse}: sandboxes have users of their own, who may not read it: "
                "`chmod o+rx` the folder and those above it"
            )
        bubblewrap = Bubblewrap(
            python=self.python or PYTHON, wheelhouse=None if wheelhouse is None else wheelhouse.resolve()
        )
        return Keeper(bubblewrap, source)
