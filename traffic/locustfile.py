"""Chat users for locust. Imported by nothing: `import locust` rewires sockets and threads of its process.

    locust -f traffic/locustfile.py --host http://127.0.0.1:8080                      # web UI
    locust -f traffic/locustfile.py --host ... --headless -u 20 -t 60s --e80-rate 50  # open loop

With `--e80-rate` (or arrivals in `--e80-mix`) requests go out when a schedule says so, whether the server
answers or not, and every latency counts from there: a server that freezes for a second shows it. Users are
then only senders. Without, each user asks, waits for the answer, thinks, and asks again.

One entry per request in locust's tables: its end-to-end time if it was answered, a failure without a time if
not. Everything else is in the file of `--e80-log`.

It runs in the environment that e80sim is installed in, since it draws arrivals and lengths as the simulator
does.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]  # its stubs would be one more dependency
from geventhttpclient import HTTPClient
from geventhttpclient.response import HTTPParseError
from locust import User, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

try:
    import numpy as np

    from traffic.agenda import Share, agenda, arrivals_of_a_rate
    from traffic.lengths import FixedLength
    from traffic.mix import Mix, RequestKind, prompt_of, read_mix
    from traffic.sizes import ProfileLengths, PromptAndOutput
except ImportError as missing:
    raise SystemExit(
        f"{__file__} needs the environment that e80sim is installed in (pip install 'e80sim[load]'): run "
        f"that environment's locust, as `e80sim load` does ({missing})"
    ) from None

SHARE_MESSAGE = "e80_share"
HEAD_START_NS = 500_000_000
"""Between the start of a test and the first time on the schedule, for workers to get ready."""
CONNECTIONS = 10_000
CONNECT_TIMEOUT_S = 10.0
NEVER = -1
PS_PER_NS = 1000
IDLE_S = 86_400.0
UNIX_OFFSET_NS = time.time_ns() - time.perf_counter_ns()
Row = dict[str, Any]


def now_ns() -> int:
    """Wall time that never steps back."""
    return UNIX_OFFSET_NS + time.perf_counter_ns()


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]  # so are all of locust's
def add_options(parser: LocustArgumentParser) -> None:
    def add(name: str, default: object, kind: type, text: str) -> None:
        env_var = f"E80_{name.upper().replace('-', '_')}"
        parser.add_argument(f"--e80-{name}", type=kind, default=default, env_var=env_var, help=text)

    add(
        "rate",
        0.0,
        float,
        "requests per second over all processes, open loop; 0: users wait for their answers",
    )
    add("arrivals", "poisson", str, f"times of the open loop: {' or '.join(arrivals_of_a_rate())}")
    add("think-s", 1.0, float, "pause of a user between an answer and the next question, closed loop")
    add("mix", "", str, "file with kinds of requests (traffic/mix.py); the options below make one up")
    add("model", "", str, "model to ask; empty: the first that the server lists")
    add("key", "sk-load", str, "API key")
    add("place", "", str, "where callers are, for the header x-sim-place; empty: not sent")
    add("stream-share", 0.75, float, "share of requests that stream")
    add("profile", "azure-2023-conv", str, "lengths of a recorded service")
    add("prompt-tokens", 0, int, "fixed prompts instead, so many words of a token each; 0: by the profile")
    add("output-tokens", 0, int, "fixed answers; 0: by the profile")
    add("log", "", str, "folder for a JSON line per request, a file per process; empty: none")
    add("speed", 1.0, float, "simulated seconds per second of the server; rates and pauses are in the former")
    add("seed", 1, int, "of schedule and lengths")
    add("timeout-s", 120.0, float, "silence after which a request is given up")


def mix_of(options: Any) -> Mix:  # noqa: ANN401 -- whatever argparse made
    """Raises ValueError."""
    if options.e80_mix:
        return read_mix(Path(options.e80_mix))
    lengths: ProfileLengths | PromptAndOutput = ProfileLengths(name=options.e80_profile)
    if options.e80_prompt_tokens or options.e80_output_tokens:
        lengths = PromptAndOutput(
            prompt=FixedLength(tokens=options.e80_prompt_tokens or 100),
            output=FixedLength(tokens=options.e80_output_tokens or 100),
        )
    share = options.e80_stream_share
    return Mix(
        kinds=tuple(
            RequestKind(
                name=name,
                weight=weight,
                key=options.e80_key,
                model=options.e80_model or None,
                place=options.e80_place or None,
                stream=stream,
                lengths=lengths,
            )
            for name, stream, weight in (("streamed", True, share), ("whole", False, 1 - share))
            if weight > 0
        )
    )


class Load:
    """What the users of one process share: the mix, the schedule, the file."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.mix = mix_of(environment.parsed_options)
        self.share = Share(0, 1, 0)
        self._options: Any = environment.parsed_options
        self._users: list[Chat] = []
        self._sending: gevent.Greenlet | None = None
        self._file: Any = None

    def start(self) -> None:
        """A test begins. Options may have changed since the last one."""
        options: Any = self.environment.parsed_options
        self._options = options
        self.mix = mix_of(options)
        self.open_loop = options.e80_rate > 0 or self.mix.scheduled
        rng = np.random.default_rng([options.e80_seed, 2, self.share.number])
        self._sizes = {kind.name: kind.sizes(rng) for kind in self.mix.kinds}
        self._rng = rng
        self._model = ""
        if options.e80_log:
            folder = Path(options.e80_log)
            folder.mkdir(parents=True, exist_ok=True)
            name = f"client-{socket.gethostname()}-{os.getpid()}.jsonl"
            self._file = (folder / name).open("a", buffering=1, encoding="utf-8")
        if self.open_loop:
            self._sending = gevent.spawn(self._send_on_time)

    def stop(self) -> None:
        """Nothing new is sent; what is under way may end."""
        if self._sending is not None:
            self._sending.kill()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def join(self, user: "Chat") -> None:
        self._users.append(user)

    def leave(self, user: "Chat") -> None:
        self._users.remove(user)

    def next_size(self, kind: RequestKind) -> tuple[int, str, int]:
        """Prompt tokens, the prompt, output tokens."""
        prompt_tokens, output_tokens = next(self._sizes[kind.name])
        return prompt_tokens, prompt_of(prompt_tokens, self._rng), output_tokens

    def kinds(self, *, stream: bool) -> Iterator[RequestKind]:
        return self.mix.draw(self._rng, [kind for kind in self.mix.kinds if kind.stream == stream])

    def model(self, client: HTTPClient, kind: RequestKind) -> str:
        if kind.model is None and not self._model:
            answer = client.get("/v1/models", headers={"authorization": f"Bearer {kind.key}"})
            self._model = json.loads(answer.read())["data"][0]["id"]
        return kind.model or self._model

    def note(self, row: Row) -> None:
        if self._file is not None:
            self._file.write(json.dumps(row) + "\n")
        # A refusal comes fast: without a time of its own it counts as a failure and leaves percentiles alone.
        answered_ms = None if row["error"] else (row["last_ns"] - row["intended_ns"]) / 1e6
        self.environment.events.request.fire(  # type: ignore[no-untyped-call]  # locust's
            request_type="E2E",
            name=row["kind"],
            response_time=answered_ms,
            response_length=row["output_tokens"],
            exception=None if not row["error"] else RuntimeError(row["error"]),
            context={},
        )

    def _send_on_time(self) -> None:
        """Each arrival gets a greenlet of its own, so that one that waits holds up nobody."""
        options, share = self._options, self.share
        process = arrivals_of_a_rate()[options.e80_arrivals]
        rate_per_s = options.e80_rate
        arrivals = process.model_validate({"rate_per_s": rate_per_s}) if rate_per_s > 0 else None
        for turn, due in enumerate(agenda(self.mix, arrivals, options.e80_seed, share)):
            due_ns = share.start_unix_ns + int(due.offset_ps / (PS_PER_NS * options.e80_speed))
            while (early_ns := due_ns - now_ns()) > 0:  # gevent's own clock stands still while code runs
                gevent.sleep(early_ns / 1e9)
            while not self._users:
                gevent.sleep(0.01)  # none has been spawned yet: what is due keeps its time
            fitting = [user for user in self._users if user.streams == due.kind.stream] or self._users
            fitting[turn % len(fitting)].send(due.kind, due_ns)


