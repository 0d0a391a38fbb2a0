"""From one record to rows: the shapes that records come in.

`{"instruction": "Translate.", "input": "Hallo", "output": "Hello"}` is of shape `alpaca` and becomes one row of two
messages, `user: Translate.\\n\\nHallo` and `assistant: Hello`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from curate.records import Message, Row, UnreadableRecord, joined, to_json
from curate.shapes import trees
from curate.shapes.transcripts import from_sections, from_transcript

ROLES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "developer": "system",
}
"""Roles as files name them, to the four that curate knows; a name that differs is kept in the message's `extra`."""

PROMPT_FIELDS = {
    "instruction": "alpaca",
    "prompt": "prompt-completion",
    "question": "question-answer",
    "query": "question-answer",
    "Q": "question-answer",
    "q": "question-answer",
}
INPUT_FIELDS = ("input", "context")
RESPONSE_FIELDS = ("output", "response", "completion", "answer", "A", "a", "target")
CONVERSATION_FIELDS = ("messages", "conversations", "conversation")
SYSTEM_FIELDS = ("system", "system_prompt")
PAIR_FIELDS = (
    ("chosen", "rejected"),
    ("chosen_response", "rejected_response"),
    ("response_j", "response_k"),
)
"""The better answer and the other, as files name them."""
NUMBERED_PAIR, BETTER = ("response_0", "response_1"), "better_response_id"
"""As PKU-SafeRLHF has them: `better_response_id` says which of the two it is."""
TITLE_FIELDS = (*PROMPT_FIELDS, "title")
BODY_FIELDS = (*INPUT_FIELDS, "content", "body", "description")
SEVERAL_FIELDS = ("instances", "answers", "turns")
UNUSUAL_FIELDS = (
    *CONVERSATION_FIELDS,
    *SYSTEM_FIELDS,
    *(name for pair in PAIR_FIELDS for name in pair),
    *NUMBERED_PAIR,
    *SEVERAL_FIELDS,
    "history",
    "question_score",
)


OUR_FIELDS = sorted(
    {*PROMPT_FIELDS, *RESPONSE_FIELDS, *UNUSUAL_FIELDS, *TITLE_FIELDS, *BODY_FIELDS, "text", "label", BETTER}
)
"""What a field may be mapped to."""


@dataclass(frozen=True)
class Reading:
    """How records are read: a forced shape (`--format`) and renamed fields (`--map answer=output`: file to ours)."""

    format: str | None = None
    map: tuple[tuple[str, str], ...] = ()


def read_record(record: Any, reading: Reading) -> list[Row]:
    """The rows of one parsed record. Raises UnreadableRecord with the cause where there is none."""
    if not isinstance(record, dict):
        raise UnreadableRecord(f"{_kind(record)}, an object with fields was expected")
    for theirs, ours in reading.map:
        if theirs in record:
            if ours in record:
                raise UnreadableRecord(f"field {theirs} is mapped to {ours}, which is there as well")
            record = {ours if name == theirs else name: value for name, value in record.items()}
    shape = reading.format or detect(record)
    if shape.startswith("oasst") and not isinstance(record.get("prompt"), dict):
        raise UnreadableRecord(f"field prompt is no tree of messages, which the shape {shape} needs")
    if shape in _READERS_OF_SEVERAL:
        return [_with_label(row) for row in _READERS_OF_SEVERAL[shape](record)]
    return [_with_label(_READERS[shape](record))]


