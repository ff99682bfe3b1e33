"""The list of traces behind filters that stand in its address, and each trace for itself."""

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Self
from urllib.parse import urlencode

from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, field_validator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from api_shim.dashboard.pages import ROOT, SignedIn, page, page_router
from api_shim.dashboard.waterfall import MOST_BARS, bars, ticks
from api_shim.middleware import GUARDED
from api_shim.routes.described import TheShim
from api_shim.routes.traces import app_spans_of
from api_shim.store.traces import NS_PER_S, TracesWanted
from api_shim.tracing.genai import cached_tokens

PER_PAGE = 50
LONGEST_FILTER = 300
OUTCOMES = ("stop", "length", "rejected", "refused", "cancelled", "timeout", "node_lost", "path_lost")
LATELY = {"5 minutes": 300, "hour": 3600, "day": 86_400}
DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?", re.ASCII)
MOST_PAYLOAD_SHOWN = 256 * 1024
"""Letters of a body on the page; the trace has more of it, perhaps."""
router = page_router()


class Filters(BaseModel):
    """As they stand in the address; empty is not given."""

    model_config = ConfigDict(extra="ignore")

    since: str = ""
    until: str = ""
    """UTC."""
    endpoint: str = Field("", max_length=LONGEST_FILTER)
    model: str = Field("", max_length=LONGEST_FILTER)
    status: str = ""
    outcome: str = Field("", max_length=LONGEST_FILTER)
    project: str = Field("", max_length=LONGEST_FILTER)
    request_id: str = Field("", max_length=LONGEST_FILTER)
    after: str = Field("", max_length=LONGEST_FILTER)
    """The id of the last trace of the page before."""

    @field_validator("since", "until")
    @classmethod
    def _is_date(cls, text: str) -> str:
        if text and not (DATE.fullmatch(text) and _ns(text) is not None):
            raise ValueError("a date is written 2026-01-31T12:00, in UTC")
        return text

    @field_validator("status")
    @classmethod
    def _is_status(cls, text: str) -> str:
        if text and not re.fullmatch(r"[1-5]\d\d", text, re.ASCII):
            raise ValueError("a status is a number from 100 to 599")
        return text

    @classmethod
    def of(cls, query: dict[str, str]) -> tuple[Self, list[str]]:
        """What can be understood of it, and what is wrong with the rest."""
        wrong: list[str] = []
        for name in [name for name in cls.model_fields if name in query]:
            try:
                cls.model_validate({name: query[name]})
            except ValueError as error:
                reason = getattr(error, "errors", list)()[0]["msg"].removeprefix("Value error, ")
                wrong.append(f"{name}: {reason}")
                query = {key: value for key, value in query.items() if key != name}
        return cls.model_validate(query), wrong

    def wanted(self) -> TracesWanted:
        return TracesWanted(
            limit=PER_PAGE,
            after=self.after or None,
            since_ns=_ns(self.since),
            until_ns=_ns(self.until),
            endpoint=self.endpoint or None,
            model=self.model or None,
            status=int(self.status) if self.status else None,
            outcome=self.outcome or None,
            request_id=self.request_id or None,
        )

    def address(self, **changed: str) -> str:
        """Of the list with these filters, `changed` put over them."""
        given = {name: value for name, value in (self.model_dump() | changed).items() if value}
        return f"{ROOT}/traces?{urlencode(given)}" if given else f"{ROOT}/traces"


@router.get("/traces")
async def list_traces(request: Request, shim: TheShim, session: SignedIn) -> Response:
    del session
    filters, wrong = Filters.of(dict(request.query_params))
    now_s = shim.clock.unix_s()
    found = await shim.clock.aside(
        lambda: shim.store.traces.page(filters.project or None, now_s, filters.wanted())
    )
    lately = {
        name: filters.address(since=_text(now_s - seconds), until="", after="")
        for name, seconds in LATELY.items()
    }
    older = filters.address(after=found.rows[-1].id) if found.has_more else None
    return await page(
        request,
        shim,
        "traces.html",
        filters=filters,
        wrong=wrong,
        rows=found.rows,
        longest_ps=max((row.duration_ps for row in found.rows), default=0) or 1,
        older=older,
        first=filters.address(after="") if filters.after else None,
        narrowed=filters != Filters(),
        lately=lately,
        models=list(shim.models),
        endpoints=_endpoints(request),
        outcomes=OUTCOMES,
    )


@router.get("/traces/{trace_id}")
async def show_trace(request: Request, shim: TheShim, session: SignedIn, trace_id: str) -> Response:
    del session
    trace = await shim.clock.aside(lambda: shim.store.traces.get(None, trace_id, shim.clock.unix_s()))
    if trace is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    drawn = bars(trace)
    return await page(
        request,
        shim,
        "trace.html",
        trace=trace,
        row=trace.row,
        cached_tokens=cached_tokens(trace),
        bars=drawn,
        bars_left_out=max(0, len(trace.spans) - MOST_BARS),
        ticks=ticks(trace),
        app_spans=await app_spans_of(shim, trace),
        bodies={"Request": trace.request, "Response": trace.response},
        most_shown=MOST_PAYLOAD_SHOWN,
        model_known=trace.row.model in shim.models,
        same_request=Filters(request_id=trace.row.request_id).address(),
    )


def _endpoints(request: Request) -> list[str]:
    """Those that may leave traces: what is posted to."""
    routes: list[BaseRoute] = request.app.routes
    posted = {
        route.path for route in routes if isinstance(route, APIRoute) and "POST" in (route.methods or ())
    }
    return sorted(path for path in posted if path.startswith(GUARDED) and "{" not in path)


def _ns(text: str) -> int | None:
    """None where nothing is given, or no such day exists."""
    if not text:
        return None
    try:
        whole = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
    return round(whole.timestamp() * 10**6) * (NS_PER_S // 10**6)


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
