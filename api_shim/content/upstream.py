"""Words from a real OpenAI-compatible server. They come first; the simulator then takes its own time.

The waiting for them is real, so such a run is never paced.
"""

from http import HTTPStatus
from typing import Any, NamedTuple

import httpx

from api_shim.content.plan import ContentAsk, ContentPlan
from api_shim.content.structured import demanded, plan_of_calls
from api_shim.content.words import spoken
from api_shim.wire.errors import SERVER, ApiError

TIMEOUT_S = 300.0


class Upstream:
    paced = False

    def __init__(self, base_url: str, model: str | None = None, api_key: str | None = None) -> None:
        """`base_url` ends in /v1, as OpenAI's clients have it; `model` replaces the request's own."""
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._model = model
        self._client = httpx.AsyncClient(base_url=base_url, headers=headers, timeout=TIMEOUT_S)

    async def plan(self, ask: ContentAsk) -> ContentPlan:
        """What the other server leaves undone, a call or JSON that was demanded, is made here."""
        said = await self._said(ask)
        if said.calls:
            return plan_of_calls(ask, said.calls[: ask.most_calls])
        if ask.must_call or (ask.form is not None and not ask.form.accepts(said.text)):
            return await demanded(ask) or spoken(ask, said.text)
        return spoken(ask, said.text)

    async def _said(self, ask: ContentAsk) -> "_Said":
        try:
            answer = await self._client.post("chat/completions", json=self._body(ask))
            answer.raise_for_status()
            return _said_in(answer.json()["choices"][0]["message"], {tool.name for tool in ask.tools})
        except (httpx.HTTPError, ValueError, LookupError, TypeError, AttributeError) as problem:
            raise ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"The upstream server that supplies the words failed ({type(problem).__name__}).",
                type=SERVER,
            ) from None

    def _body(self, ask: ContentAsk) -> dict[str, Any]:
        messages = [{"role": role, "content": text} for role, text in ask.messages]
        body: dict[str, Any] = {"messages": messages} if ask.as_chat is None else ask.as_chat()
        body |= {"model": self._model or ask.model, "max_tokens": ask.limit}
        if ask.stops:
            body["stop"] = list(ask.stops)
        if ask.tools:
            body["tool_choice"] = "required" if ask.must_call else "auto"
        return body


class _Said(NamedTuple):
    text: str
    calls: list[tuple[str, str]]
    """(name, arguments or input)"""


def _said_in(message: dict[str, Any], offered: set[str]) -> _Said:
    """Calls of tools that nobody offered are dropped."""
    calls = []
    for call in message.get("tool_calls") or ():
        told, member = (call["custom"], "input") if "custom" in call else (call["function"], "arguments")
        if told["name"] in offered:
            calls.append((told["name"], str(told[member])))
    return _Said(str(message.get("content") or ""), calls)