def detect(record: dict[str, Any]) -> str:
    """The shape of a record, from the names of its fields, and of a text from its marks."""
    prompt = record.get("prompt")
    if isinstance(prompt, dict) and isinstance(prompt.get("replies"), list):
        return "oasst"
    if isinstance(record.get("instances"), list) and "instruction" in record:
        return "instances"
    if isinstance(record.get("answers"), list) and _first(record, TITLE_FIELDS):
        return "answers"
    if _pair(record):
        return "preference"
    for name in CONVERSATION_FIELDS:
        turns = record.get(name)
        if isinstance(turns, list):
            return "sharegpt" if turns and isinstance(turns[0], dict) and "from" in turns[0] else "messages"
    if isinstance(record.get("turns"), list):
        return "turns"
    if "question_score" in record and "question" in record:
        return "stackexchange"
    prompt = _first(record, tuple(PROMPT_FIELDS))
    if prompt is not None and (record[prompt] is not None or record.get("text") is None):
        return PROMPT_FIELDS[prompt]
    if "text" in record:
        text = record["text"]
        if {"title", "headline"} <= record.keys():
            return "wikihow"
        if isinstance(text, str) and (from_sections(text) or from_transcript(text)):
            return "sections"
        return "text"
    found = ", ".join(list(record)[:8]) or "none"
    raise UnreadableRecord(f"no known shape (fields: {found}); name them with --map, as in --map THEIRS=instruction")


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, orjson.Fragment):
        return "a number"
    kinds: dict[type, str] = {dict: "an object", list: "a list", str: "text"}
    return kinds[type(value)]


