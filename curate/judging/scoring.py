"""From a model's reply to a score on a rubric's scale, or to the reason why there is none.

The reply to "answer with 0, 1, 2, 3, 4 or 5 alone" with p(4) = 0.6 and p(3) = 0.3 scores 3.67, with a doubt of 0.1.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from curate.judging.rubrics import Mode, Rubric
from curate.models import Reply, Request, Turn

TOP = 20
"""Most likely tokens that are asked for: what every server gives."""

LEAST_MASS = 0.05
"""Share of belief on the scale below which the model did not answer the question."""

LEAST_BRANCH = 0.001
"""A token that only begins a label ("1" of "10") is followed where it has so much of the belief."""

LEAST_BLANK = 0.5
"""So is white space alone, which some tokenizers put before a digit, where it has so much."""

REASON_TOKENS = 512
"""Length of an answer that gives a reason first."""

Places = Mapping[str, Mapping[str, float]]
"""What the answer may go on with, token by log-probability, after each beginning that was asked; "" is the start."""


@dataclass(frozen=True)
class Score:
    """A value on the scale; `doubt`: the share of the model's belief that lay off it, null where not seen."""

    value: float
    doubt: float | None = None


@dataclass(frozen=True)
class Unscored:
    """Why there is no score."""

    cause: str


@dataclass(frozen=True)
class Further:
    """The reply began longer labels: what the next token would be after each of `begun` has to be asked."""

    begun: Sequence[str]


def request_for(turns: tuple[Turn, Turn], rubric: Rubric, mode: Mode, begun: str = "") -> Request:
    """What is asked of the model: one token with its probabilities, a reason and a label, or one of the labels."""
    if mode == "expected":
        return Request(turns=turns, max_tokens=1, top_logprobs=TOP, prefill=begun)
    if mode == "choice":
        longest = max(len(label.encode()) for label in rubric.scale)  # no token is shorter than a byte
        return Request(turns=turns, max_tokens=longest + 1, choices=tuple(rubric.scale))
    return Request(turns=turns, max_tokens=REASON_TOKENS)


def read_score(reply: Reply, rubric: Rubric, mode: Mode) -> Score | Unscored | Further:
    """The score that a reply gives."""
    if mode == "expected":
        if not reply.logprobs:
            return Unscored("the model gave no log-probabilities: use mode text")
        return expected({"": reply.logprobs[0]}, rubric)
    if mode == "choice":
        return _labelled(reply.text.strip(), rubric)
    if reply.finish == "length":
        return Unscored(f"the reason was cut off after {reply.output_tokens} tokens, before any score")
    text = re.sub(r"(?s)^.*</think>", "", reply.text).rstrip().rstrip("*_.。")
    last = text.rpartition("\n")[2]
    found = re.fullmatch(r"[\s*_#]*(?:score|점수)\s*[*_]*\s*[:：]\s*[*_]*\s*(.+)", last, re.IGNORECASE)
    if not found:
        return Unscored(f'the last line is no score: "{last[:60]}"')
    label = found[1].strip()
    return _labelled(label if label in rubric.scale else label.removesuffix("점").rstrip(), rubric)


def _labelled(label: str, rubric: Rubric) -> Score | Unscored:
    if label in rubric.scale:
        return Score(rubric.scale[label])
    return Unscored(f'"{label[:40]}" is not on the scale {", ".join(rubric.scale)}')


def expected(places: Places, rubric: Rubric) -> Score | Unscored | Further:
    """Σ value · p(label) over the labels, normalised, as G-Eval (Liu et al. 2023) and DEITA weigh a judge's tokens.

    `Further` where a beginning of longer labels is likely and not among `places` yet. Of a beginning that is a label
    itself, what no longer label takes is its own, unless it goes on in kind: "1" then "." is 1, "1" then "7" nothing.
    """
    mass = dict.fromkeys(rubric.scale, 0.0)
    reached, missing = {"": 1.0}, []
    while reached:
        begun, probability = reached.popitem()
        if begun not in places:
            missing.append(begun)
            continue
        for written, logprob in places[begun].items():
            token, share = _spaced(written), probability * math.exp(logprob)
            text = begun + token if begun.strip() else token.strip() or " "
            least = LEAST_BRANCH if text.strip() else LEAST_BLANK
            if share >= least and text != begun and _begins_longer(text.lstrip(), rubric):
                reached[text] = reached.get(text, 0.0) + share
            elif text in mass and text != begun:
                mass[text] += share
            elif begun in mass and not _in_kind(begun, token):
                mass[begun] += share
        if begun in mass:  # what lies below the likeliest tokens ends the label too
            mass[begun] += probability * max(1.0 - sum(map(math.exp, places[begun].values())), 0.0)
    if missing:
        return Further(missing)
    total = sum(mass.values())
    if total < LEAST_MASS:
        first = places[""]
        likeliest = max(first, key=lambda token: first[token], default="")
        hint = "; it thinks before it answers: use mode text" if "think" in likeliest else ""
        return Unscored(f'the answer began with "{likeliest[:20]}", not with a label{hint}')
    value = sum(rubric.scale[label] * share for label, share in mass.items()) / total
    return Score(round(value, 9), max(1.0 - total, 0.0))  # all belief on 3 is 3, not a little less


def plain(token: str) -> str:
    """A token without the space that it may begin with."""
    return _spaced(token).strip()


def _spaced(token: str) -> str:
    """A token with its spaces as spaces, whatever the tokenizer writes for them: `▁4` and `Ġ4` are ` 4`."""
    return token.replace("▁", " ").replace("Ġ", " ").replace("Ċ", "\n")


def _begins_longer(text: str, rubric: Rubric) -> bool:
    return any(label != text and label.startswith(text) for label in rubric.scale)


def _in_kind(begun: str, token: str) -> bool:
    last, first = begun[-1], token[:1]
    return (last.isdigit() and first.isdigit()) or (last.isalpha() and first.isalpha())
