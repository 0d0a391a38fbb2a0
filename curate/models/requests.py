"""What is asked of a model and what it answers, the same for every backend.

`Request(turns=(Turn("user", "What is 2 + 2? Answer with a number."),), max_tokens=1, top_logprobs=20)` may bring
`Reply("4", [{"4": -0.01, " 4": -5.2}], prompt_tokens=24, output_tokens=1, finish="stop")`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import orjson
import xxhash


class Turn(NamedTuple):
    """One message of a request."""

    role: str
    content: str


@dataclass(frozen=True, kw_only=True)
class Request:
    """One question to a model. `temperature` 0 is greedy; `seed` matters only above it."""

    turns: tuple[Turn, ...]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None
    """For each token of the answer the log-probabilities of so many most likely tokens, as the model gives them: never
    together with `choices` or `schema`, whose mask would have renormalised them."""
    choices: tuple[str, ...] | None = None
    """The answer is one of these."""
    schema: Mapping[str, Any] | None = field(default=None, hash=False)
    """The answer is JSON of this schema."""
    prefill: str = ""
    """The answer begins with this, which is not part of the reply."""
    continues: bool = False
    """The model goes on with the last turn, whoever's it is: a user's turn, as Magpie samples it."""

    def __post_init__(self) -> None:
        if self.top_logprobs is not None and (self.choices or self.schema):
            raise ValueError("log-probabilities under a structured-output mask are not the model's own")

    def key(self, model: str) -> bytes:
        """16 bytes that name model, prompt and sampling: the cache's key."""
        asked = {name: value for name, value in vars(self).items() if value not in (None, "", ())}
        if not self.continues:  # as keys were before there was such a field
            del asked["continues"]
        asked["turns"] = [tuple(turn) for turn in self.turns]
        text = orjson.dumps([model, asked], option=orjson.OPT_SORT_KEYS)
        return xxhash.xxh3_128_digest(text)


@dataclass(frozen=True)
class Reply:
    """What a model answered. `logprobs`: per token of the answer, token -> log-probability (natural), likeliest
    first."""

    text: str
    logprobs: list[dict[str, float]] | None = None
    prompt_tokens: int = 0
    output_tokens: int = 0
    finish: str = "stop"
    """`stop`, or `length` where `max_tokens` cut the answer."""

    def to_bytes(self) -> bytes:
        """As the cache keeps it."""
        return orjson.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Reply":
        """The reply that `to_bytes` wrote."""
        return cls(**orjson.loads(raw))


@dataclass(frozen=True)
class Failure:
    """A request that finally failed; `cause` is a sentence for a person. It is never cached."""

    cause: str


class Passage(NamedTuple):
    """Tokens, and the ascending spans [start, stop) of those that are asked about; the first token never is."""

    tokens: list[int]
    spans: tuple[tuple[int, int], ...]
