"""From a row to a record of some shape: what `curate convert` writes, and rows that have no line of their own.

`record_of(row, "alpaca")` is `{"instruction": "Translate.", "input": "Hallo", "output": "Hello"}`.
"""

import re
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from curate.records import Message, Row, UnreadableRecord, parse, says_all
from curate.templates import load_template


def record_of(row: Row, shape: str) -> dict[str, Any]:
    """The row in the shape, its label, and its other fields where their names are free.

    Raises UnreadableRecord with the cause where the shape has no place for what the row says.
    """
    label = {} if row.label is None else {"label": row.label}
    record = TARGETS[shape](row)
    return record | {name: value for name, value in (row.meta | label).items() if name not in record}


def _alpaca(row: Row) -> dict[str, Any]:
    system, pairs = _pairs(row)
    *earlier, (question, answer) = pairs
    instruction, given = _split(question, row.input)
    record = {"instruction": instruction, "input": given, "output": answer}
    return record | ({"system": system} if system else {}) | ({"history": earlier} if earlier else {})


def _text(row: Row) -> dict[str, Any]:
    if row.messages[0].role == "text":
        return {"text": row.messages[0].content}
    system, pairs = _pairs(row)
    turns = [{"instruction": question, "input": "", "response": answer or ""} for question, answer in pairs]
    turns[-1]["instruction"], turns[-1]["input"] = _split(pairs[-1][0], row.input)
    hangul = len(re.findall("[\uac00-\ud7a3]", pairs[0][0]))
    latin = len(re.findall("[A-Za-z]", pairs[0][0]))
    template = load_template("alpaca/ko" if 3 * hangul > latin else "alpaca/en")
    return {"text": template.render(system=system, input=turns[-1]["input"], turns=turns)}


def _pairs(row: Row) -> tuple[str, list[tuple[str, str | None]]]:
    """The system's text, and each question with its answer (None: the last has none)."""
    system = row.messages[0].content if row.messages[0].role == "system" else ""
    turns = row.messages[1:] if row.messages[0].role == "system" else row.messages
    roles = [turn.role for turn in turns]
    if not turns or roles != ["user", "assistant"] * (len(turns) // 2) + ["user"] * (len(turns) % 2):
        raise UnreadableRecord(
            f"the turns ({', '.join(roles)}) are not questions and answers; --to messages keeps them"
        )
    if any(turn.extra for turn in turns):
        raise UnreadableRecord("a turn carries more than its text; --to messages keeps it")
    answers: list[str | None] = [turn.content for turn in turns[1::2]]
    return system, list(zip_longest((turn.content for turn in turns[::2]), answers))


def _split(question: str, given: str | None) -> tuple[str, str]:
    """An instruction and its input again, where the row was read from such a pair."""
    if given and question.endswith(given):
        return question.removesuffix(given).removesuffix("\n\n"), given
    return question, ""


def _messages(row: Row) -> dict[str, Any]:
    return {"messages": _turns(row.messages, "role", "content")}


def _sharegpt(row: Row) -> dict[str, Any]:
    return {"conversations": _turns(row.messages, "from", "value")}


def _turns(messages: Sequence[Message], role: str, content: str) -> list[dict[str, Any]]:
    """Messages as a file holds them; what stood beside a turn's text stands there again."""
    names = {"user": "human", "assistant": "gpt"} if role == "from" else {}
    turns = []
    for message in messages:
        if message.role == "text":
            raise UnreadableRecord("plain text has no turns")
        extra = parse(message.extra.encode()) if message.extra else {}
        named = extra.pop("role", None)  # a spelling of the role other than ours
        turns.append({role: named or names.get(message.role, message.role), content: message.content, **extra})
    return turns


def _prompt_completion(row: Row) -> dict[str, Any]:
    if says_all(row.messages) and len(row.messages) == 2:
        return {"prompt": row.messages[0].content, "completion": row.messages[1].content}
    if row.messages[-1].role != "assistant":
        raise UnreadableRecord("it does not end with an answer, which a completion is")
    turns = _turns(row.messages, "role", "content")
    return {"prompt": turns[:-1], "completion": turns[-1:]}


def _preference(row: Row) -> dict[str, Any]:
    if row.chosen is None or row.rejected is None:
        remedy = "; --format oasst-pairs reads a tree as pairs" if row.shape == "oasst" else ""
        raise UnreadableRecord(f"it has no chosen and rejected answers{remedy}")
    context = row.messages[: len(row.messages) - len(row.chosen)]
    if all(says_all((*context, *answer)) and len(context) == 1 for answer in (row.chosen, row.rejected)):
        return {"prompt": context[0].content, "chosen": row.chosen[0].content, "rejected": row.rejected[0].content}
    parts = {"prompt": context, "chosen": row.chosen, "rejected": row.rejected}
    return {name: _turns(messages, "role", "content") for name, messages in parts.items()}


TARGETS: dict[str, Callable[[Row], dict[str, Any]]] = {
    "alpaca": _alpaca,
    "messages": _messages,
    "sharegpt": _sharegpt,
    "prompt-completion": _prompt_completion,
    "preference": _preference,
    "text": _text,
}
"""How a row is written in each shape; UnreadableRecord says why one can't be."""
