"""A served platform small enough to work out by hand, and a client that speaks ASGI to it in virtual time.

A prompt token costs 1 ms and every further token 10 ms, one sequence at a time on each of two nodes. Callers
"here" have no way to go. Those "away" need 10 ms each way, and 20 ms more to set a connection up.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message

from api_shim.content.plan import ContentAsk, ContentPlan
from api_shim.testing import VirtualPlatform
from sim.scenario.schema import Scenario

MS = 10**9
LLAMA = "8080/taalas/llama3.1-8b-instruct"
GPT_OSS = "8080/llm_server/gpt-oss-20b"


def scenario(**sections: Any) -> Scenario:
    """`limits`, and what `llama` holds, go to the Llama model; all else is a section of the scenario."""
    asic = {
        "kind": "hardwired_asic",
        "decode_step_ms": 10.0,
        "prefill_ms_per_token": 1.0,
        "kv_pool_tokens": 2000,
    }
    model = {"hardware": asic, "nodes": 2, "context_tokens": 2000}
    limits, llama = sections.pop("limits", None), sections.pop("llama", {})
    data = {
        "name": "served",
        "models": {
            "llama": {"id": LLAMA, "llm": "llama3.1-8b", **model, **llama}
            | ({"limits": limits} if limits else {}),
            "oss": {"id": GPT_OSS, "llm": "gpt-oss-20b", **model},
        },
        "network": {
            "tls": "none",
            "places": {
                "here": {"kind": "custom", "rtt_ms": 0.0},
                "away": {"kind": "custom", "rtt_ms": 20.0},
            },
        },
        "traffic": {
            "chat": {
                "place": "away",
                "model": "llama",
                "arrivals": {"kind": "poisson", "rate_per_s": 1.0},
                "lengths": {
                    "prompt": {"kind": "fixed", "tokens": 11},
                    "output": {"kind": "fixed", "tokens": 5},
                },
            }
        },
        "run": {"horizon_s": 10.0},
    }
    return Scenario.model_validate(data | sections)


def scenario_of_llama(**sections: Any) -> Scenario:
    """Without the other model: for processes, which load the vocabulary of each, a second's work."""
    both = scenario(**sections)
    return both.model_copy(
        update={"models": {name: one for name, one in both.models.items() if name != "oss"}}
    )


@dataclass
class Reply:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[tuple[int, bytes]] = field(default_factory=list)
    """(when, what) of the body."""
    begun_ps: int = -1
    ended_ps: int = -1

    @property
    def body(self) -> bytes:
        return b"".join(chunk for _, chunk in self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """Checked to have its four keys and nothing else."""
        assert self.headers["content-type"] == "application/json"
        (error,) = self.json.values()
        assert sorted(error) == ["code", "message", "param", "type"]
        return error

    @property
    def frames(self) -> list[Any]:
        """The data of a stream's events, `[DONE]` left out but checked for."""
        assert self.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in self.body.decode().split("\n\n") if line]
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        assert data[-1] == "[DONE]"
        assert data.count("[DONE]") == 1
        return [json.loads(line) for line in data[:-1]]

    @property
    def stamps(self) -> Any:
        """The comment at the end of a stream."""
        (line,) = [line for line in self.body.decode().split("\n\n") if line.startswith(": x-sim ")]
        return json.loads(line.removeprefix(": x-sim "))

    @property
    def text(self) -> str:
        """Of the first choice of a stream."""
        pieces = [frame["choices"][0] for frame in self.frames if frame["choices"]]
        return "".join(
            choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in pieces
        )


@dataclass
class Wire:
    """Requests to the application as a server would pass them on."""

    platform: VirtualPlatform
    key: str | None = "sk-me"

    def ask(self, path: str = "/v1/chat/completions", body: Any = None, **options: Any) -> Reply:
        return self.platform.run(self.send(path, body, **options))

    async def send(  # noqa: C901 -- a client's end of ASGI in one place
        self,
        path: str,
        body: Any = None,
        *,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = "",
        port: int = 80,
        leave_at_ps: int | None = None,
        leave_after_chunks: int | None = None,
        leave_in_body: bool = False,
    ) -> Reply:
        """`leave_*`: hang up in the middle."""
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        timeline, reply, left = self.platform.world.env, Reply(), asyncio.Event()
        path, _, query = path.partition("?")
        given = dict(headers or {})
        key = self.key if key == "" else key
        if key is not None:
            given["authorization"] = f"Bearer {key}"
        unread: list[Message] = [{"type": "http.request", "body": raw, "more_body": leave_in_body}]
        if leave_in_body:
            left.set()

        async def receive() -> Message:
            if unread:
                return unread.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                reply.status, reply.begun_ps = int(message["status"]), timeline.now
                reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
                return
            if message.get("body"):
                reply.chunks.append((timeline.now, message["body"]))
            if len(reply.chunks) == leave_after_chunks:
                left.set()
            if not message.get("more_body"):
                reply.ended_ps = timeline.now

        if leave_at_ps is not None:
            self.platform.shim.clock.call_at(leave_at_ps, left.set)
        await self.platform.app(
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": method or ("GET" if body is None else "POST"),
                "scheme": "http",
                "path": path,
                "raw_path": path.encode(),
                "query_string": query.encode(),
                "root_path": "",
                "headers": [(name.encode(), value.encode()) for name, value in given.items()],
                "server": ("127.0.0.1", port),
                "client": ("127.0.0.1", 1),
            },
            receive,
            send,
        )
        return reply


def chat(content: Any = "hello", **fields: Any) -> dict[str, Any]:
    """A body; "hello" is 11 prompt tokens for Llama: 1 of text and 10 of template."""
    return {"model": LLAMA, "messages": [{"role": "user", "content": content}], **fields}


@dataclass
class Scripted:
    """Content whose lengths a test lays down, in the order of the requests."""

    output_tokens: list[int]
    paced: bool = True

    async def plan(self, ask: ContentAsk) -> ContentPlan:
        del ask
        return ContentPlan((["x"] * self.output_tokens.pop(0),), "stop")


MakeWire = Callable[..., Wire]


def make_wire(spec: Scenario | None = None, **options: Any) -> Wire:
    return Wire(VirtualPlatform(spec or scenario(), **options))
