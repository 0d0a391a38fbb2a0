"""What becomes of attempts, stage by stage: how many came, how many went, why, and when it is no use to go on.

Of 100 attempts 92 parsed, 40 ran, 31 had tests that bite, 30 were unique, 30 clean: 30 accepted.
"""

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from curate.errors import StoppedError

STAGES = {
    "exercises": ("answered", "parsed", "executed", "bites", "judged", "sound", "unique", "clean", "accepted"),
    "textbook": ("answered", "parsed", "judged", "sound", "unique", "clean", "accepted"),
    "instructions": ("answered", "parsed", "judged", "sound", "unique", "clean", "accepted"),
    "evolve": ("answered", "parsed", "judged", "sound", "unique", "clean", "accepted"),
}
"""An attempt is lost at one of these, or is accepted."""

ADVICE = {
    "answered": "look at the model or its server",
    "parsed": "name a larger model with --model, one that holds to JSON (vllm: or http://), or more --answer-tokens",
    "executed": "a larger model, or --repair, which shows it what went wrong",
    "bites": "a larger model: the tests that this one writes pass wrong solutions",
    "judged": "a larger model, other topics, or another judge",
    "sound": "look at the reasons in attempts.jsonl; another --language, topics or model",
    "unique": "more --topics: the model writes the same again",
    "clean": "other --topics: what it writes is of the benchmarks",
}
WINDOW, LEAST = 500, 0.01
"""Attempts of a stage that are looked at, and the share of them below which it stops."""

EXAMPLES = 3


@dataclass
class Yields:
    """Counts of attempts by the stage at which they were lost; `reasons` by stage, `examples` of the lost texts."""

    kind: str
    judged: bool = False
    """Whether a judge looks at drafts."""
    earlier: int = 0
    """Rows accepted in earlier sittings."""
    lost: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    topics: Counter[str] = field(default_factory=Counter)
    tokens: int = 0
    attempts: int = 0
    accepted: int = 0
    near_over_time: list[tuple[int, int]] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    _lately: dict[str, deque[bool]] = field(default_factory=dict)

    def count(self, attempt: dict[str, Any]) -> None:
        """Take one attempt of the log in."""
        stages, stage = self._stages, attempt["stage"]
        self.attempts += 1
        self.tokens += attempt["tokens"]
        if self.attempts % 100 == 1:
            self.near_over_time.append((0, 0))
        for passed in stages[: stages.index(stage)]:
            self._lately.setdefault(passed, deque(maxlen=WINDOW)).append(True)
        if stage == "accepted":
            self.accepted += 1
            self.topics[attempt["topic"]] += 1
            self.lengths.append(attempt["characters"])
        else:
            self._lately.setdefault(stage, deque(maxlen=WINDOW)).append(False)
            self.lost[stage] += 1
            self.reasons.setdefault(stage, Counter())[_kind_of(attempt["reason"])] += 1
            if len(shown := self.examples.setdefault(stage, [])) < EXAMPLES:
                shown.append(attempt)
        if stage in ("unique", "clean", "accepted"):
            looked, near = self.near_over_time[-1]
            self.near_over_time[-1] = (looked + 1, near + (stage == "unique"))

    def funnel(self) -> list[tuple[str, int]]:
        """Each stage with the attempts that passed it."""
        left, rows = self.attempts, []
        for stage in self._stages[:-1]:
            left -= self.lost[stage]
            rows.append((stage, left))
        return rows

    @property
    def _stages(self) -> list[str]:
        return [stage for stage in STAGES[self.kind] if stage != "judged" or self.judged]

    def check(self) -> None:
        """Raises StoppedError where fewer than 1 of 100 of the last 500 attempts pass a stage, with what to change."""
        for stage, lately in self._lately.items():
            if len(lately) == WINDOW and sum(lately) < LEAST * WINDOW:
                often = self.reasons[stage].most_common(1)[0][0]
                raise StoppedError(
                    f"of the last {WINDOW} attempts {sum(lately)} passed the stage {stage!r}; mostly: {often}",
                    f"{ADVICE[stage]}; then run the command again: what was accepted is kept",
                )


def _kind_of(reason: str) -> str:
    """A reason without its numbers, quotations and what is after a colon, so that like reasons count together."""
    head, _, rest = reason.partition(": ")
    if " " not in head and rest:  # the name of a filter
        head = f"{head}: {rest.partition(': ')[0]}"
    return re.sub(r"\d+(\.\d+)?(,\d+)*", "N", re.sub(r"'[^']*'|\"[^\"]*\"", "…", head))[:90]
