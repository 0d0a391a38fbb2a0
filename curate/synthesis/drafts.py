"""An attempt at a row: what it asks of the model, one request after the other, and what comes of it.

An attempt is a generator: it yields a `Request`, or one `ToJudge`, is sent the `Reply`, and returns a `Draft` or raises
`Lost`.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from curate.models import Reply, Request, Turn
from curate.synthesis.planning import Seed
from curate.templates import load_template

Attempt = Generator["Request | ToJudge", Reply, "Draft"]


@dataclass(frozen=True)
class ToJudge:
    """A request that goes to the judge, not to the model that writes."""

    request: Request


@dataclass(frozen=True)
class Draft:
    """A row that passed all that can be told of it alone. `functions`: labels of its syntax trees, for code."""

    instruction: str
    response: str
    functions: list[npt.NDArray[np.uint16]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    """What else is known of it, for its provenance."""


class Lost(Exception):
    """An attempt that came to nothing: at which stage, and why, as a sentence for a person."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(reason)
        self.stage, self.reason = stage, reason


def prompt(name: str, seed: Seed, **values: object) -> str:
    """A text of `prompts/synth/` in the seed's language."""
    topic = seed.topic.name
    known = {name: getattr(seed, name) for name in ("skill", "audience", "form", "constraint")}
    return load_template(f"synth/{name}.{seed.language}").render(**{**known, "topic": topic, **values}).strip()


def version_of(name: str, language: str) -> str:
    """`exercise@1`: the prompt and its version, for the provenance of a row."""
    return f"{name}@{load_template(f'synth/{name}.{language}').facts['version']}"


def asking(asked: str | tuple[Turn, ...], seed: Seed, max_tokens: int, step: int = 0, **more: Any) -> Request:
    """A request of a user's turn or of several, sampled so that each attempt and step has a seed of its own."""
    turns = (Turn("user", asked),) if isinstance(asked, str) else asked
    sampled = {"temperature": 0.8, "top_p": 0.95, "seed": (seed.number + step) & 0x7FFFFFFF}
    return Request(turns=turns, max_tokens=max_tokens, **{**sampled, **more})


def whole_text(reply: Reply, stage: str = "parsed") -> str:
    """The text of an answer that was not cut off. Raises Lost for one that was, or is empty."""
    if reply.finish == "length":
        raise Lost(stage, f"the answer was cut off after {reply.output_tokens:,} tokens")
    text = reply.text.strip()
    if not text:
        raise Lost(stage, "the answer is empty")
    return text