LOADS: dict[int, Load] = {}
"""By environment: locust has one to a process, tests may have more."""


def load_of(environment: Environment) -> Load:
    return LOADS[id(environment)]


@events.init.add_listener  # type: ignore[untyped-decorator]  # as above
def on_init(environment: Environment, **_: object) -> None:
    load = LOADS[id(environment)] = Load(environment)
    for user_class in (StreamingChat, WholeChat):
        user_class.weight = load.mix.weight(stream=user_class.streams)
    if isinstance(environment.runner, WorkerRunner):
        environment.runner.register_message(SHARE_MESSAGE, on_share)
    else:
        environment.user_classes = [one for one in environment.user_classes if one.weight > 0]
    gevent.get_hub().loop.update_now()  # or --run-time is short by what it took to get here


@events.test_start.add_listener  # type: ignore[untyped-decorator]  # as above
def on_test_start(environment: Environment, **_: object) -> None:
    """The master deals the schedule out; it sends nothing itself."""
    start_ns, runner = now_ns() + HEAD_START_NS, environment.runner
    if isinstance(runner, MasterRunner):
        workers = runner.clients.ready + runner.clients.running + runner.clients.spawning
        for number, worker in enumerate(workers):
            share = {"number": number, "processes": len(workers), "start_unix_ns": start_ns}
            runner.send_message(SHARE_MESSAGE, share, worker.id)
        return
    load = load_of(environment)
    if not isinstance(runner, WorkerRunner):
        load.share = Share(0, 1, start_ns)
    load.start()


