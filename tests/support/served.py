"""The live server as its users have it: a process that says on stderr where it listens."""

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import yaml

from tests.support.live import scenario_of_llama


class Served:
    """`e80sim serve` in a process of its own, on a port that is free. `end` it."""

    def __init__(self, file: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sim", "serve", str(file), "--port", "0", *options],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(60), self.lines

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())
            if "models:" in line:
                self._ready.set()
        self._ready.set()

    @property
    def urls(self) -> list[str]:
        return re.findall(r"(http://[\d.:]+)/v1", "\n".join(self.lines))

    def end(self, timeout_s: float = 30) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout_s)
        self._reader.join(timeout_s)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


def serve(folder: Path, *options: str, **sections: Any) -> Served:
    """The Llama model of `tests.support.live`; the file goes to the folder."""
    file = folder / "served.yaml"
    file.write_text(
        yaml.safe_dump(
            scenario_of_llama(**sections).model_dump(mode="json", exclude_unset=True), sort_keys=False
        )
    )
    return Served(file, *options)
