"""When nodes were at work is found once for all numbers of a study that rest on it."""

from typing import Any

import pytest

from reports import busy
from reports.metrics import Window
from reports.reduced import reduced
from tests.support.synthetic import synthetic_run


def test_a_reduced_run_looks_for_busy_nodes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tables, manifest = synthetic_run(400, variants=1, replications=2, with_app=False)
    asked: list[int] = []
    honest = busy.busy_spans

    def counted(requests: Any, of_model: Any, horizon_ps: int) -> Any:
        asked.append(horizon_ps)
        return honest(requests, of_model, horizon_ps)

    monkeypatch.setattr(busy, "busy_spans", counted)
    found = reduced(tables, manifest["facts"], Window.of(manifest["warm_up_s"], manifest["horizon_s"]))
    assert len(asked) == 1  # for the verdict, the utilisation and the energy of its only model
    (model,) = found["models"]
    assert 0 < model["utilisation"]["value"] <= 1
