"""What a run asked of models, what that cost, and where it has to stop.

`Spending(max_tokens=1_000_000).spent` is empty until a million tokens went in and out, then says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Spending:
    """Counts of a run, over all models. Prices are in any currency per million tokens, in and out, by model.

    `failed`: requests that finally failed and that somebody waits for, as a row does for its score.
    """

    max_tokens: int | None = None
    budget: float | None = None
    prices: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    answered: int = 0
    cached: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    def pay(self, model: str, prompt_tokens: int, output_tokens: int) -> None:
        """Count an answer."""
        self.answered += 1
        self.prompt_tokens += prompt_tokens
        self.output_tokens += output_tokens
        self.cost += self.price(model, prompt_tokens, output_tokens) or 0.0

    def price(self, model: str, prompt_tokens: float, output_tokens: float) -> float | None:
        """What so many tokens cost; None where no price is set."""
        if model not in self.prices:
            return None
        price_in, price_out = self.prices[model]
        return (prompt_tokens * price_in + output_tokens * price_out) / 1e6

    def allows(self, in_flight: int) -> bool:
        """Whether one request more may be sent while so many are in flight, if they cost what those before did."""
        share = (in_flight + 1) / self.answered if self.answered else 0.0
        tokens = (self.prompt_tokens + self.output_tokens) * (1 + share)
        within = self.max_tokens is None or tokens <= self.max_tokens or not in_flight
        return within and (self.budget is None or self.cost * (1 + share) <= self.budget or not in_flight)

    @property
    def spent(self) -> str:
        """Which limit is reached, as a person reads it; empty: none."""
        tokens = self.prompt_tokens + self.output_tokens
        if self.max_tokens is not None and tokens >= self.max_tokens:
            return f"the {self.max_tokens:,} tokens that --max-tokens allows are used"
        if self.budget is not None and self.cost >= self.budget:
            return f"the budget of {self.budget:,.2f} is spent"
        return ""
