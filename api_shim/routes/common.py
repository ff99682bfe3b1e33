"""What the endpoints that generate text share."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from json import JSONEncoder
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from api_shim.accounts.callers import PLACE_HEADER, Caller
from api_shim.content.plan import ContentAsk
from api_shim.exchange.asker import Asker
from api_shim.exchange.chunk_writer import LOGPROBS_AT_ONCE, TOKENS_AT_ONCE, ChunkWriter, RunningUsage
from api_shim.exchange.event_stream import EventStream, TokensAsTheyCome
from api_shim.exchange.exchange import ClientGoneError, Exchange
from api_shim.exchange.request_trace import RequestTrace
from api_shim.exchange.stamps import RawHeaders, limit_headers, processing_ms, stamp_headers
from api_shim.exchange.stream_faults import STREAM_FAULTS, StreamFault, stream_fault
from api_shim.generating import AnyUnderstood, BodyOrigin, Generating, close
from api_shim.node_ports import CONNECTIONS, PLACE, NodePort
from api_shim.shim import OUTPUT_HEADER, ServedModel, Shim
from api_shim.tracing.kept import WhoAsks
from api_shim.tracing.open_trace import OpenTrace
from api_shim.tracing.span_ids import valid_traceparent
from api_shim.wire.body import read
from api_shim.wire.chat_body import Sampling
from api_shim.wire.errors import LONGEST_ECHO, ApiError, bad_value, unknown_model
from api_shim.wire.said import Said
from sim.time.units import PS_PER_MS
from traffic.retry_profiles import MOST_RETRIES

Json = dict[str, Any]
COMMENT_HEADER = "x-sim-comment"
FAULT_HEADER = "x-sim-stream-fault"
ANSWER_HEADERS: Json = {
    name: {"description": text, "schema": {"type": kind}}
    for name, kind, text in (
        ("x-request-id", "string", "the client's own, or the server's"),
        ("x-sim-number", "integer", "`number` in the records of a run"),
        ("x-sim-place", "string", "where the caller is"),
        ("x-sim-node", "integer", "which node of the model's answered"),
        *(
            (f"x-sim-{stamp}-ps", "integer", f"simulated picoseconds at which {what}")
            for stamp, what in (
                ("sent", "the request left the caller"),
                ("connected", "its connection stood"),
                ("arrived", "it reached the platform"),
                ("admitted", "it was admitted"),
                ("started", "its prefill began"),
                ("first", "its first token was made"),
                ("last", "its last token was made"),
                ("first-seen", "the first token reached the caller"),
                ("ended", "the answer was over for the caller"),
                ("now", "these headers were written"),
            )
        ),
        ("x-sim-lateness-ms", "number", "how far the wall clock was behind the simulated one"),
        ("openai-processing-ms", "integer", "simulated time inside the platform"),
        ("x-ratelimit-limit-requests", "integer", "where the key has limits, as all that follow"),
        ("x-ratelimit-limit-tokens", "integer", "a minute's"),
        ("x-ratelimit-remaining-requests", "integer", "left of them"),
        ("x-ratelimit-remaining-tokens", "integer", "left of them"),
        ("x-ratelimit-reset-requests", "string", "until all are back, as `1m0.5s`"),
        ("x-ratelimit-reset-tokens", "string", "until all are back, as `1m0.5s`"),
    )
}
"""As OpenAPI describes them; those of stamps that are not known yet are left out, as on a stream."""
ENCODER = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
"""As Starlette writes JSON, so that an answer is the same either way."""
in_one_go = ENCODER.encode
Encode = Callable[[object], str]
JSON = b"content-type", b"application/json"
FAIRNESS_HEADERS = ("x-llm-d-inference-fairness-id", "x-gateway-inference-fairness-id")
"""llm-d's, and what the Gateway API Inference Extension calls it."""
TTFT_HEADERS = ("x-llm-d-slo-ttft-ms", "x-slo-ttft-ms")
RETRY_HEADER = "x-stainless-retry-count"
"""Of OpenAI's clients, in any language."""
LONGEST_FAIRNESS_ID = 200
MOST_OBJECTIVE_MS = 86_400_000
ON_OR_OFF = {"on": True, "off": False}
CLIENT_CLOSED_REQUEST = 499
"""nginx's; nobody is left to see it."""


