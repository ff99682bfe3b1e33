"""How urgent a caller says that a request is, in OpenAI's words or with vLLM's number."""

from typing import Annotated, Literal

from pydantic import Field

from api_shim.wire.body import Body
from traffic.request import INTERACTIVE_PRIORITY, LEAST_PRIORITY

ServiceTier = Literal["auto", "default", "flex", "priority", "scale"]

PRIORITIES: dict[str, int] = {"priority": INTERACTIVE_PRIORITY - 10, "flex": INTERACTIVE_PRIORITY + 10}
"""Of the tiers that pay for going earlier or later than others."""


class Urgency(Body):
    service_tier: ServiceTier | None = Field(
        None,
        description="`priority` goes before and `flex` behind the others where a node's queue looks at it",
    )
    priority: Annotated[int, Field(ge=-LEAST_PRIORITY, le=LEAST_PRIORITY)] | None = Field(
        None, description="as in vLLM: the lower goes first; beside a `service_tier` this counts"
    )

    @property
    def stated_priority(self) -> int | None:
        """None where the caller leaves it to the key."""
        return PRIORITIES.get(self.service_tier or "") if self.priority is None else self.priority

    @property
    def served_tier(self) -> ServiceTier | None:
        """What the answer says: OpenAI names the tier that was used."""
        return "default" if self.service_tier in ("auto", "scale") else self.service_tier
