"""Answers from a folder of notes, without embeddings: keywords find the notes, the model reads them.

A question takes a call for its keywords, one for each note that was found, all at once, and one for the
answer, which is streamed.
"""

import asyncio
import os
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI
from pydantic import BaseModel

MODEL = "8080/taalas/llama3.1-8b-instruct"
MOST_NOTES = 4
NOTES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(Path("notes").glob("*.txt"))}
WORDS = {name: Counter(re.findall(r"[a-z]{3,}", f"{name} {text}".lower())) for name, text in NOTES.items()}

app = FastAPI()
client = AsyncOpenAI(base_url=f"{os.environ['_8080_API_URL']}/v1", api_key=os.environ["_8080_API_KEY"])


class Question(BaseModel):
    question: str


@app.post("/ask")
async def ask(question: Question) -> StreamingResponse:
    wanted = await said("Give five search words, and nothing else, for: " + question.question, 30)
    names = found(f"{question.question} {wanted}")
    extracts = await asyncio.gather(*(extract(name, question.question) for name in names))
    notes = "\n\n".join(f"[{name}] {text}" for name, text in zip(names, extracts, strict=True))
    prompt = f"Answer from these notes and name them.\n\n{notes}\n\nQuestion: {question.question}"
    return StreamingResponse(streamed(prompt), media_type="text/plain")


def found(text: str) -> list[str]:
    """Names of the notes that share most words with it; rare words count more."""
    asked = set(re.findall(r"[a-z]{3,}", text.lower()))
    common = Counter(word for words in WORDS.values() for word in words)
    scores = {
        name: sum(words[word] / common[word] for word in asked & set(words)) for name, words in WORDS.items()
    }
    return sorted(scores, key=lambda name: (-scores[name], name))[:MOST_NOTES]


async def extract(name: str, question: str) -> str:
    return await said(f"What in this note bears on '{question}'? Quote it.\n\n{NOTES[name]}", 60)


async def said(prompt: str, most_tokens: int) -> str:
    reply = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": prompt}], max_completion_tokens=most_tokens
    )
    return reply.choices[0].message.content or ""


async def streamed(prompt: str) -> AsyncIterator[str]:
    chunks = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": prompt}],
        max_completion_tokens=200,
        stream=True,
    )
    async for chunk in chunks:
        if chunk.choices and chunk.choices[0].delta.content:
            yield chunk.choices[0].delta.content