def on_share(environment: Environment, msg: Any, **_: object) -> None:  # noqa: ANN401 -- locust's Message
    load_of(environment).share = Share(**msg.data)


@events.test_stopping.add_listener  # type: ignore[untyped-decorator]  # as above
def on_test_stopping(environment: Environment, **_: object) -> None:
    if not isinstance(environment.runner, MasterRunner):
        load_of(environment).stop()


@events.test_stop.add_listener  # type: ignore[untyped-decorator]  # as above
def on_test_stop(environment: Environment, **_: object) -> None:
    if not isinstance(environment.runner, MasterRunner):
        load_of(environment).close()


class Chat(User):
    """Has connections of its own."""

    abstract = True
    streams: bool

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._load = load_of(environment)
        options: Any = environment.parsed_options
        self._options = options
        self._client = HTTPClient.from_url(
            str(self.host or environment.host),
            concurrency=CONNECTIONS,
            connection_timeout=CONNECT_TIMEOUT_S,
            network_timeout=self._options.e80_timeout_s,
        )
        self._under_way: set[gevent.Greenlet] = set()

    def on_start(self) -> None:
        self._kinds = self._load.kinds(stream=self.streams)
        self._load.join(self)

    def on_stop(self) -> None:
        """What is under way has as long as locust's --stop-timeout."""
        self._load.leave(self)
        gevent.joinall(list(self._under_way), timeout=self.environment.stop_timeout or 0)
        gevent.killall(list(self._under_way))
        self._client.close()

    def wait_time(self) -> float:
        return IDLE_S if self._load.open_loop else float(self._options.e80_think_s / self._options.e80_speed)

    @task
    def chat(self) -> None:
        if not self._load.open_loop:
            self._ask(next(self._kinds), now_ns())

    def send(self, kind: RequestKind, intended_ns: int) -> None:
        greenlet = gevent.spawn(self._ask, kind, intended_ns)
        self._under_way.add(greenlet)
        greenlet.link(self._under_way.discard)

    def _ask(self, kind: RequestKind, intended_ns: int) -> None:
        prompt_tokens, prompt, output_tokens = self._load.next_size(kind)
        row: Row = {
            "number": NEVER,
            "kind": kind.name,
            "request_id": "",
            "status": 0,
            "stream": kind.stream,
            "intended_ns": intended_ns,
            "sent_ns": NEVER,
            "first_ns": NEVER,
            "last_ns": NEVER,
            "prompt_tokens": prompt_tokens,
            "output_tokens": 0,
            "error": "given up: the test ended before the answer",
            "sim": {},
        }
        try:
            body = _body(kind, self._load.model(self._client, kind), prompt)
            row["sent_ns"] = now_ns()
            answer = self._client.post("/v1/chat/completions", body, _headers(kind, output_tokens))
            row["status"] = answer.status_code
            _read_headers(answer, row)
            row["error"] = ""
            if kind.stream and answer.status_code == 200:
                _read_stream(answer, row)
            else:
                _read_whole(answer, row)
        except (OSError, HTTPParseError, ValueError) as error:
            row["error"] = f"{type(error).__name__}: {error}"
        finally:
            self._load.note(row)


