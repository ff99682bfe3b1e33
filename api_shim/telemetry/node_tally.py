"""What vLLM counts of requests, of one node: each completion by itself, from when it came to the node."""

from collections import Counter

from api_shim.clocks.histogram import Histogram
from api_shim.telemetry.kinds import OF_REQUESTS
from api_shim.telemetry.step_tally import StepTally
from sim.node.kernel import Boundary, Sequence
from sim.node.queue_limits import QueueFull
from sim.platform.ticket import Ticket, capped
from traffic.request import Request


class NodeTally(StepTally):
    """Counts first tokens when they are there, and the rest when a sequence ends, as vLLM does."""

    def __init__(self) -> None:
        super().__init__()
        self.histograms = {name: Histogram(kind.bounds) for name, kind in OF_REQUESTS.items()}
        self.ended: Counter[str] = Counter()
        """By vLLM's reason: `stop`, `length`, `abort`."""
        self.rejected: Counter[str] = Counter()
        """By the limit."""
        self.prompt_tokens = 0
        """Of sequences whose prefill has ended."""
        self.cached_tokens = 0
        """Of those."""

    def refused(self, full: QueueFull) -> None:
        self.rejected[full.setting] += 1

    def never_started(self, request: Request) -> None:
        self.ended["abort"] += request.samples

    def passed(self, boundary: Boundary) -> None:
        for sequence in boundary.firsts:
            ttft_ps = sequence.first_ps - _ticket_of(sequence).admitted_ps
            self.histograms["time_to_first_token_seconds"].observe(ttft_ps)
            self.prompt_tokens += sequence.prompt_tokens
            self.cached_tokens += sequence.cached_tokens
        for sequence in boundary.ended:
            if sequence.generated < sequence.output_tokens:
                self.ended["abort"] += 1
            else:
                self._completed(sequence, _ticket_of(sequence))

    def _completed(self, sequence: Sequence, ticket: Ticket) -> None:
        request, of = ticket.request, self.histograms
        started_ps, first_ps, last_ps = sequence.started_ps, sequence.first_ps, sequence.last_ps
        self.ended["length" if capped(request) else "stop"] += 1
        of["e2e_request_latency_seconds"].observe(last_ps - ticket.admitted_ps)
        of["request_queue_time_seconds"].observe(started_ps - ticket.admitted_ps)
        of["request_prefill_time_seconds"].observe(first_ps - started_ps)
        of["request_decode_time_seconds"].observe(last_ps - first_ps)
        of["request_inference_time_seconds"].observe(last_ps - started_ps)
        if sequence.output_tokens > 1:
            mean_gap_ps = (last_ps - first_ps) // (sequence.output_tokens - 1)
            of["request_time_per_output_token_seconds"].observe(mean_gap_ps)
        of["request_prompt_tokens"].observe(sequence.prompt_tokens)
        of["request_generation_tokens"].observe(sequence.generated)
        of["request_prefill_kv_computed_tokens"].observe(sequence.prompt_tokens - sequence.cached_tokens)
        of["request_num_preemptions"].observe(sequence.preemptions)
        if request.max_output_tokens is not None:
            of["request_params_max_tokens"].observe(request.max_output_tokens)
        if sequence is ticket.sequences[0]:  # of all completions of a prompt once
            of["request_max_num_generation_tokens"].observe(sequence.generated)
            of["request_params_n"].observe(request.samples)


def _ticket_of(sequence: Sequence) -> Ticket:
    ticket = sequence.owner
    assert isinstance(ticket, Ticket), ticket
    return ticket
