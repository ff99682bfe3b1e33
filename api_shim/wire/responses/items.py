"""What a conversation is made of in the responses dialect: items. The model reads them as chat messages."""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64Error
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    TypeAdapter,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api_shim.wire.body import Body
from api_shim.wire.chat_body import (
    MOST_MESSAGES,
    MOST_PARTS,
    CalledFunction,
    ContentPart,
    FunctionName,
    Message,
    Role,
    ToolCall,
)
from api_shim.wire.errors import bad_value

Json = dict[str, Any]
MOST_ITEMS = MOST_MESSAGES
"""Of a request, and of all that the model is given to read."""
NOT_TEXT = {"input_image": "image", "input_audio": "audio", "input_file": "file"}
TEXTS = {"input_text", "output_text", "text", "summary_text", "reasoning_text"}
CallId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
ItemId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ItemStatus = Literal["in_progress", "completed", "incomplete"]


class ItemPart(Body):
    type: str
    text: str | None = None
    refusal: str | None = None

    @model_validator(mode="after")
    def _is_text(self) -> Self:
        if self.type in NOT_TEXT:
            raise PydanticCustomError(
                "part", "this model takes no {kind} input, only text parts", {"kind": NOT_TEXT[self.type]}
            )
        if self.type not in TEXTS | {"refusal"}:
            message = "parts are of type 'input_text', 'output_text' or 'refusal', not {kind}"
            raise PydanticCustomError("part", message, {"kind": repr(self.type[:64])})
        if (self.refusal if self.type == "refusal" else self.text) is None:
            needed = "refusal" if self.type == "refusal" else "text"
            raise PydanticCustomError(
                "part", "a part of type '{kind}' needs its {needed}", {"kind": self.type, "needed": needed}
            )
        return self

    @property
    def said(self) -> str:
        return (self.refusal if self.type == "refusal" else self.text) or ""


def _as_parts(value: object) -> object:
    return [{"type": "text", "text": value}] if isinstance(value, str) else value


Parts = Annotated[
    list[ItemPart],
    Field(max_length=MOST_PARTS),
    BeforeValidator(_as_parts, json_schema_input_type=str | list[ItemPart]),
]


class MessageItem(Body):
    type: Literal["message"] | None = None
    id: ItemId | None = None
    role: Literal["user", "assistant", "system", "developer"]
    content: Parts
    status: ItemStatus | None = None
    phase: Literal["commentary", "final_answer"] | None = None

    @property
    def text(self) -> str:
        return "".join(part.said for part in self.content)

    def shown(self) -> Json:
        parts = [_shown_part(self.role, part) for part in self.content]
        return {"type": "message", "status": self.status or "completed", "role": self.role, "content": parts}


def _shown_part(role: str, part: ItemPart) -> Json:
    if part.type == "refusal":
        return {"type": "refusal", "refusal": part.said}
    if role == "assistant":
        return {"type": "output_text", "text": part.said, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": part.said}


class FunctionCallItem(Body):
    type: Literal["function_call"]
    id: ItemId | None = None
    call_id: CallId
    name: FunctionName
    arguments: str
    status: ItemStatus | None = None

    def shown(self) -> Json:
        return {
            "type": "function_call",
            "status": self.status or "completed",
            "call_id": self.call_id,
            "name": self.name,
            "arguments": self.arguments,
        }


class FunctionCallOutputItem(Body):
    type: Literal["function_call_output"]
    id: ItemId | None = None
    call_id: CallId
    output: Parts
    status: ItemStatus | None = None

    @property
    def text(self) -> str:
        return "".join(part.said for part in self.output)

    def shown(self) -> Json:
        return {
            "type": "function_call_output",
            "status": self.status or "completed",
            "call_id": self.call_id,
            "output": self.text,
        }


class ReasoningItem(Body):
    type: Literal["reasoning"]
    id: ItemId | None = None
    summary: Annotated[list[ItemPart], Field(max_length=MOST_PARTS)] | None = None
    content: Annotated[list[ItemPart], Field(max_length=MOST_PARTS)] | None = None
    encrypted_content: str | None = None
    status: ItemStatus | None = None

    @property
    def text(self) -> str:
        """What was thought: as content, or as clients keep it that let nothing be stored."""
        if self.content:
            return "".join(part.said for part in self.content)
        return unsealed(self.encrypted_content or "")

    def shown(self) -> Json:
        content = [{"type": "reasoning_text", "text": part.said} for part in self.content or ()]
        summary = [{"type": "summary_text", "text": part.said} for part in self.summary or ()]
        sealed = {} if self.encrypted_content is None else {"encrypted_content": self.encrypted_content}
        return {"type": "reasoning", "summary": summary, "content": content, **sealed}


class ItemReference(Body):
    """Stands for an item that the server has stored."""

    type: Literal["item_reference"] | None = None
    id: ItemId


def sealed(reasoning: str) -> str:
    """What `encrypted_content` is here: not encrypted, but as opaque to clients."""
    return b64encode(reasoning.encode()).decode()


def unsealed(text: str) -> str:
    """Empty for what some other server has sealed."""
    try:
        return b64decode(text, validate=True).decode()
    except (NotBase64Error, UnicodeDecodeError, ValueError):
        return ""


KINDS = ("message", "function_call", "function_call_output", "reasoning", "item_reference")


def _kind(value: object) -> str | None:
    """A tag of the union below; None for what no item of ours is."""
    if isinstance(value, dict):
        kind = value.get("type") or ("message" if "role" in value or "id" not in value else "item_reference")
    else:
        kind = getattr(value, "type", None)
    return f"<{kind}>" if kind in KINDS else None


_WHICH = Discriminator(
    _kind,
    custom_error_type="item",
    custom_error_message="items are of type 'message', 'function_call', 'function_call_output', "
    "'reasoning' or 'item_reference'",
)
_Kept = (
    Annotated[MessageItem, Tag("<message>")]
    | Annotated[FunctionCallItem, Tag("<function_call>")]
    | Annotated[FunctionCallOutputItem, Tag("<function_call_output>")]
    | Annotated[ReasoningItem, Tag("<reasoning>")]
)
StoredItem = Annotated[_Kept, _WHICH]
InputItem = Annotated[_Kept | Annotated[ItemReference, Tag("<item_reference>")], _WHICH]
_ITEMS: TypeAdapter[list[StoredItem]] = TypeAdapter(list[StoredItem])


def stored_items(text: str) -> list[StoredItem]:
    """From the JSON that the server has kept; there are no references in it."""
    return _ITEMS.validate_json(text)


def stored_item(text: str) -> StoredItem:
    (item,) = stored_items(f"[{text}]")
    return item


def with_ids(items: Iterable[StoredItem], new_id: "ItemIds") -> list[Json]:
    """As they are kept and listed. A client's own ids stay."""
    return [
        {"id": item.id or new_id.of(index, item.type or "message"), **item.shown()}
        for index, item in enumerate(items)
    ]


ID_PREFIXES = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "reasoning": "rs_",
}


