"""What is noted of one request while it is answered, and the trace that is made of it.

What needs time, such as to look for secrets, is left to who makes the `Trace`, aside.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from api_shim.clocks.clock import Clock
from api_shim.content.plan import ContentAsk, ContentPlan
from api_shim.exchange.call import Call
from api_shim.exchange.exchange import ANSWERED
from api_shim.store.traces import Trace, TraceRow, TraceSpan
from api_shim.tracing.kept import BODY_BYTES, MARGIN_BYTES, PARSED_BYTES, WhoAsks, kept_text, parsed
from api_shim.tracing.redaction import Redaction
from api_shim.tracing.stages import stages

SETTINGS = (
    "n",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "temperature",
    "top_p",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "conversation",
)
"""What of a body tells how to generate, and what it goes on with."""
LONGEST_SETTING = 200
LONGEST_MODEL = 200
MOST_MESSAGES = 1000
REFUSED, CANCELLED = "refused", "cancelled"


class TracedCall(NamedTuple):
    call: Call
    plan: ContentPlan
    ask: ContentAsk


class OpenTrace:
    """Of a request that is being answered. Ends with the last that was closed of all that it sent."""

    def __init__(
        self,
        who: WhoAsks,
        raw: bytes,
        clock: Clock,
        trace_id: str,
        add: Callable[[Callable[[], Trace]], object],
        *,
        logged: bool,
    ) -> None:
        self._add = add
        self._who = who
        self._raw = raw[:PARSED_BYTES]
        self._raw_bytes = len(raw)
        self._clock = clock
        self._id = trace_id
        self._logged = logged
        self._opened_ps = clock.now_ps()
        self._status = 0
        self._answer: list[bytes] = []
        self._kept_bytes = self._answer_bytes = 0
        self._calls: list[TracedCall] = []
        self._unclosed = 0

    def sent(self, call: Call, plan: ContentPlan, ask: ContentAsk) -> None:
        self._calls.append(TracedCall(call, plan, ask))
        self._unclosed += 1

    def answer(self, status: int, body: bytes = b"") -> None:
        self._status = status
        self.wrote(body)

    def wrote(self, chunk: bytes) -> None:
        self._answer_bytes += len(chunk)
        if self._logged and self._kept_bytes < BODY_BYTES + MARGIN_BYTES:
            self._answer.append(chunk)
            self._kept_bytes += len(chunk)

    def closed(self) -> None:
        self._unclosed -= 1
        self.end_unless_sent()

    def end_unless_sent(self) -> None:
        if not self._unclosed:
            self._end()

    def _end(self) -> None:
        """All that will be known is known: what may still change is noted here, since `_trace` runs aside."""
        now_ps = self._clock.timeline.now
        ends = [call.ended_ps if _is_settled(call, now_ps) else now_ps for call, _, _ in self._calls]
        spans = [
            span
            for (call, _, _), end_ps in zip(self._calls, ends, strict=True)
            for span in stages(call, end_ps)
        ]
        began_ps = min((span.began_ps for span in spans), default=min(self._opened_ps, now_ps))
        ended_ps = max((span.ended_ps for span in spans), default=now_ps)
        seen = [ps for call, _, _ in self._calls if 0 <= (ps := _first_seen_ps(call)) <= ended_ps]
        outcomes = [call.reason if _is_settled(call, now_ps) else CANCELLED for call, _, _ in self._calls]
        row = TraceRow(
            id=self._id,
            request_id=self._who.request_id,
            project=self._who.project,
            endpoint=self._who.endpoint,
            model=self._calls[0].ask.model if self._calls else "",
            status=self._status,
            outcome=next((one for one in outcomes if one not in ANSWERED), [*outcomes, REFUSED][0]),
            began_ns=self._clock.date_ns(began_ps),
            duration_ps=ended_ps - began_ps,
            first_seen_ps=min(seen) - began_ps if seen else None,
            prompt_tokens=sum(call.request.prompt_tokens for call, _, _ in self._calls),
            output_tokens=sum(_made(call, now_ps) for call, _, _ in self._calls),
            streamed=bool(self._calls) and self._calls[0].call.request.stream,
            logged=self._logged,
        )
        if self._who.within is not None:
            self._who.within.made(row, [replace(span, attributes=dict(span.attributes)) for span in spans])
        self._add(partial(self._trace, row, began_ps, spans))

    def _trace(self, row: TraceRow, began_ps: int, spans: list[TraceSpan]) -> Trace:
        """Aside."""
        who, redaction = self._who, Redaction(self._who.secret)
        body = parsed(self._raw) if self._raw_bytes <= PARSED_BYTES else {}
        messages = [message for _, _, ask in self._calls for message in ask.messages] if self._logged else []
        kept, messages_cut = _kept_messages(messages, redaction)
        plans = [plan for _, plan, _ in self._calls] if row.outcome in ANSWERED else []
        of_answer = redaction.events if row.streamed and row.status == HTTPStatus.OK else redaction.answer
        return Trace(
            row=replace(
                row,
                request_id=redaction.text(row.request_id),
                model=row.model or redaction.text(str(body.get("model", "")))[:LONGEST_MODEL],
            ),
            began_ps=began_ps,
            spans=spans,
            key=who.key,
            place=self._calls[0].call.request.place if self._calls else "",
            finish_reasons=[plan.finish_reason for plan in plans for _ in plan.choices],
            settings=_settings(body, redaction),
            messages=kept,
            messages_cut=messages_cut,
            request=kept_text([self._raw], self._raw_bytes, redaction.text, redaction)
            if self._logged
            else None,
            response=(
                kept_text(self._answer, self._answer_bytes, of_answer, redaction) if self._logged else None
            ),
            traceparent=who.traceparent,
        )


def _is_settled(call: Call, now_ps: int) -> bool:
    """Its end has reached the caller, who has not left before."""
    return bool(call.reason) and call.ended_ps <= now_ps


def _first_seen_ps(call: Call) -> int:
    return -1 if call.ticket is None else call.ticket.first_seen_ps


def _made(call: Call, now_ps: int) -> int:
    """Tokens, all completions together, whether or not they have reached anybody."""
    ticket = call.ticket
    if ticket is None or ticket.node is None:
        return 0
    kernel = ticket.node.kernel
    return sum(
        one.generated if one.last_ps >= 0 else kernel.tokens_by(one, now_ps) for one in ticket.sequences
    )


def _settings(body: dict[str, Any], redaction: Redaction) -> dict[str, Any]:
    """Those that are short, as all sensible ones are."""
    texts = {name: json.dumps(body[name]) for name in SETTINGS if body.get(name) is not None}
    return {
        name: json.loads(redaction.text(text)) for name, text in texts.items() if len(text) <= LONGEST_SETTING
    }


def _kept_messages(
    messages: list[tuple[str, str]], redaction: Redaction
) -> tuple[list[tuple[str, str]], bool]:
    """(as many as fit, whether something is missing)"""
    kept: list[tuple[str, str]] = []
    room = BODY_BYTES
    for role, text in messages:
        if len(text) > room or len(kept) == MOST_MESSAGES:
            begun = redaction.cut(redaction.text(text[: room + MARGIN_BYTES]), room)
            return [*kept, (role, begun)], True
        kept.append((role, redaction.text(text)))
        room -= len(text)
    return kept, False