def shim_of(request: Request) -> Shim:
    shim: Shim = request.app.state.shim
    return shim


def node_of(request: Request) -> NodePort | None:
    """Whose port it came to, if it is that of a node."""
    node: NodePort | None = request.scope["state"]["node"]
    return node


def check_model(request: Request, model: ServedModel) -> None:
    """Raises ApiError 404 where it came to a node of another one."""
    node = node_of(request)
    if node is not None and node.model != model.name:
        raise unknown_model(model.id)


def asker_of(shim: Shim, request: Request, trace: RequestTrace | None) -> Asker:
    """Raises ApiError where a header is wrong."""
    state, server = request.scope["state"], request.scope.get("server")
    said: Said = state["said"]
    caller: Caller = state["caller"]
    node: NodePort | None = state["node"]
    stated, stated_place = _stated_output(said), said.get(PLACE_HEADER)
    place = shim.callers.place(caller, stated_place, server[1] if server else None)
    if node is not None and stated_place is None:
        caller, place = replace(caller, connections=CONNECTIONS), PLACE
    return Asker(
        caller,
        place,
        state["request_id"],
        stated,
        trace,
        partial(_until_disconnected, request),
        fairness_id=_fairness_id(said),
        ttft_objective_ps=_ttft_objective_ps(said, shim.clock.speed),
        attempt=_attempt(said),
        node=None if node is None else node.index,
    )


def _attempt(said: Said) -> int:
    """0 where its client says nothing that makes sense."""
    times = said.get(RETRY_HEADER, "")
    return min(int(times[:9]), MOST_RETRIES) if times[:9].isdecimal() else 0


def _fairness_id(said: Said) -> str:
    """Raises ApiError where it is no name."""
    name, value = _one_of(said, FAIRNESS_HEADERS)
    if len(value) > LONGEST_FAIRNESS_ID:
        raise bad_value(name, f"{name} has at most {LONGEST_FAIRNESS_ID} characters")
    return value


def _ttft_objective_ps(said: Said, speed: float) -> int | None:
    """In milliseconds of the client's clock. Raises ApiError where it is no such number."""
    name, value = _one_of(said, TTFT_HEADERS)
    if not value:
        return None
    if not value.isdecimal() or not 1 <= int(value[:9]) <= MOST_OBJECTIVE_MS:
        raise bad_value(name, f"{name} is a whole number of milliseconds, 1 to {MOST_OBJECTIVE_MS}")
    return round(int(value[:9]) * PS_PER_MS * speed)


def _one_of(said: Said, names: Sequence[str]) -> tuple[str, str]:
    """The first header of `names` that is there, and what it says; else an empty text."""
    for name in names:
        if name in said:
            return name, said[name]
    return names[0], ""


def who_asks(request: Request) -> WhoAsks:
    state, headers = request.state, request.headers
    traceparent = valid_traceparent(headers.get("traceparent"))
    within = shim_of(request).edge.around(state.caller, traceparent)
    return WhoAsks(
        endpoint=request.scope["path"],
        request_id=state.request_id,
        project=state.caller.project,
        key=state.caller.key,
        secret=headers.get("authorization", "").partition(" ")[2].strip(),
        traceparent=traceparent or ("" if within is None else within.traceparent),
        within=within,
    )


