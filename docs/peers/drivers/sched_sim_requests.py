"""FOLDER OUT SETTINGS, by the interpreter that has sched-sim: its classes, as its own command uses them.

It has one engine, so each node is a run of its own, with the requests that are routed to it in turn.
"""

import json
import sys
from pathlib import Path

from sched_sim.core.event_engine import Simulator
from sched_sim.core.request import Request
from sched_sim.hardware.profile import HardwareProfile
from sched_sim.schedulers.factory import create_scheduler

folder, out, settings = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
rows = json.loads((folder / "rows.json").read_text())
served = []
for node in range(settings["nodes"]):
    requests = [
        Request(
            request_id=str(number),
            arrived_at=row["timestamp"],
            prompt_tokens=row["prompt_tokens"],
            output_tokens=row["output_tokens"],
        )
        for number, row in enumerate(rows)
        if number % settings["nodes"] == node
    ]
    hardware = HardwareProfile(**settings["hardware"])
    scheduler = create_scheduler(
        "chunked",
        hardware,
        token_budget=settings["max_num_batched_tokens"],
        max_batch_size=settings["max_num_seqs"],
    )
    simulator = Simulator(hardware, scheduler)
    simulator.submit_workload(requests)
    simulator.run()
    served += [one for one in requests if one.completed_at is not None]

out.write_text(
    json.dumps(
        {
            "requests": len(served),
            "output_tokens": sum(one.decoded_tokens for one in served),
            "span_s": max(one.completed_at for one in served),
            "mean_ttft_ms": 1000 * sum(one.first_token_at - one.arrived_at for one in served) / len(served),
            "mean_e2e_ms": 1000 * sum(one.completed_at - one.arrived_at for one in served) / len(served),
        }
    )
)
