#!/usr/bin/env bash
# guidellm 0.8.1: `kind=poisson` repeats each gap between requests ten times: 0.102 s ten times, then 0.003 s ten times, and so on.
# It sends from ten processes, and each draws its gaps from a generator of the same seed. The mean is as asked, but a short gap is a
# burst of ten requests and a long one ten slow ones, so that the variance of counts is about ten times Poisson's: queues and tails
# are those of another load, which changes with the number of processes. GUIDELLM__MAX_WORKER_PROCESSES=1 draws each gap once. (Here
# its scheduler runs with a backend that answers at once; `guidellm run --profile kind=poisson,rate=10` sends alike.)
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps guidellm==0.8.1 # what it brings is torch and more
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check culsans==0.10.0 loguru==0.7.3 msgpack==1.2.4 \
  pydantic==2.14.4 pydantic-settings==2.16.3 uvloop==0.23.0
cat > "$folder/ask.py" <<'PY'
import asyncio
import statistics

from guidellm.scheduler import AsyncPoissonStrategy, NonDistributedEnvironment, Scheduler
from guidellm.scheduler.schemas import ConversationGraph, ConversationNode
from guidellm.schemas.base import RequestSettings


class Answers:
    processes_limit = requests_limit = None
    info = {}

    async def process_startup(self):
        pass

    async def validate(self):
        pass

    async def process_shutdown(self):
        pass

    async def resolve(self, request, request_info, history=None):
        yield "yes", request_info


async def main():
    asked = []
    for number in range(101):
        node = ConversationNode(node_id="only", agent_id="one", request="Say yes.", settings=RequestSettings())
        asked.append(ConversationGraph(graph_id=str(number), nodes={"only": node}, edges=[]))
    due = {}
    poisson = AsyncPoissonStrategy(rate=10.0)
    async for _, _, info, _ in Scheduler().run(asked, Answers(), poisson, NonDistributedEnvironment()):
        if info.timings.targeted_start:
            due[info.conversation_id] = info.timings.targeted_start
    times = sorted(due.values())
    gaps = [round(later - sooner, 4) for sooner, later in zip(times, times[1:])]
    print(f"{len(gaps)} gaps, {len(set(gaps))} different ones, the first thirty:", *gaps[:30])


if __name__ == "__main__":
    asyncio.run(main())
PY
told=$("$folder/venv/bin/python" "$folder/ask.py")
echo "$told"
alone=$(GUIDELLM__MAX_WORKER_PROCESSES=1 "$folder/venv/bin/python" "$folder/ask.py")
echo "one process: $alone"
different() { sed 's/^100 gaps, \([0-9]*\) different.*/\1/' <<< "$1"; }
[ "$(different "$told")" -lt 30 ]
[ "$(different "$alone")" -gt 90 ]