class StreamingChat(Chat):
    """Reads tokens as they come."""

    streams = True


class WholeChat(Chat):
    """Waits for the answer in one piece."""

    streams = False


def _body(kind: RequestKind, model: str, prompt: str) -> bytes:
    body: Row = {"model": model, "messages": [{"role": "user", "content": prompt}]}
    if kind.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if kind.max_tokens is not None:
        body["max_tokens"] = kind.max_tokens
    return json.dumps(body).encode()


def _headers(kind: RequestKind, output_tokens: int) -> dict[str, str]:
    """The simulator takes the length of the answer from a header; a real server does as it likes."""
    headers = {
        "authorization": f"Bearer {kind.key}",
        "content-type": "application/json",
        "x-sim-output-tokens": str(output_tokens),
    }
    return headers if kind.place is None else headers | {"x-sim-place": kind.place}


def _read_headers(answer: Any, row: Row) -> None:  # noqa: ANN401 -- geventhttpclient's response
    for name, value in answer.headers:
        if name.lower() == "x-request-id":
            row["request_id"] = value
        elif name.lower().startswith("x-sim-"):
            _stamp(row, name.lower().removeprefix("x-sim-").replace("-", "_"), value)


def _stamp(row: Row, name: str, value: Any) -> None:  # noqa: ANN401 -- text or number
    if name == "number":
        row["number"] = int(value)
    elif name.endswith("_ps") or name == "node":
        row["sim"][name] = int(value)
    else:
        row["sim"][name] = value


def _read_whole(answer: Any, row: Row) -> None:  # noqa: ANN401 -- as above
    found = json.loads(answer.read())
    if row["status"] != 200:
        row["error"] = f"{row['status']} {found['error']['code'] or found['error']['type']}"
        return
    row["first_ns"] = row["last_ns"] = now_ns()
    row["prompt_tokens"] = found["usage"]["prompt_tokens"]
    row["output_tokens"] = found["usage"]["completion_tokens"]


def _read_stream(answer: Any, row: Row) -> None:  # noqa: ANN401 -- as above
    """To its very end, or the connection could not carry another request."""
    row["error"] = "the stream broke off"
    while event := answer.readline(b"\n\n"):
        if event.startswith(b"data: [DONE]"):
            row["last_ns"], row["error"] = now_ns(), ""
        elif event.startswith(b"data: "):
            _read_chunk(json.loads(event[6:]), row)
        elif event.startswith(b": x-sim "):
            for name, value in json.loads(event[8:]).items():
                _stamp(row, name, value)


def _read_chunk(chunk: Row, row: Row) -> None:
    choices, usage = chunk.get("choices"), chunk.get("usage")
    if row["first_ns"] == NEVER and choices and choices[0]["delta"].get("content"):
        row["first_ns"] = now_ns()
    if usage:
        row["prompt_tokens"] = usage["prompt_tokens"]
        row["output_tokens"] = usage["completion_tokens"]
