"""How a conversation is written for a model: by its own chat template, or by Alpaca's `###` headings where it has none.

`rendered(tokenizer, turns)` gives the text and, by character, the answers in it, each with the token that ends it.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from jinja2 import TemplateError

from curate.records import UnreadableRecord

ALPACA = (
    "{{ bos }}{% if messages[0].role != 'system' %}Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n{% endif %}{% for message in messages %}"
    "{% if message.role == 'system' %}{{ message.content }}\n\n"
    "{% elif message.role == 'assistant' %}### Response:\n{{ message.content }}{{ eos_token }}\n\n"
    "{% else %}### Instruction:\n{{ message.content }}\n\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}### Response:\n{% endif %}"
)
"""Stanford Alpaca's form without an input, for any number of turns."""


class Rendered(NamedTuple):
    """A conversation as a model reads it, and the characters [start, end) of each answer in it."""

    text: str
    answers: list[tuple[int, int]]


def give_template(tokenizer: Any) -> bool:
    """Give a tokenizer without a chat template Alpaca's, which is saved with it; whether it had none."""
    if tokenizer.chat_template:
        return False
    begins = tokenizer("")["input_ids"]  # what the tokenizer sets before a text by itself
    tokenizer.chat_template = ALPACA.replace("{{ bos }}", "{{ bos_token }}" if begins else "")
    return True


def rendered(tokenizer: Any, turns: Sequence[dict[str, Any]]) -> Rendered:
    """The conversation, ended as an answer ends. Raises UnreadableRecord where the template can't write it."""
    if turns[0]["role"] == "text":
        text = str(turns[0]["content"]) + tokenizer.eos_token
        return Rendered(text, [(0, len(text))])
    full = _written(tokenizer, turns)
    answers = []
    for k, turn in enumerate(turns):
        if turn["role"] == "assistant" and turn["content"].strip():
            before = _written(tokenizer, turns[:k], add_generation_prompt=True)
            if not full.startswith(before):
                raise UnreadableRecord("the chat template writes earlier turns otherwise once an answer follows")
            answers.append((len(before), _end(tokenizer, full, turns[: k + 1], len(before))))
    if answers and turns[-1]["role"] == "assistant" and not _stops(tokenizer, full[: answers[-1][1]]):
        start, end = answers[-1]  # a template that never ends an answer would teach the model to go on for ever
        full = full[:end] + tokenizer.eos_token
        answers[-1] = (start, len(full))
    return Rendered(full, answers)


def _written(tokenizer: Any, turns: Sequence[dict[str, Any]], **more: Any) -> str:
    try:
        return str(tokenizer.apply_chat_template(list(turns), tokenize=False, **more)) if turns else ""
    except (TemplateError, TypeError, KeyError) as error:
        raise UnreadableRecord(f"the chat template can't write this conversation: {error}") from None


def _end(tokenizer: Any, full: str, upto: Sequence[dict[str, Any]], start: int) -> int:
    """Where the last of `upto` ends in the whole text, what ends a turn included."""
    alone = _written(tokenizer, upto).rstrip()
    if full.startswith(alone):
        return len(alone)
    said = upto[-1]["content"].strip()  # a template that writes a last turn otherwise, as with its thoughts
    at = full.find(said, start)
    if at < 0:
        raise UnreadableRecord("the chat template changes the text of an answer")
    ends = re.compile(r"\s*(?:" + "|".join(map(re.escape, sorted(tokenizer.all_special_tokens))) + ")")
    found = ends.match(full, at + len(said))
    return found.end() if found else at + len(said)


def _stops(tokenizer: Any, text: str) -> bool:
    return text.endswith(tuple(tokenizer.all_special_tokens))