async def _until_disconnected(request: Request) -> None:
    receive = request.receive
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(
    request: Request,
    endpoint: Generating[AnyUnderstood],
    stream: Callable[[list[Exchange], AnyUnderstood, "StreamForm"], Response],
    later: Callable[[Request, Asker, AnyUnderstood, "StreamForm"], Awaitable[Response | None]] | None = None,
) -> Response:
    """Answer in one piece, or with `stream`, which closes the exchanges, where the body wants that.

    `later` answers before anything is made, where the body wants that, and None elsewhere.
    """
    shim, form = shim_of(request), stream_options(request)
    raw, who = await read(request, shim.settings.body_limit_bytes), partial(who_asks, request)
    exchanges: list[Exchange] = []
    trace: OpenTrace | None = None
    try:
        origin = BodyOrigin(request.scope["state"]["caller"].project, form.from_8080)
        understood = await endpoint.understood(shim, origin, raw)
        check_model(request, understood.model)
        trace = shim.tracer.begin(who, raw, log=bool(understood.body.log))
        asker = asker_of(shim, request, trace)
        if later is not None and (promise := await later(request, asker, understood, form)) is not None:
            if trace is not None:
                trace.answer(promise.status_code, bytes(getattr(promise, "body", b"")))  # of a stream none
            return promise
        await endpoint.open(shim, asker, understood, exchanges)
        if understood.body.stream:
            await exchanges[0].until_begun(endpoint.prompt_param)
            if trace is not None:
                trace.answer(HTTPStatus.OK)
            return stream(exchanges, understood, form)
        await endpoint.until_over(exchanges)
        headers = answer_headers(exchanges[-1])
        text = await endpoint.answer(exchanges, understood)
        answer: Response = JsonAnswer(text, headers)
        if trace is not None:
            trace.answer(HTTPStatus.OK, text)
    except ClientGoneError:
        answer = Response(status_code=CLIENT_CLOSED_REQUEST)
        if trace is not None:
            trace.answer(CLIENT_CLOSED_REQUEST)
    except ApiError as error:
        shim.tracer.refused(trace, who, raw, error)
        close(exchanges)
        raise
    except BaseException:
        close(exchanges)
        raise
    close(exchanges)
    return answer


class JsonAnswer(Response):
    """As Starlette makes them, from headers that are bytes already."""

    def __init__(self, body: bytes, headers: RawHeaders) -> None:
        self.status_code = HTTPStatus.OK
        self.background = None
        self.body = body
        self.raw_headers = [*headers, (b"content-length", b"%d" % len(body)), JSON]


def ask_of(
    shim: Shim,
    asker: Asker,
    body: Sampling,
    model: ServedModel,
    messages: tuple[tuple[str, str], ...],
    prompt_tokens: int,
    cap: int | None,
    *,
    length_factor: float = 1.0,
    **form: Any,  # noqa: ANN401 -- further fields of a `ContentAsk`, of endpoints that have them
) -> ContentAsk:
    """`length_factor` is put on the lengths of the scenario, not on one that the request states."""
    seed = shim.seed_of(model, [part for message in messages for part in message], body.seed)
    stated = asker.output_tokens
    natural = shim.lengths.of(asker.caller, model.name, seed)
    return ContentAsk(
        vocabulary=model.vocabulary,
        model=model.id,
        messages=messages,
        seed=seed,
        natural_tokens=(lambda: stated) if stated is not None else lambda: round(natural() * length_factor),
        room_tokens=max(1, model.spec.context_tokens - prompt_tokens),
        max_tokens=cap,
        min_tokens=body.min_tokens or 0,
        ignore_eos=bool(body.ignore_eos),
        stops=tuple(body.stop or ()),
        samples=body.samples,
        **form,
    )


def _stated_output(said: Said) -> int | None:
    """Load tools that replay lengths say how long the answer is, without a cap that limits would count."""
    text = said.get(OUTPUT_HEADER)
    if text is None:
        return None
    if not text.isdecimal() or not 1 <= int(text[:9]) <= 10**8:
        raise bad_value(OUTPUT_HEADER, f"{OUTPUT_HEADER} is a whole number of tokens from 1 on, not {text!r}")
    return int(text[:9])


def answer_headers(exchange: Exchange) -> RawHeaders:
    call = exchange.call
    limits = limit_headers(call.headroom, call.clock.speed)
    return [
        (b"openai-processing-ms", b"%d" % processing_ms(call)),
        *((name.encode(), value.encode()) for name, value in limits.items()),
        *stamp_headers(call, exchange.lateness_ps),
    ]


