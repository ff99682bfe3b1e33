"""An agent with two tools: the shop's stock, which it looks up, and Python, which runs in a sandbox.

For one question it calls the model until that has no more use for a tool, and then once more to check itself.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from openai import AsyncOpenAI
from pydantic import BaseModel

MODEL = "8080/taalas/llama3.1-8b-instruct"
MOST_TURNS = 8
INSTRUCTIONS = "Answer for a bicycle shop. Look up what you do not know, and compute with run_python."
CHECK = "Does the answer follow from the results of the tools? Say yes or no.\n\n"
STOCK = {
    "gravel tyre": {"in_stock": 14, "price": 42.0, "weight_g": 480},
    "road tyre": {"in_stock": 3, "price": 51.5, "weight_g": 230},
    "chain": {"in_stock": 40, "price": 28.9, "weight_g": 255},
    "brake pads": {"in_stock": 22, "price": 17.0, "weight_g": 25},
}

app = FastAPI()
client = AsyncOpenAI(base_url=f"{os.environ['_8080_API_URL']}/v1", api_key=os.environ["_8080_API_KEY"])
platform = httpx.AsyncClient(
    base_url=os.environ["_8080_API_URL"],
    headers={"authorization": f"Bearer {os.environ['_8080_API_KEY']}"},
    timeout=30,
)


class Question(BaseModel):
    question: str


class Answer(BaseModel):
    answer: str
    results: int
    """Of tools, that it rests on."""
    checked: str


@app.post("/ask")
async def ask(question: Question) -> Answer:
    messages: list[Any] = [
        {"role": "developer", "content": INSTRUCTIONS},
        {"role": "user", "content": question.question},
    ]
    results = 0
    async with sandbox() as python:
        for _ in range(MOST_TURNS):
            reply = await client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
            message = reply.choices[0].message
            if not message.tool_calls:
                break
            messages.append(message.model_dump(exclude_none=True))
            for call in message.tool_calls:
                assert call.type == "function"
                arguments = json.loads(call.function.arguments)
                result = await run_tool(python, call.function.name, arguments)
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
                results += 1
    answer = message.content or ""
    checked = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": CHECK + answer}], max_completion_tokens=5
    )
    return Answer(answer=answer, results=results, checked=checked.choices[0].message.content or "")


async def run_tool(python: "Python", name: str, arguments: dict[str, Any]) -> str:
    if name == "look_up":
        found = STOCK.get(arguments.get("article", ""))
        return json.dumps(found or {"error": f"there are {', '.join(STOCK)}"})
    if name == "run_python":
        return await python.run(str(arguments.get("code", "")))
    return json.dumps({"error": f"there is no tool {name}"})


class Python:
    """In a sandbox, which is made when it is first needed."""

    def __init__(self) -> None:
        self.made: dict[str, str] | None = None

    async def run(self, code: str) -> str:
        if self.made is None:
            answer = await platform.post("/v1/sandboxes", json={})
            if answer.is_error:
                return answer.text  # such as 501: this machine cannot isolate anything
            self.made = answer.json()
        ran = await platform.post(
            f"{self.made['address']}/python/run",
            json={"code": code},
            headers={"authorization": f"Bearer {self.made['auth_token']}"},
        )
        result = ran.json()
        return result["message"] if result.get("exit_code") == 0 else json.dumps(result)


@asynccontextmanager
async def sandbox() -> AsyncIterator[Python]:
    python = Python()
    try:
        yield python
    finally:
        if python.made is not None:
            await platform.post(f"/v1/sandboxes/{python.made['id']}/stop", json={})


TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "description": "Stock, price and weight of an article.",
            "parameters": {
                "type": "object",
                "properties": {"article": {"type": "string", "enum": list(STOCK)}},
                "required": ["article"],
                "additionalProperties": False,
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "run_python",
            "description": "Runs Python and answers what it prints.",
            "parameters": {
                "type": "object",
                "properties": {"code": {"type": "string"}},
                "required": ["code"],
                "additionalProperties": False,
            },
        },
    },
]
