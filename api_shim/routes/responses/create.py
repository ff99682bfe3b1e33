"""`POST /v1/responses`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api_shim.exchange.asker import Asker
from api_shim.exchange.chunk_writer import as_json
from api_shim.exchange.event_stream import EventStream, TokensAsTheyCome
from api_shim.exchange.exchange import Exchange
from api_shim.exchange.response_object import failed
from api_shim.exchange.response_writer import ResponseWriter
from api_shim.generating import Generating
from api_shim.routes.common import (
    ANSWER_HEADERS,
    StreamForm,
    answer_headers,
    respond,
)
from api_shim.routes.described import add_generating, api_router
from api_shim.routes.responses.background import background_of
from api_shim.routes.responses.keeping import encoded, keep, outcome
from api_shim.routes.responses.understanding import UnderstoodResponse, prompts, understand
from api_shim.wire.errors import ApiError, bad_value
from api_shim.wire.responses.body import ResponseBody
from api_shim.wire.responses.objects import ResponseEvent, ResponseObject


async def create_response(request: Request) -> Response:
    return await respond(request, RESPONSES, _stream, _later)


async def _later(
    request: Request, asker: Asker, understood: UnderstoodResponse, form: StreamForm
) -> Response | None:
    """What is said at once of a response that is made in the background."""
    if not understood.body.background:
        return None
    if asker.node is not None:
        raise bad_value("background", "A node answers while it is asked; ask the platform for a background.")
    job = await background_of(request).begin(understood, asker._replace(until_gone=None))
    if understood.body.stream:
        return job.stream(after=-1, stamps=form.stamps)
    return Response(as_json(understood.shown(job.queued)), media_type=JSONResponse.media_type)


async def _answer(exchanges: list[Exchange], understood: UnderstoodResponse) -> bytes:
    (exchange,) = exchanges
    response = outcome(exchange, understood, understood.head(exchange.created))
    text = await encoded(understood.shim, response)
    await keep(understood, response, text)
    if understood.origin.from_8080:
        text = await encoded(understood.shim, understood.shown(response))
    return text.encode()


def _stream(exchanges: list[Exchange], understood: UnderstoodResponse, form: StreamForm) -> Response:
    (exchange,) = exchanges
    streamed = _Streamed(exchange, understood)
    told = TokensAsTheyCome(
        exchange,
        streamed.writer,
        with_usage=True,
        with_stamps=form.stamps,
        one_by_one=exchange.shim.settings.stream_chunks == "per_token",
        before_the_end=streamed.keep,
    )
    return EventStream(exchange, told, answer_headers(exchange), form.fault)


class _Streamed:
    """A response whose events go out while it is made. It is durable before its last event."""

    def __init__(self, exchange: Exchange, understood: UnderstoodResponse) -> None:
        self._exchange = exchange
        self._understood = understood
        self._head = understood.head(exchange.created)
        self._ended = self._head
        self.writer = ResponseWriter(
            understood.shown(self._head),
            exchange.plan,
            understood.form,
            ended=lambda: understood.shown(self._ended),
            failed=lambda error: understood.shown(failed(self._head, error)),
        )

    async def keep(self, refusal: ApiError | None) -> None:
        """Raises ApiError."""
        understood = self._understood
        if refusal is None:
            self._ended = outcome(self._exchange, understood, self._head)
        else:
            self._ended = failed(self._head, refusal)
        await keep(understood, self._ended, await encoded(understood.shim, self._ended))


RESPONSES = Generating("input", understand, prompts, _answer)
router = api_router("responses", prefix="/v1")
add_generating(
    router,
    "/responses",
    create_response,
    body=ResponseBody,
    answer=ResponseObject,
    event=ResponseEvent,
    headers=ANSWER_HEADERS,
    summary="Make a response",
)