def envelope(exchange: Exchange, prefix: str, kind: str, quoted: Encode) -> str:
    """The members that an answer, and each chunk of a stream, begins with, as JSON.

    `kind` is OpenAI's name of the object.
    """
    shim = exchange.shim
    return (
        f'"id":"{shim.new_id(prefix)}","object":"{kind}","created":{exchange.created},'
        f'"model":{quoted(exchange.model_id)},"system_fingerprint":"{shim.fingerprint}"'
    )


def running_usage(exchange: Exchange, body: Sampling) -> RunningUsage | None:
    """None where the client has not asked for the usage on every chunk."""
    return RunningUsage(exchange.call.request.prompt_tokens) if body.continuous_usage else None


async def json_text(
    exchanges: list[Exchange], head: str, choices: Callable[[Encode], Iterator[str]], *, logprobs: bool
) -> bytes:
    """The answer in one piece: `head` are all of its members but the choices, whose making may take seconds.

    Both are JSON; `choices` is told how to encode what it does not write by hand.
    """
    tokens = sum([exchange.plan.output_tokens * len(exchange.plan.choices) for exchange in exchanges])
    if tokens <= (LOGPROBS_AT_ONCE if logprobs else TOKENS_AT_ONCE):
        return _encoded(head, choices, in_one_go)
    return await exchanges[0].shim.clock.aside(partial(_encoded, head, choices, _in_pieces))


def _encoded(head: str, choices: Callable[[Encode], Iterator[str]], encode: Encode) -> bytes:
    return f'{{{head},"choices":[{",".join(choices(encode))}]}}'.encode()


def _in_pieces(data: object) -> str:
    """As in one go the encoder would hold up the other threads."""
    return "".join(ENCODER.iterencode(data))


class StreamForm(NamedTuple):
    """What a client says of a stream in its headers."""

    from_8080: bool
    """8080's SDK needs the usage of a stream and cannot ask for it, and takes calls only in one piece."""
    stamps: bool
    """Whether the stream ends with a comment that holds them."""
    fault: StreamFault | None = None
    """What is to go wrong with it."""


def is_from_8080(request: Request) -> bool:
    """Whether 8080's own SDK sent it, by its user agent, which is plain httpx's."""
    said: Said = request.scope["state"]["said"]
    return said.get("user-agent", "").startswith("python-httpx/")


def stream_options(request: Request) -> StreamForm:
    """Raises ApiError, before anything is asked of the model."""
    said: Said = request.scope["state"]["said"]
    from_8080, fault = is_from_8080(request), _stream_fault(said)
    wanted = said.get(COMMENT_HEADER)
    if wanted is None:
        return StreamForm(from_8080, shim_of(request).settings.sim_comment, fault)
    if wanted not in ON_OR_OFF:
        raise bad_value(COMMENT_HEADER, f"{COMMENT_HEADER} is 'on' or 'off', not {wanted[:LONGEST_ECHO]!r}")
    return StreamForm(from_8080, ON_OR_OFF[wanted], fault)


def _stream_fault(said: Said) -> StreamFault | None:
    """Raises ApiError."""
    wanted = said.get(FAULT_HEADER)
    if wanted is None:
        return None
    fault = stream_fault(wanted)
    if fault is None:
        known = ", ".join(STREAM_FAULTS)
        message = f"{FAULT_HEADER} is one of {known}, with =NUMBER or without, not {wanted[:LONGEST_ECHO]!r}"
        raise bad_value(FAULT_HEADER, message)
    return fault


def event_stream(exchange: Exchange, writer: ChunkWriter, body: Sampling, asked: StreamForm) -> EventStream:
    told = TokensAsTheyCome(
        exchange,
        writer,
        with_usage=body.include_usage or asked.from_8080,
        with_stamps=asked.stamps,
        one_by_one=exchange.shim.settings.stream_chunks == "per_token",
    )
    return EventStream(exchange, told, answer_headers(exchange), asked.fault)
