"""What a call costs, from the price table in settings. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from shared.settings import Settings
from workers.llm_tier.chat import Usage

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, kw_only=True)
class Prices:
    """US dollars per million tokens."""

    input_usd: Decimal
    cached_usd: Decimal
    output_usd: Decimal

    @classmethod
    def from_settings(cls, settings: Settings) -> Prices:
        """The table as set."""
        return cls(
            input_usd=Decimal(str(settings.llm_input_usd_per_million)),
            cached_usd=Decimal(str(settings.llm_cached_usd_per_million)),
            output_usd=Decimal(str(settings.llm_output_usd_per_million)),
        )

    def cost_usd(self, usage: Usage) -> Decimal:
        """The price of one call, to a hundred-millionth of a dollar."""
        fresh = usage.prompt_tokens - usage.cached_tokens
        total = (
            fresh * self.input_usd
            + usage.cached_tokens * self.cached_usd
            + usage.completion_tokens * self.output_usd
        )
        return (total / _MILLION).quantize(Decimal("0.00000001"))
