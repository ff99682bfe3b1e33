"""The events of a streamed response. What they are follows from the plan of the answer and its tokens alone.

So a stream that is taken up again, or of a response that is over, has the same events with the same numbers.
"""

import json
from collections.abc import Callable
from typing import Any

from api_shim.content.plan import ContentPlan, Part, Stretch
from api_shim.exchange.chunk_writer import LOGPROBS_AT_ONCE, TOKENS_AT_ONCE, as_json, quoted
from api_shim.exchange.response_object import OutputForm
from api_shim.exchange.stamps import Usage
from api_shim.wire.errors import ApiError

Json = dict[str, Any]
TERMINAL = {"completed": "response.completed", "failed": "response.failed"}
"""By status; `response.incomplete` is the end of all others."""


class ResponseWriter:
    """A `ChunkWriter`. `head` is the response while it is made; `ended` tells, at the end, what it came to.

    Events up to the number `after` are left out: the client has them.
    """

    end = b""
    """These streams end with their last event."""
    prompt_param = "input"

    def __init__(
        self,
        head: Json,
        plan: ContentPlan,
        form: OutputForm,
        ended: Callable[[], Json],
        failed: Callable[[ApiError], Json],
        *,
        after: int = -1,
    ) -> None:
        self._head = head
        self._plan = plan
        self._form = form
        self._ended = ended
        self._failed = failed
        self._after = after
        self._number = 0
        self._places = {part.start: index for index, (part, _, _) in enumerate(plan.stretches(0))}
        """In `output`, by the beginning of a part."""

    @property
    def tokens_at_once(self) -> int:
        return TOKENS_AT_ONCE if self._form.logprobs is None else LOGPROBS_AT_ONCE

    def opening(self, choice: int) -> bytes:
        """Nothing, where it was asked for before."""
        del choice  # there is one
        if self._number:
            return b""
        if not self._head["background"]:
            return self._of_response("response.created", self._head) + self._in_progress()
        queued = {**self._head, "status": "queued"}
        created = self._of_response("response.created", queued)
        return created + self._of_response("response.queued", queued) + self._in_progress()

    def _in_progress(self) -> bytes:
        return self._of_response("response.in_progress", self._head)

    def content(self, choice: int, stretch: Stretch, letters_before: int, *, one_by_one: bool) -> bytes:
        del choice, letters_before
        part = stretch.part
        begins = part.named if part.kind == "call" else part.start + 1
        """The token with which its item is there."""
        events = []
        if stretch.start < begins <= stretch.stop:
            events.append(self._begin(part))
        groups = [[piece] for piece in stretch.pieces] if one_by_one else [stretch.pieces]
        events += [self._delta(part, group) for group in groups if any(group)]
        if stretch.stop == part.stop and begins <= part.stop:
            events.append(self._finish(part))
        return b"".join(events)

    def closing(self, choice: int, finish_reason: str) -> bytes:
        """Every item has ended with its last token."""
        del choice, finish_reason
        return b""

    def usage(self, usage: Usage) -> bytes:
        """The last event has it, within the response."""
        del usage
        return self.last(self._ended())

    def refused(self, error: ApiError) -> bytes:
        return self.last(self._failed(error))

    def last(self, response: Json) -> bytes:
        return self._of_response(TERMINAL.get(response["status"], "response.incomplete"), response)

    def forget_numbers(self) -> None:
        """It is not known which events were told: what comes next follows those that the client has."""
        self._number = max(self._number, self._after + 1)

    # Items

    def _begin(self, part: Part) -> bytes:
        index = self._places[part.start]
        item = self._form.beginning(index, part)
        added = self._event("response.output_item.added", output_index=index, item=item)
        if part.kind != "text":
            return added
        empty = self._form.text_part([])
        return added + self._event("response.content_part.added", **self._content_place(part), part=empty)

    def _delta(self, part: Part, pieces: list[str]) -> bytes:
        text = quoted(pieces[0]) if len(pieces) == 1 else json.dumps("".join(pieces))
        if part.kind == "call":
            return self._told("response.function_call_arguments.delta", self._item_place(part), text)
        place = self._content_place(part)
        if part.kind == "reasoning":
            return self._told("response.reasoning_text.delta", place, text)
        entries = self._form.entries(pieces)
        return self._told("response.output_text.delta", place, text, f',"logprobs":{as_json(entries)}')

    def _finish(self, part: Part) -> bytes:
        index, pieces = self._places[part.start], self._plan.choices[0][part.start : part.stop]
        text, place = "".join(pieces), self._content_place(part)
        cut = self._plan.finish_reason == "length" and part.stop == self._plan.output_tokens
        item = self._form.item(index, part, pieces, "incomplete" if cut else "completed")
        if part.kind == "call":
            done = self._event(
                "response.function_call_arguments.done",
                **self._item_place(part),
                name=part.name,
                arguments=text,
            )
        elif part.kind == "reasoning":
            done = self._event("response.reasoning_text.done", **place, text=text)
        else:
            whole = self._form.text_part(pieces)
            done = self._event("response.output_text.done", **place, text=text, logprobs=whole["logprobs"])
            done += self._event("response.content_part.done", **place, part=whole)
        return done + self._event("response.output_item.done", output_index=index, item=item)

    def _item_place(self, part: Part) -> Json:
        index = self._places[part.start]
        return {"item_id": self._form.item_id(index, part), "output_index": index}

    def _content_place(self, part: Part) -> Json:
        return {**self._item_place(part), "content_index": 0}

    # Events

    def _of_response(self, kind: str, response: Json) -> bytes:
        return self._event(kind, response=response)

    def _event(self, kind: str, **members: Any) -> bytes:  # noqa: ANN401 -- JSON
        return self._numbered(kind, lambda: as_json(members)[1:])

    def _told(self, kind: str, place: Json, text: str, more: str = "") -> bytes:
        """As `_event`, by hand: there may be 17,000 deltas a second. `text` and `more` are JSON."""
        return self._numbered(kind, lambda: f'{as_json(place)[1:-1]},"delta":{text}{more}}}')

    def _numbered(self, kind: str, rest: Callable[[], str]) -> bytes:
        number = self._number
        self._number += 1
        if number <= self._after:
            return b""
        return f'event: {kind}\ndata: {{"type":"{kind}","sequence_number":{number},{rest()}\n\n'.encode()
