"""What `8080 init` of 0.1.0a14 writes, with the call that its SDK has; run by its own interpreter."""

from typing import Any

from e80_sdk import Eighty80, eighty80_app
from fastapi import Request

app = eighty80_app()
api = Eighty80().api_async()


async def chat_completions(request: Request) -> Any:
    return await api.v1.chat.completions.create(**await request.json())


app.post("/v1/chat/completions")(chat_completions)