def _text(record: dict[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is None or isinstance(value, str):
        return value
    raise UnreadableRecord(f"field {name} is {_kind(value)}, text was expected")


def _first(record: dict[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of `names` that the record has, one with a text before an empty one, that before one that is null."""
    there = [name for name in names if name in record]
    return min(there, key=lambda name: (record[name] is None, record[name] == ""), default=None)


def _pair(record: dict[str, Any]) -> tuple[str, str] | None:
    """The names of the better answer and the other; None where the record has no two, or nothing in them."""
    pairs = [*PAIR_FIELDS]
    if BETTER in record:
        better = to_json(record[BETTER])
        pairs += [NUMBERED_PAIR] if better == "0" else [NUMBERED_PAIR[::-1]] if better == "1" else []
    for pair in pairs:
        values = [record.get(name) for name in pair]
        if None not in values and values != ["", ""]:
            return pair
    return None


def _rest(record: dict[str, Any], used: set[str | None]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in used}


def _context(record: dict[str, Any], used: set[str | None]) -> list[Message]:
    """A system field and earlier exchanges (`history: [[question, answer], ...]`), where the record has them."""
    messages = []
    system = _first(record, SYSTEM_FIELDS)
    if system:
        used.add(system)
        if content := _text(record, system):
            messages.append(Message("system", content))
    history = record.get("history")
    if isinstance(history, list):
        used.add("history")
        for exchange in history:
            if not (isinstance(exchange, list) and len(exchange) == 2 and all(isinstance(t, str) for t in exchange)):
                raise UnreadableRecord("field history is not a list of [question, answer]")
            messages += [Message("user", exchange[0]), Message("assistant", exchange[1])]
    return messages


def _flat(shape: str) -> Callable[[dict[str, Any]], Row]:
    prompts = tuple(name for name, of in PROMPT_FIELDS.items() if of == shape)

    def read(record: dict[str, Any]) -> Row:
        prompt = _first(record, prompts)
        if prompt is None:
            raise UnreadableRecord(f"no field {' or '.join(prompts)}, which the shape {shape} needs")
        answer, more = _first(record, RESPONSE_FIELDS), _first(record, INPUT_FIELDS)
        used: set[str | None] = {prompt, answer}
        messages = _context(record, used)
        given: str | None = None
        if isinstance(record[prompt], list):
            messages += _turns(record, prompt)
        else:
            used.add(more)
            given = _text(record, more) if more else None
            messages.append(Message("user", joined([_text(record, prompt) or "", given or ""])))
        if answer and isinstance(record[answer], list) and isinstance(record[prompt], list):
            messages += _turns(record, answer)
        elif answer and (response := _text(record, answer)) is not None:
            messages.append(Message("assistant", response))
        return Row(shape, tuple(messages), meta=_rest(record, used), input=given)

    return read


def _turns(record: dict[str, Any], name: str) -> list[Message]:
    turns = record[name]
    if isinstance(turns, dict):  # one turn by itself, as in {"chosen": {"from": "gpt", "value": "Yes."}}
        turns = [turns]
    if not isinstance(turns, list):
        raise UnreadableRecord(f"field {name} is {_kind(turns)}, a list of messages was expected")
    if not turns:
        raise UnreadableRecord(f"field {name} is an empty list")
    if name in CONVERSATION_FIELDS and all(
        isinstance(turn, str) for turn in turns
    ):  # as in LIMA: question and answer in turn
        return [Message("assistant" if number % 2 else "user", text) for number, text in enumerate(turns)]
    return [_turn(turn, f"{name}[{number}]") for number, turn in enumerate(turns)]


def _turn(turn: Any, where: str) -> Message:
    if not isinstance(turn, dict):
        raise UnreadableRecord(f"{where} is {_kind(turn)}, a message was expected")
    names = ("from", "value") if "from" in turn else ("role", "content")
    given = turn.get(names[0])
    if not isinstance(given, str):
        raise UnreadableRecord(f"{where} has no {names[0]}")
    role = ROLES.get(given) or ROLES.get(given.lower())
    if role is None:
        raise UnreadableRecord(f"{where} has the unknown role {given!r}; known: {', '.join(sorted(ROLES))}")
    # a table gives every turn each field that any turn has: null says nothing
    extra = {name: value for name, value in turn.items() if name not in names and value is not None}
    if given != role and given not in ("human", "gpt"):
        extra["role"] = given
    content = turn.get(names[1])
    if isinstance(content, list):  # parts, as in [{"type": "text", "text": "Look:"}, {"type": "image_url", ...}]
        extra["content"] = content
        content = joined([p["text"] for p in content if isinstance(p, dict) and isinstance(p.get("text"), str)])
    elif content is not None and not isinstance(content, str):
        raise UnreadableRecord(f"{where}.{names[1]} is {_kind(content)}, text was expected")
    return Message(role, content or "", to_json(extra) if extra else None)


def _conversation(shape: str) -> Callable[[dict[str, Any]], Row]:
    def read(record: dict[str, Any]) -> Row:
        name = _first(record, CONVERSATION_FIELDS)
        if name is None:
            raise UnreadableRecord(f"no field {' or '.join(CONVERSATION_FIELDS)}, which the shape {shape} needs")
        used: set[str | None] = {name}
        messages = (*_context(record, used), *_turns(record, name))
        return Row(shape, messages, meta=_rest(record, used))

    return read


def _preference(record: dict[str, Any]) -> Row:
    pair = _pair(record)
    if pair is None:
        missing = next((name for name in PAIR_FIELDS[0] if record.get(name) is None), PAIR_FIELDS[0][0])
        raise UnreadableRecord(f"no field {missing}, which the shape preference needs")
    used: set[str | None] = {*pair, BETTER} if pair[0] in NUMBERED_PAIR else set(pair)
    context = _context(record, used)
    answers: list[tuple[Message, ...]] = []
    for name in pair:
        value = record[name]
        said = from_transcript(value) if isinstance(value, str) else tuple(_turns(record, name))
        answers.append(said or (Message("assistant", value),))
    chosen, rejected = answers
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    given: str | None = None
    asked = _first(record, (*CONVERSATION_FIELDS, *PROMPT_FIELDS))
    if asked:
        used.add(asked)
        if not isinstance(record[asked], str | None):
            context += _turns(record, asked)
        elif not shared:
            more = _first(record, INPUT_FIELDS)
            used.add(more)
            given = _text(record, more) if more else None
            context.append(Message("user", joined([_text(record, asked) or "", given or ""])))
    context += chosen[:shared]
    chosen, rejected = chosen[shared:], rejected[shared:]
    if not context:
        raise UnreadableRecord("chosen and rejected are answers to no prompt: a field prompt was expected")
    return Row("preference", (*context, *chosen), chosen, rejected, meta=_rest(record, used), input=given)


def _plain_text(record: dict[str, Any]) -> Row:
    text = _text(record, "text")
    if text is None:
        raise UnreadableRecord("no field text, which the shape text needs")
    return Row("text", (Message("text", text),), meta=_rest(record, {"text"}))


def _article(record: dict[str, Any]) -> Row:
    """An article of wikiHow: the title asks ("How to Tie a Bow Tie"), the text answers; `headline` sums it up."""
    title, text = _text(record, "title"), _text(record, "text")
    if title is None:
        raise UnreadableRecord("no field title, which the shape wikihow needs")
    messages = (Message("user", title), *([] if text is None else [Message("assistant", text)]))
    return Row("wikihow", messages, meta=_rest(record, {"title", "text"}))


def _forum(record: dict[str, Any]) -> Row:
    """A question of StackExchange with its best answer, as `Posts.xml` is read; its title stays among the fields."""
    return replace(_READERS["question-answer"](record), shape="stackexchange")


def _sections(record: dict[str, Any]) -> Row:
    text = _text(record, "text") or ""
    found = from_sections(text) or ((said, None) if (said := from_transcript(text)) else None)
    if found is None:
        raise UnreadableRecord("field text has no sections such as ### Instruction: and ### Response:")
    return Row("sections", found[0], meta=_rest(record, {"text"}), input=found[1])


def _questions(record: dict[str, Any]) -> Row:
    """A conversation given as a list: with role and content, or, as in MT-Bench, as what the user says turn by turn."""
    turns = record.get("turns")
    if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
        return Row("turns", tuple(_turns(record, "turns")), meta=_rest(record, {"turns"}))
    answers = record.get("reference")
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        answers = []
    messages = []
    for number, question in enumerate(turns):
        messages.append(Message("user", question))
        messages += [Message("assistant", answer) for answer in answers[number : number + 1]]
    if not messages:
        raise UnreadableRecord("field turns is an empty list")
    return Row("turns", tuple(messages), meta=_rest(record, {"turns", "reference"} if answers else {"turns"}))


def _instances(record: dict[str, Any]) -> list[Row]:
    """One instruction with several inputs and outputs, as in Self-Instruct."""
    instances = record.get("instances")
    if not isinstance(instances, list) or not instances or not all(isinstance(one, dict) for one in instances):
        raise UnreadableRecord("field instances is not a list of input and output")
    shared = _rest(record, {"instances"})
    return [replace(_READERS["alpaca"](shared | instance), shape="instances") for instance in instances]


def _answers(record: dict[str, Any]) -> list[Row]:
    """One question with several answers, as on Naver 지식iN: texts, or objects whose other fields (votes) are kept."""
    title, body = _first(record, TITLE_FIELDS), _first(record, BODY_FIELDS)
    answers = record.get("answers")
    if title is None or not isinstance(answers, list) or not answers:
        raise UnreadableRecord("a question and a list of answers were expected")
    question = joined([_text(record, title) or "", (_text(record, body) or "") if body else ""])
    rows = []
    for number, answer in enumerate(answers):
        fields = {"text": answer} if isinstance(answer, str) else answer
        name = _first(fields, ("text", *RESPONSE_FIELDS, "content", "body")) if isinstance(fields, dict) else None
        if name is None or not isinstance(fields[name], str):
            raise UnreadableRecord(f"answers[{number}] has no text")
        messages = (Message("user", question), Message("assistant", fields[name]))
        meta = _rest(record, {title, body, "answers"}) | _rest(fields, {name})
        rows.append(Row("answers", messages, meta=meta))
    return rows


def _with_label(row: Row) -> Row:
    label = row.meta.get("label")
    if not isinstance(label, bool):
        return row
    return replace(row, label=label, meta=_rest(row.meta, {"label"}))


_READERS: dict[str, Callable[[dict[str, Any]], Row]] = {
    "alpaca": _flat("alpaca"),
    "prompt-completion": _flat("prompt-completion"),
    "question-answer": _flat("question-answer"),
    "messages": _conversation("messages"),
    "sharegpt": _conversation("sharegpt"),
    "preference": _preference,
    "text": _plain_text,
    "sections": _sections,
    "turns": _questions,
    "stackexchange": _forum,
    "wikihow": _article,
}
_READERS_OF_SEVERAL: dict[str, Callable[[dict[str, Any]], list[Row]]] = {
    "instances": _instances,
    "answers": _answers,
    "oasst": trees.conversations,
    "oasst-pairs": trees.pairs,
}
SHAPES = (*_READERS, *_READERS_OF_SEVERAL)
"""What `--format` takes."""
