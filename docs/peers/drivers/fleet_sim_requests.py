"""FOLDER OUT SETTINGS, by the interpreter that has vllm-sr-sim. Its own command only draws its requests."""

import json
import sys
from pathlib import Path

from fleet_sim.core.fleet import Fleet, FleetConfig, PoolConfig
from fleet_sim.core.request import Request
from fleet_sim.gpu_profiles.builder import ProfileBuilder, ServingConfig
from fleet_sim.hardware.catalog import H100_SXM
from fleet_sim.models.catalog import LLAMA_3_1_8B

folder, out, settings = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
rows = json.loads((folder / "rows.json").read_text())
profile = ProfileBuilder().build(H100_SXM, LLAMA_3_1_8B, ServingConfig())
pool = PoolConfig("gpt", profile, settings["nodes"], settings["max_ctx"], lb_strategy="round_robin")
fleet = Fleet(FleetConfig([pool], router_type="LeastLoadedRouter"))
result = fleet.run(
    [
        (row["timestamp"], Request(number, row["timestamp"], row["prompt_tokens"], row["output_tokens"]))
        for number, row in enumerate(rows)
    ]
)
served = result.completed
out.write_text(
    json.dumps(
        {
            "requests": len(served),
            "output_tokens": sum(one.l_out for one in served),
            "span_s": max(one.physical_end_time for one in served),
            "mean_ttft_ms": 1000 * sum(one.ttft for one in served) / len(served),
            "mean_e2e_ms": 1000 * sum(one.e2e_latency for one in served) / len(served),
        }
    )
)
