"""What an instruction does for its response, by a language model: the loss of the response with it and without.

A response of 40 tokens with a loss of 1.2 nats a token after its prompt and 2.4 alone has an IFD of 0.5 (Li et al.,
"From Quantity to Quality", arXiv 2308.12032; by perplexities, Li et al., "Superfiltering", arXiv 2402.00530).

The response is cut into tokens once, and follows what the model's chat template writes before an answer. What it
follows when it is *alone* is a choice. `template`: the same template around an empty question, so that the two losses
differ by the instruction and by nothing else, and every token counts. `bare`, as published: only the token that begins
a text, where the model's tokenizer sets one (Llama's, Gemma's). Where it sets none (GPT-2's, Qwen's, SmolLM's) the
first token of a bare response has no likelihood: it is left out of *both* sides, and all that follow count on both. A
model without a chat template knows only `bare`. The token that ends a turn never counts.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

import polars as pl
from jinja2 import TemplateError

from curate.models import Request, Turn, identity_of
from curate.models.in_process import rendered
from curate.models.likelihood import LikelihoodModel, open_likelihood_model
from curate.models.requests import Passage
from curate.working import Working

READS = ("messages",)
"""What is read of the pool."""

Alone = Literal["template", "bare"]

WINDOW = 512
"""Rows whose passages are sorted by length together."""


class Likelihood(NamedTuple):
    """What a model finds of a row. Losses are means in nats a token, over all tokens of all its responses.

    The ratios are means over assistant turns, `_min` the smallest; all is None for a row without an instruction, or
    with a `problem`.
    """

    row: int
    loss: float | None = None
    loss_alone: float | None = None
    tokens: int | None = None
    """Tokens of the responses that both losses are means over."""
    prompt_tokens: int | None = None
    """Tokens before the last response, those of the chat template too."""
    turns: int | None = None
    """Assistant turns."""
    loss_ratio: float | None = None
    """Loss after the prompt over loss alone."""
    loss_ratio_min: float | None = None
    perplexity_ratio: float | None = None
    """exp(loss) after the prompt over exp(loss) alone."""
    perplexity_ratio_min: float | None = None
    gain: float | None = None
    """log p(response | prompt) - log p(response), in nats, the sum over all tokens."""
    problem: str | None = None


SCHEMA = {
    "row": pl.UInt64,
    "loss": pl.Float64,
    "loss_alone": pl.Float64,
    "tokens": pl.Int64,
    "prompt_tokens": pl.Int64,
    "turns": pl.Int64,
    "loss_ratio": pl.Float64,
    "loss_ratio_min": pl.Float64,
    "perplexity_ratio": pl.Float64,
    "perplexity_ratio_min": pl.Float64,
    "gain": pl.Float64,
    "problem": pl.String,
}
assert list(SCHEMA) == list(Likelihood._fields)
MAKES = tuple(name for name in SCHEMA if name not in ("row", "problem"))


class Framed(NamedTuple):
    """A row as passages: each response after what comes before it, and each alone."""

    after: list[Passage]
    """Of one conversation mostly a single passage, since each turn's context is the beginning of the next one's."""
    alone: list[Passage]
    prompt_tokens: int


def likelihoods(batches: Iterator[pl.DataFrame], model: str, alone: Alone, working: Working) -> Iterator[pl.DataFrame]:
    """Frames of `Likelihood` lines for rows with READS, as batches of passages are read.

    Ends early once a person asked to stop, or the budget is spent.
    """
    opened = open_likelihood_model(model)
    identity = identity_of(model)
    rows = (row for batch in batches for row in batch.select("row", *READS).iter_rows())
    while window := [row for _, row in zip(range(WINDOW), rows, strict=False)]:
        framed = {row: frame(messages, opened, alone) for row, messages in window}
        done = [Likelihood(row, problem=made or None) for row, made in framed.items() if isinstance(made, str)]
        yield pl.DataFrame(done, schema=SCHEMA, orient="row")
        left = {row: made for row, made in framed.items() if isinstance(made, Framed)}
        owners = [row for row, made in left.items() for _ in chain(made.after, made.alone)]
        passages = [passage for made in left.values() for passage in chain(made.after, made.alone)]
        losses: dict[int, list[float]] = {}
        missing = {row: len(made.after) + len(made.alone) for row, made in left.items()}
        first = {row: at for at, row in reversed(list(enumerate(owners)))}
        for at, said in opened.losses(passages):
            losses[at] = said
            row = owners[at]
            missing[row] -= 1
            working.spending.pay(identity, len(passages[at].tokens), 0)
            if not missing[row]:
                made = left[row]
                here = [losses.pop(k) for k in range(first[row], first[row] + len(made.after) + len(made.alone))]
                found = judged(row, made, here[: len(made.after)], here[len(made.after) :])
                yield pl.DataFrame([found], schema=SCHEMA, orient="row")
            if working.stop.is_set() or working.spending.spent:
                return


def frame(messages: Sequence[Mapping[str, Any]], model: LikelihoodModel, alone: Alone) -> Framed | str:
    """The row as passages; else what is wrong with it, or "" where there is no instruction."""
    tokenizer = model.tokenizer
    turns = [Turn(message["role"], message["content"]) for message in messages]
    asked = [turn for turn in turns if turn.role not in ("text", "system", "assistant")]
    if not any(turn.content.strip() for turn in asked):
        return ""
    answers = [k for k, turn in enumerate(turns) if turn.role == "assistant" and turn.content.strip() and k]
    if not answers:
        return "there is no response"
    begin = list(tokenizer("")["input_ids"])[:1]  # what the tokenizer sets before a text: one token, or none
    if alone == "template" and tokenizer.chat_template:
        begin = _before(tokenizer, [Turn("user", "")])
    first = 0 if begin else 1
    after: list[Passage] = []
    without: list[Passage] = []
    prompt_tokens = 0
    for k in reversed(answers):  # the last turn's passage holds those of the others, if the template lets it
        said = tokenizer(turns[k].content.strip(), add_special_tokens=False)["input_ids"]
        try:
            before = _before(tokenizer, turns[:k])
        except TemplateError as error:
            return f"the model's chat template can't write this conversation: {error}"
        prompt_tokens = prompt_tokens or len(before)
        if len(before) + len(said) >= model.longest:  # vLLM wants room for a token more
            return f"{len(before) + len(said):,} tokens are over the model's {model.longest:,}"
        span = (len(before) + first, len(before) + len(said))
        if len(said) <= first:
            return "the response has one token only, and this model no token that begins a text: alone it has no loss"
        if after and after[-1].tokens[: span[1]] == before + said:
            after[-1] = Passage(after[-1].tokens, (span, *after[-1].spans))
        else:
            after.append(Passage(before + said, (span,)))
        without.append(Passage(begin + said, ((len(begin) + first, len(begin) + len(said)),)))
    return Framed(after, without, prompt_tokens)


def _before(tokenizer: Any, turns: Sequence[Turn]) -> list[int]:
    """The tokens after which the model would answer."""
    text = rendered(tokenizer, Request(turns=tuple(turns), max_tokens=1))
    return list(tokenizer(text, add_special_tokens=not tokenizer.chat_template)["input_ids"])


def judged(row: int, framed: Framed, after: list[list[float]], alone: list[list[float]]) -> Likelihood:
    """A row's measures from the losses of its passages, last turn first in both."""
    with_prompt = [loss for said in after for loss in reversed(said)]
    without = [said[0] for said in alone]
    sizes = [passage.spans[0][1] - passage.spans[0][0] for passage in framed.alone]
    if not all(map(math.isfinite, with_prompt + without)):
        return Likelihood(row, problem="the model's loss is not a number")
    if not all(loss > 0 for loss in without):
        return Likelihood(row, problem="the response alone has no loss: there is nothing to compare with")
    total = sum(sizes)
    pairs = list(zip(with_prompt, without, sizes, strict=True))
    by_loss = [a / b for a, b, _ in pairs]
    by_perplexity = [math.exp(min(a - b, 700.0)) for a, b, _ in pairs]
    return Likelihood(
        row,
        sum(a * n for a, _, n in pairs) / total,
        sum(b * n for _, b, n in pairs) / total,
        total,
        framed.prompt_tokens,
        len(pairs),
        sum(by_loss) / len(pairs),
        min(by_loss),
        sum(by_perplexity) / len(pairs),
        min(by_perplexity),
        sum((b - a) * n for a, b, n in pairs),
    )
