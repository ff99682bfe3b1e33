"""The section `prices` of a model: what its tokens are billed at."""

from pydantic import Field

from sim.scenario.section import Section

MOST_USD = 1_000_000.0


class PricesSection(Section):
    """Three prices, as providers list them. They change no request: reports count with them."""

    input_usd_per_1m_tokens: float = Field(ge=0, le=MOST_USD, description="of prompts")
    cached_input_usd_per_1m_tokens: float | None = Field(
        None, ge=0, le=MOST_USD, description="of prompt tokens found in a prefix cache; absent: as of others"
    )
    output_usd_per_1m_tokens: float = Field(ge=0, le=MOST_USD, description="of answers")
