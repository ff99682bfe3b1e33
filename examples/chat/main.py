"""A chat wrapper: OpenAI's endpoint, with a prompt of its own put before every conversation."""

import os
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk

app = FastAPI()
client = AsyncOpenAI(base_url=f"{os.environ['_8080_API_URL']}/v1", api_key=os.environ["_8080_API_KEY"])

PROMPT = {
    "role": "developer",
    "content": "You help the customers of a bicycle shop. Answer in two sentences.",
}


@app.post("/v1/chat/completions")
async def completions(request: Request) -> Any:
    body = await request.json()
    body["messages"].insert(0, PROMPT)
    answer = await client.chat.completions.create(**body)
    if isinstance(answer, AsyncStream):
        return StreamingResponse(events(answer), media_type="text/event-stream")
    return answer


async def events(chunks: AsyncStream[ChatCompletionChunk]) -> AsyncIterator[str]:
    async for chunk in chunks:
        yield f"data: {chunk.model_dump_json(exclude_unset=True)}\n\n"
    yield "data: [DONE]\n\n"
