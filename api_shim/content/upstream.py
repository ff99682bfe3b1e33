"""Words from a real OpenAI-compatible server. They come first; the simulator then takes its own time.

The waiting for them is real, so such a run is never paced.
"""

from http import HTTPStatus
from typing import Any

import httpx

from api_shim.content.plan import ContentAsk, ContentPlan
from api_shim.content.structured import demanded
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
        return await demanded(ask) or spoken(ask, await self._words(ask))

    async def _words(self, ask: ContentAsk) -> str:
        body: dict[str, Any] = {
            "model": self._model or ask.model,
            "messages": [{"role": role, "content": text} for role, text in ask.messages],
            "max_tokens": ask.limit,
        }
        if ask.stops:
            body["stop"] = list(ask.stops)
        try:
            answer = await self._client.post("chat/completions", json=body)
            answer.raise_for_status()
            content = answer.json()["choices"][0]["message"]["content"]
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as problem:
            raise ApiError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"The upstream server that supplies the words failed ({type(problem).__name__}).",
                type=SERVER,
            ) from None
        return str(content or "")