class ItemIds:
    """Ids that follow from the response's own, so that an answer made again has the same."""

    def __init__(self, owner_id: str, side: Literal["i", "o"]) -> None:
        """`side` tells what went in from what came out."""
        self._stem = f"{owner_id.partition('_')[2]}{side}"

    def of(self, index: int, kind: str) -> str:
        return f"{ID_PREFIXES[kind]}{self._stem}{index:x}"

    def call(self, index: int) -> str:
        """What a function's result has to name."""
        return f"call_{self._stem}{index:x}"


def messages_of(items: Sequence[StoredItem], remembered: int = 0) -> list[Message]:
    """As the model reads them. What the model says in a row (text, then calls) is one message, as in chat.

    Reasoning is dropped once the user has spoken again, as the chat templates of reasoning models do.
    Raises ApiError where a result answers no call. The first `remembered` items are not of this request.
    """
    spoken = max((i for i, item in enumerate(items) if _is_users(item)), default=-1)
    messages: list[Message] = []
    calls: list[ToolCall] = []
    called: set[str] = set()
    for index, item in enumerate(items):
        if isinstance(item, FunctionCallItem):
            called.add(item.call_id)
            calls.append(_call(item))
            if not (calls[1:] or (messages and messages[-1].role == "assistant")):
                messages.append(_message("assistant", None))
            messages[-1] = _message("assistant", messages[-1].text or None, calls)
            continue
        calls = []
        if isinstance(item, MessageItem):
            messages.append(_message(item.role, item.text))
        elif isinstance(item, FunctionCallOutputItem):
            if item.call_id not in called:
                raise bad_value(
                    f"input[{index - remembered}].call_id" if index >= remembered else "input",
                    f"No function_call with call_id '{item.call_id}' stands before this result.",
                )
            messages.append(_message("tool", item.text, call_id=item.call_id))
        elif index > spoken and item.text:
            messages.append(_message("assistant", item.text))
    return messages


def text_message(role: Role, text: str) -> Message:
    return _message(role, text)


def user_item(text: str) -> MessageItem:
    return MessageItem(role="user", content=[ItemPart(type="text", text=text)])


def _is_users(item: StoredItem) -> bool:
    return isinstance(item, MessageItem) and item.role == "user"


def _call(item: FunctionCallItem) -> ToolCall:
    function = CalledFunction.model_construct(name=item.name, arguments=item.arguments)
    return ToolCall.model_construct(id=item.call_id, type="function", function=function)


def _message(
    role: Role, text: str | None, calls: list[ToolCall] | None = None, call_id: str | None = None
) -> Message:
    """Checked already, as an item."""
    part = None if text is None else [ContentPart.model_construct(type="text", text=text)]
    return Message.model_construct(
        role=role, content=part, tool_calls=list(calls) if calls else None, tool_call_id=call_id
    )
