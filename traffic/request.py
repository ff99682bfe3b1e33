"""What is asked of the platform: sizes and places, never text."""

from dataclasses import dataclass
from typing import Literal

CallerKind = Literal["source", "app", "key", "inside"]
"""`inside` are parts of the platform itself, which have no way to go to its gateway."""

INTERACTIVE_PRIORITY = 0
BATCH_PRIORITY = 100
"""Of work whose caller can wait for hours. There is room between the two for classes of a user's own."""
LEAST_PRIORITY = 1_000_000
"""The last to be served; the first has this with a minus."""

KEEP_ALIVE_S = 4.0
"""A stream that has no token opens with a comment after this time, and has another each time it passes again:
8080's clients give up after 5 s of silence."""

Prefix = tuple[tuple[str, int], ...]
"""What prompts have in common: the origins of a prompt's tokens from its first on, by name, each with the
number of tokens up to its end; ends grow. Prompts whose origins begin alike have equal tokens there.

The last end may lie in the answer or behind it, which then is of that origin too: a conversation's. Tokens
behind all of them are nobody else's.
"""


@dataclass(slots=True, init=False)
class Request:
    """One model request. Nothing ever changes it; to freeze it would triple the price of making one.

    `output_tokens` is known here: it was sampled by a source, or planned by the shim's content. The model
    itself only ever acts on it when that token is reached.
    """

    number: int
    """Unique in a run; breaks ties between requests of the same instant."""
    model: str
    """The scenario's short name of the model."""
    prompt_tokens: int
    output_tokens: int
    max_output_tokens: int | None
    """The cap the caller stated, None for none. Limits reserve by it."""
    intended_ps: int
    """When the caller meant to send: latency counts from here."""
    place: str
    """Where the caller of the model is."""
    caller: str
    """Whose connections carry it, as `caller_named` writes it."""
    project: str
    key: str
    source: str
    tenant: str
    stream: bool = True
    samples: int = 1
    """How many completions of the one prompt (`n` in the API)."""
    deadline_ps: int | None = None
    """The caller gives up at this time."""
    priority: int = INTERACTIVE_PRIORITY
    """As vLLM's: the lower goes first where a node's queue looks at it."""
    batch: bool = False
    """Work of a batch job, which has limits of its own and spends nothing of the interactive ones."""
    parent: int = -1
    """Number of the user request that this call serves, -1 for none."""
    session: int = -1
    """Which conversation of its source it belongs to, -1 for none."""
    turn: int = 0
    """Its place in that conversation."""
    attempt: int = 0
    """0 for the first try; a retry is a request of its own, and so is the copy of a hedge."""
    ask: int = -1
    """Number of the first attempt of the same ask, -1 of that itself."""
    read_timeout_ps: int | None = None
    """Its client gives up this attempt when it has heard nothing for so long."""
    tier: str = ""
    """Of its project, where limits differ by it."""
    fairness_id: str = ""
    """Whose turn it takes where gateways queue fairly; empty: its project's."""
    ttft_objective_ps: int | None = None
    """How soon its first token is wanted, where gateways queue by that."""
    prefix: Prefix = ()
    node: int | None = None
    """Of the model's nodes the one that its caller has chosen, past the platform's gateway; None: routed."""
    cached_tokens: int = 0
    """Of the prompt, in the KV cache of whichever node takes it: as recorded of a server, fewer than all."""

    def __init__(
        self,
        number: int,
        model: str,
        prompt_tokens: int,
        output_tokens: int,
        max_output_tokens: int | None,
        intended_ps: int,
        place: str,
        caller: str,
        project: str,
        key: str,
        source: str,
        tenant: str,
        stream: bool = True,
        samples: int = 1,
        deadline_ps: int | None = None,
        priority: int = INTERACTIVE_PRIORITY,
        batch: bool = False,
        parent: int = -1,
        session: int = -1,
        turn: int = 0,
        attempt: int = 0,
        ask: int = -1,
        read_timeout_ps: int | None = None,
        tier: str = "",
        fairness_id: str = "",
        ttft_objective_ps: int | None = None,
        prefix: Prefix = (),
        node: int | None = None,
        cached_tokens: int = 0,
    ) -> None:
        """Written out, as that of a dataclass is interpreted whatever is compiled."""
        self.number = number
        self.model = model
        self.prompt_tokens = prompt_tokens
        self.output_tokens = output_tokens
        self.max_output_tokens = max_output_tokens
        self.intended_ps = intended_ps
        self.place = place
        self.caller = caller
        self.project = project
        self.key = key
        self.source = source
        self.tenant = tenant
        self.stream = stream
        self.samples = samples
        self.deadline_ps = deadline_ps
        self.priority = priority
        self.batch = batch
        self.parent = parent
        self.session = session
        self.turn = turn
        self.attempt = attempt
        self.ask = ask
        self.read_timeout_ps = read_timeout_ps
        self.tier = tier
        self.fairness_id = fairness_id
        self.ttft_objective_ps = ttft_objective_ps
        self.prefix = prefix
        self.node = node
        self.cached_tokens = cached_tokens


def caller_named(kind: CallerKind, name: str) -> str:
    """Callers of one name and different kinds are apart, with connections of their own."""
    return f"{kind}/{name}"


def is_key(caller: str) -> bool:
    """Whether it is an API key, of which there can be any number."""
    return caller.startswith("key/")
