"""The contents that need nothing but the request."""

from api_shim.content.plan import ContentAsk, ContentPlan
from api_shim.content.structured import demanded, structured
from api_shim.content.words import sentences, spoken


class Synthetic:
    """Sentences about nothing, as long as the scenario says; calls and JSON where the request is for them."""

    paced = True

    async def plan(self, ask: ContentAsk) -> ContentPlan:
        return await structured(ask) or await sentences(ask)


class Echo:
    """The last user message comes back, unless a call or JSON is demanded."""

    paced = True

    async def plan(self, ask: ContentAsk) -> ContentPlan:
        return await demanded(ask) or spoken(ask, ask.last_user_text)
