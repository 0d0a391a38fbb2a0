"""From a model's reply to a score on a rubric's scale, or to the reason why there is none.

The reply to "answer with 0, 1, 2, 3, 4 or 5 alone" with p(4) = 0.6 and p(3) = 0.3 scores 3.67, with a doubt of 0.1.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from curate.judging.rubrics import Mode, Rubric
from curate.models import Reply, Request, Turn

TOP = 20
"""Most likely tokens that are asked for: what every server gives."""

LEAST_MASS = 0.05
"""Share of belief on the scale below which the model did not answer the question."""

LEAST_BRANCH = 0.001
"""A token that only begins a label ("1" of "10") is followed where it has so much of the belief."""

REASON_TOKENS = 512
"""Length of an answer that gives a reason first."""

LABEL_TOKENS = 8


@dataclass(frozen=True)
class Score:
    """A value on the scale; `doubt`: the share of the model's belief that lay outside the scale, null where not
    seen."""

    value: float
    doubt: float | None = None


@dataclass(frozen=True)
class Unscored:
    """Why there is no score."""

    cause: str


@dataclass(frozen=True)
class Further:
    """The reply began several labels: what the next token would be after each of `begun` has to be asked."""

    begun: Mapping[str, float]


def request_for(turns: tuple[Turn, Turn], rubric: Rubric, mode: Mode, prefill: str = "") -> Request:
    """What is asked of the model: one token with its probabilities, a reason and a label, or one of the labels."""
    if mode == "expected":
        return Request(turns=turns, max_tokens=1, top_logprobs=TOP, prefill=prefill)
    if mode == "choice":
        return Request(turns=turns, max_tokens=LABEL_TOKENS, choices=tuple(rubric.scale))
    return Request(turns=turns, max_tokens=REASON_TOKENS)


def read_score(reply: Reply, rubric: Rubric, mode: Mode) -> Score | Unscored | Further:
    """The score that a reply gives."""
    if mode == "expected":
        if not reply.logprobs:
            return Unscored("the model gave no log-probabilities: use mode text")
        begun = further(reply.logprobs[0], rubric)
        return Further(begun) if begun else expected(reply.logprobs[0], rubric)
    if mode == "choice":
        return _labelled(reply.text.strip(), rubric)
    if reply.finish == "length":
        return Unscored(f"the reason was cut off after {reply.output_tokens} tokens, before any score")
    text = re.sub(r"(?s)^.*</think>", "", reply.text).rstrip().rstrip("*_.。")
    found = re.fullmatch(
        r"[\s*_#]*(?:score|점수)\s*[*_]*\s*[:：]\s*[*_]*\s*(.+)", text.rpartition("\n")[2], re.IGNORECASE
    )
    if not found:
        return Unscored(f'the last line is no score: "{text.rpartition(chr(10))[2][:60]}"')
    return _labelled(found[1].strip(), rubric)


def _labelled(label: str, rubric: Rubric) -> Score | Unscored:
    if label in rubric.scale:
        return Score(rubric.scale[label])
    return Unscored(f'"{label[:40]}" is not on the scale {", ".join(rubric.scale)}')


def plain(token: str) -> str:
    """A token without what tokenizers write for a leading space."""
    return token.lstrip("▁Ġ").strip()


def further(place: Mapping[str, float], rubric: Rubric) -> dict[str, float]:
    """Tokens that begin a longer label, with their probability: `1` on a scale with 1 and 10."""
    begun: dict[str, float] = {}
    for token, logprob in place.items():
        text = plain(token)
        longer = any(label != text and label.startswith(text) for label in rubric.scale) if text else False
        if longer and math.exp(logprob) >= LEAST_BRANCH:
            begun[text] = begun.get(text, 0.0) + math.exp(logprob)
    return begun


def expected(
    place: Mapping[str, float], rubric: Rubric, after: Mapping[str, Mapping[str, float]] | None = None
) -> Score | Unscored:
    """Σ value · p(label) over the labels, normalised, as G-Eval (Liu et al. 2023) and DEITA weigh a judge's tokens.

    `place`: log-probability of each token that the answer may begin with; `after`: for tokens that begin a longer
    label, those of the token after it.
    """
    mass = dict.fromkeys(rubric.scale, 0.0)
    begun = further(place, rubric) if after else {}
    for token, logprob in place.items():
        if (text := plain(token)) in mass and text not in begun:
            mass[text] += math.exp(logprob)
    for text, probability in begun.items():
        rest = 1.0
        for token, logprob in (after or {})[text].items():
            longer = text + token.strip() if token == token.lstrip("▁Ġ ") else ""
            if longer in mass:
                mass[longer] += probability * math.exp(logprob)
            if longer and any(label.startswith(longer) for label in mass):
                rest -= math.exp(logprob)
        if text in mass:  # whatever else follows, the label ended there
            mass[text] += probability * max(rest, 0.0)
    total = sum(mass.values())
    if total < LEAST_MASS:
        likeliest = max(place, key=lambda token: place[token], default="")
        hint = "; it thinks before it answers: use mode text" if "think" in likeliest else ""
        return Unscored(f'the answer began with "{likeliest[:20]}", not with a label{hint}')
    value = sum(rubric.scale[label] * share for label, share in mass.items()) / total
    return Score(value, max(1.0 - total, 0.0))
