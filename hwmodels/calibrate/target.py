"""Where a calibration goes: a catalogue file that a scenario can use, or a sentence about what it lacks."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from e80sim.mistakes import UserError
from hwmodels.calibrate.entry_file import MEMORY, as_yaml, entry_head, entry_of
from hwmodels.calibrate.fit import Calibration
from hwmodels.calibrate.requests.entry import CatalogueLaw, adjusted, around
from hwmodels.calibrate.requests.fit import RequestFit
from hwmodels.entry import LINK, Entry, first_error, load_entry, names
from hwmodels.gpu_iteration import GpuIteration
from hwmodels.llm import Llm


class Target:
    """Checked before the fit, which takes longer."""

    def __init__(
        self,
        out: Path,
        extends: str,
        memory: Mapping[str, float | None],
        host_ms: float | None,
        tensor_parallel: int = 1,
    ) -> None:
        """`memory` by the names in `MEMORY`.

        UserError where the file would be none of the catalogue's, or nothing states the memory: that of the
        entry it extends is another card's.
        """
        base = load_entry(extends, "gpu_iteration")
        if out.suffix != ".yaml":
            raise UserError(f"--out {out}: the name of a catalogue file ends in .yaml")
        self._memory = {name: value for name, value in memory.items() if value is not None}
        if not self._memory:
            raise UserError(_asks_for_memory(base))
        self._out = out
        self._base = base
        self._extends = extends
        self._host_ms = host_ms
        self._tensor_parallel = tensor_parallel

    def write(self, calibration: Calibration, name: str, requests: RequestFit | None = None) -> str:
        """Write the entry and tell how it is used; UserError, and no file, where nobody could use it."""
        table = calibration.table.name
        entry = entry_of(
            calibration,
            f"{name}, fitted to {table}" + ("" if requests is None else " and requests"),
            extends=self._extends,
            host_ms=self._host_ms,
            memory=self._memory,
            tensor_parallel=self._tensor_parallel,
        )
        lacking = tuple(
            estimate.name
            for estimate in calibration.estimates
            if estimate.state == "unseen" and estimate.name not in self._base.values
        )
        return self._put(entry, calibration.llm, calibration.weights, lacking, requests)

    def write_requests(self, law: CatalogueLaw, name: str, requests: RequestFit) -> str:
        """As `write`, where the law is that of the entry it extends."""
        title = f"{name}, {self._extends} fitted to requests"
        entry = entry_head(title, self._base.note, self._extends, self._memory)
        entry["fits"] = [law.section]
        return self._put(entry, requests.llm, law.weights, (), requests)

    def _put(
        self,
        entry: dict[str, Any],
        llm: Llm,
        weights: str,
        lacking: tuple[str, ...],
        requests: RequestFit | None,
    ) -> str:
        if requests is not None:
            entry["fits"] = [adjusted(section, requests) for section in entry["fits"]]
            default = self._base.values.get("async_scheduling")
            entry["values"] = entry.get("values", {}) | around(
                requests, default is not None and bool(default.value)
            )
        text = as_yaml(entry)
        self._try_out(llm, weights, text, lacking)
        try:
            self._out.write_text(text, encoding="utf-8")
        except OSError as problem:
            raise UserError(f"cannot write {self._out}: {problem.strerror}") from None
        return self._usage(llm, weights, lacking)

    def _try_out(self, llm: Llm, weights: str, text: str, lacking: tuple[str, ...]) -> None:
        """Build a node from the entry as a scenario would; what a user has to state is taken for 1."""
        with TemporaryDirectory() as folder:
            trial = Path(folder, self._out.name)
            trial.write_text(text, encoding="utf-8")
            stated = {"preset": str(trial), "weights": weights, **dict.fromkeys(lacking, 1)}
            if self._lacks_link:
                stated["link"] = names(LINK)[0]
            try:
                GpuIteration.model_validate(stated).build(llm)
            except ValidationError as error:
                raise UserError(first_error(error)) from None

    @property
    def _lacks_link(self) -> bool:
        return self._tensor_parallel > 1 and self._base.link is None

    def _usage(self, llm: Llm, weights: str, lacking: tuple[str, ...]) -> str:
        settings = [f"preset: ./{self._out.name}", *(f"{name}: YOURS" for name in lacking)]
        if weights != llm.precision():
            settings.append(f"weights: {weights}")
        if self._lacks_link:
            settings.append("link: YOURS")
        asked = (
            f"no step of the table shows {' and '.join(lacking)}, so state what it is and " if lacking else ""
        )
        use = f"use it as hardware: {{{', '.join(settings)}}} of a model with llm: {llm.name}"
        return f"{asked}{use}"


def _asks_for_memory(base: Entry) -> str:
    """The card of an entry is often not the one that was timed, and its KV pool is then not either."""
    options = [f"--{name.replace('_', '-')}" for name in MEMORY]
    told = [f"{base.values[name].value:g}" for name in MEMORY if name in base.values]
    has = f" ({base.name} has {' and '.join(told)}, perhaps of another card)" if told else ""
    return (
        f"neither steps nor requests tell of the memory{has}, and nobody knows how many sequences fit: give "
        f"{' or '.join(options)}"
    )
