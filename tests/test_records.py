"""Each shape in its usual forms beside the row that it becomes; and what is refused, and why."""

import json
import random
import struct
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xxhash

from curate.pool import Pool, ReadOptions, read_pool
from curate.records import Message, Row, UnreadableRecord, content_id, parse
from curate.shapes.reading import Reading, detect, read_record

Turns = list[tuple[str, str] | tuple[str, str, dict[str, Any]]]


def row_of(record: str | dict[str, Any], reading: Reading | None = None) -> Row:
    line = record if isinstance(record, str) else json.dumps(record)
    (row,) = read_record(parse(line.encode()), reading or Reading())
    return row


def turns(messages: tuple[Message, ...] | None) -> Turns | None:
    """Messages as (role, content) or (role, content, extra)."""
    if messages is None:
        return None
    return [(m.role, m.content, json.loads(m.extra)) if m.extra else (m.role, m.content) for m in messages]


ASKED = [("user", "Name a prime.")]
USER, GPT = {"role": "user", "content": "Name a prime."}, {"role": "assistant", "content": "7"}
ANSWERED: Turns = [*ASKED, ("assistant", "7")]

FLAT: list[tuple[str, dict[str, Any], Turns]] = [
    ("alpaca", {"instruction": "Name a prime.", "input": "", "output": "7"}, ANSWERED),
    ("alpaca", {"instruction": "Name a prime.", "output": "7"}, ANSWERED),
    ("alpaca", {"output": "7", "instruction": "Name a prime.", "input": None}, ANSWERED),
    ("alpaca", {"instruction": "Name a prime.", "context": "", "response": "7"}, ANSWERED),
    ("alpaca", {"instruction": "Name a prime."}, ASKED),
    ("alpaca", {"instruction": "Name a prime.", "output": None}, ASKED),
    ("alpaca", {"instruction": "Name a prime.", "output": ""}, [*ASKED, ("assistant", "")]),
    ("alpaca", {"instruction": "Translate.", "input": "Hallo"}, [("user", "Translate.\n\nHallo")]),
    ("alpaca", {"instruction": "", "input": "Hallo", "output": "Hello"}, [("user", "Hallo"), ("assistant", "Hello")]),
    ("alpaca", {"instruction": None, "output": "7"}, [("user", ""), ("assistant", "7")]),
    (
        "alpaca",
        {"instruction": "And more?", "output": "11", "system": "Be brief.", "history": [["Name a prime.", "7"]]},
        [("system", "Be brief."), *ANSWERED, ("user", "And more?"), ("assistant", "11")],
    ),
    ("alpaca", {"instruction": "Name a prime.", "output": "7", "system": "", "history": []}, ANSWERED),
    ("prompt-completion", {"prompt": "Name a prime.", "completion": "7"}, ANSWERED),
    ("prompt-completion", {"prompt": "Name a prime.", "response": "7"}, ANSWERED),
    (
        "prompt-completion",
        {"prompt": [USER], "completion": [GPT]},
        ANSWERED,
    ),
    ("prompt-completion", {"prompt": [USER], "completion": "7"}, ANSWERED),
    ("question-answer", {"question": "Name a prime.", "answer": "7"}, ANSWERED),
    ("question-answer", {"Q": "Name a prime.", "A": "7"}, ANSWERED),
    ("question-answer", {"q": "Name a prime.", "a": "7"}, ANSWERED),
    ("question-answer", {"query": "Name a prime."}, ASKED),
    ("question-answer", {"question": "What is it?", "context": "A prime.", "answer": "7"}, [
        ("user", "What is it?\n\nA prime."), ("assistant", "7"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "record", "messages"), FLAT)
def test_a_prompt_and_its_answer_by_the_usual_names(shape: str, record: dict[str, Any], messages: Turns) -> None:
    row = row_of(record)
    assert (row.shape, turns(row.messages), row.meta) == (shape, messages, {})
    assert (row.chosen, row.rejected, row.label) == (None, None, None)


HUMAN_SAYS, GPT_SAYS = {"from": "human", "value": "Name a prime."}, {"from": "gpt", "value": "7"}
TEXT = {"type": "text", "text": "See:"}
PART = {"type": "image_url", "image_url": {"url": "x.png"}}
CALL = [{"id": "1", "function": {"name": "add"}}]

CONVERSATIONS: list[tuple[str, dict[str, Any], Turns]] = [
    ("messages", {"messages": [USER, GPT]}, ANSWERED),
    ("messages", {"conversations": [USER, GPT]}, ANSWERED),
    ("messages", {"conversation": [USER]}, ASKED),
    ("sharegpt", {"conversations": [HUMAN_SAYS, GPT_SAYS]}, ANSWERED),
    ("sharegpt", {"conversations": [{"from": "user", "value": "Name a prime."}, GPT_SAYS]}, ANSWERED),
    ("sharegpt", {"system": "Be brief.", "conversations": [HUMAN_SAYS]}, [("system", "Be brief."), *ASKED]),
    ("sharegpt", {"system_prompt": "Be brief.", "conversations": [HUMAN_SAYS]}, [("system", "Be brief."), *ASKED]),
    ("messages", {"messages": [{"role": "User", "content": "a"}]}, [("user", "a", {"role": "User"})]),
    ("messages", {"messages": [{"role": "model", "content": "a"}]}, [("assistant", "a", {"role": "model"})]),
    ("messages", {"messages": [{"role": "developer", "content": "a"}]}, [("system", "a", {"role": "developer"})]),
    ("messages", {"messages": [{"role": "user", "content": "a", "name": "Kim"}]}, [("user", "a", {"name": "Kim"})]),
    ("messages", {"messages": [{"role": "user", "content": "a", "name": None}]}, [("user", "a")]),
    (
        "messages",
        {"messages": [{"role": "assistant", "content": None, "tool_calls": CALL}]},
        [("assistant", "", {"tool_calls": CALL})],
    ),
    (
        "messages",
        {"messages": [{"role": "tool", "content": "3", "tool_call_id": "1"}]},
        [("tool", "3", {"tool_call_id": "1"})],
    ),
    (
        "sharegpt",
        {"conversations": [{"from": "function_call", "value": "{}"}, {"from": "observation", "value": "3"}]},
        [("assistant", "{}", {"role": "function_call"}), ("tool", "3", {"role": "observation"})],
    ),
    (
        "messages",
        {"messages": [{"role": "user", "content": [TEXT, PART, {"text": "What is it?"}]}]},
        [("user", "See:\n\nWhat is it?", {"content": [TEXT, PART, {"text": "What is it?"}]})],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "record", "messages"), CONVERSATIONS)
def test_a_conversation_by_the_usual_names(shape: str, record: dict[str, Any], messages: Turns) -> None:
    row = row_of({**record, "id": "x"})
    assert (row.shape, turns(row.messages), row.meta) == (shape, messages, {"id": "x"})


SYSTEM = {"role": "system", "content": "Be brief."}
BAD = {"role": "assistant", "content": "8"}
PREFERENCES: list[tuple[dict[str, Any], Turns, Turns, Turns]] = [
    ({"prompt": "Name a prime.", "chosen": "7", "rejected": "8"}, ASKED, [("assistant", "7")], [("assistant", "8")]),
    ({"question": "Name a prime.", "chosen": "7", "rejected": "8"}, ASKED, [("assistant", "7")], [("assistant", "8")]),
    ({"instruction": "Name", "input": "a prime.", "chosen": "7", "rejected": "8"}, [("user", "Name\n\na prime.")],
     [("assistant", "7")], [("assistant", "8")]),
    ({"chosen": [USER, GPT], "rejected": [USER, BAD]}, ASKED, [("assistant", "7")], [("assistant", "8")]),
    ({"prompt": "Name a prime.", "chosen": [USER, GPT], "rejected": [USER, BAD]}, ASKED,
     [("assistant", "7")], [("assistant", "8")]),
    ({"prompt": [SYSTEM, USER], "chosen": [GPT], "rejected": [BAD]}, [("system", "Be brief."), *ASKED],
     [("assistant", "7")], [("assistant", "8")]),
    ({"conversations": [HUMAN_SAYS], "chosen": GPT_SAYS, "rejected": {"from": "gpt", "value": "8"}}, ASKED,
     [("assistant", "7")], [("assistant", "8")]),
    ({"system": "Be brief.", "prompt": "Name a prime.", "chosen": "7", "rejected": "8"},
     [("system", "Be brief."), *ASKED], [("assistant", "7")], [("assistant", "8")]),
    ({"chosen": [USER, GPT], "rejected": [USER, BAD, USER, GPT]}, ASKED, [("assistant", "7")],
     [("assistant", "8"), *ANSWERED]),
    ({"prompt": "Name a prime.", "chosen_response": "7", "rejected_response": "8"}, ASKED, [("assistant", "7")],
     [("assistant", "8")]),
    ({"question": "Name a prime.", "response_j": "7", "response_k": "8"}, ASKED, [("assistant", "7")],
     [("assistant", "8")]),
    ({"prompt": "Name a prime.", "response_0": "8", "response_1": "7", "better_response_id": 1}, ASKED,
     [("assistant", "7")], [("assistant", "8")]),
    ({"prompt": "Name a prime.", "chosen": "7", "rejected": ""}, ASKED, [("assistant", "7")], [("assistant", "")]),
    ({"chosen": [USER, GPT], "rejected": [USER, GPT]}, ASKED, [("assistant", "7")], [("assistant", "7")]),
]  # fmt: skip


@pytest.mark.parametrize(("record", "context", "chosen", "rejected"), PREFERENCES)
def test_a_preference_is_context_and_two_answers(
    record: dict[str, Any], context: Turns, chosen: Turns, rejected: Turns
) -> None:
    row = row_of({**record, "score": 1})
    assert (row.shape, [*row.meta]) == ("preference", ["score"])
    assert turns(row.messages) == [*context, *chosen]
    assert (turns(row.chosen), turns(row.rejected)) == (chosen, rejected)


def test_plain_text_is_one_message_and_the_response(here: Path) -> None:
    assert turns(row_of({"text": "Primes are many."}).messages) == [("text", "Primes are many.")]
    pool = pool_of([{"text": "Primes are many.", "url": "x"}])
    assert next(pool.batches(["prompt", "response", "meta"])).row(0) == (0, "", "Primes are many.", '{"url":"x"}')


def test_a_true_or_false_label_is_the_rows_label_any_other_is_meta() -> None:
    row = row_of({"messages": [USER, GPT], "label": False})
    assert (row.label, row.meta) == (False, {})
    row = row_of('{"Q": "Hi", "A": "Hello.", "label": 0}')
    assert row.label is None
    assert [*row.meta] == ["label"]


@pytest.mark.parametrize(
    ("record", "shape"),
    [
        ({"messages": [], "instruction": "a"}, "messages"),
        ({"messages": "no list", "instruction": "a"}, "alpaca"),
        ({"conversations": [{"from": "human", "value": "a"}]}, "sharegpt"),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preference"),
        ({"prompt": "a", "chosen": "b", "rejected": None}, "prompt-completion"),
        ({"instruction": "a", "text": "b"}, "alpaca"),
        ({"instruction": None, "text": "b"}, "text"),
        ({"instruction": "a", "question": "b"}, "alpaca"),
        ({"instruction": None, "question": "b"}, "question-answer"),
    ],
)
def test_the_shape_is_told_from_the_names_of_the_fields(record: dict[str, Any], shape: str) -> None:
    assert detect(record) == shape


def test_all_other_fields_are_meta_with_numbers_as_they_were_written(here: Path) -> None:
    line = (
        '{"id": 1.50, "instruction": "a", "big": 123456789012345678901234567890, "e": 1E5, "o": {"z": [-0]}, "n": null}'
    )
    Path("raw.jsonl").write_text(line)
    frame = next(read_pool(["raw.jsonl"], Path("work")).batches(["meta"]))
    assert frame["meta"][0] == '{"id":1.50,"big":123456789012345678901234567890,"e":1E5,"o":{"z":[-0]},"n":null}'


def test_fields_are_renamed_by_map_and_a_shape_is_forced_by_format() -> None:
    record = {"ask": "Name a prime.", "reply": "7", "text": "x"}
    mapped = Reading(map=(("ask", "instruction"), ("reply", "output")))
    assert turns(row_of(record, mapped).messages) == ANSWERED
    assert row_of(record, Reading("text")).meta == {"ask": "Name a prime.", "reply": "7"}
    both = {"question": "Name a prime.", "instruction": "Say.", "answer": "7"}
    assert turns(row_of(both, Reading("question-answer")).messages) == ANSWERED
    assert row_of(both, Reading("question-answer")).meta == {"instruction": "Say."}


REFUSED: list[tuple[str, str | None, str]] = [
    ("", None, "the JSON ends too early; the line was cut off"),
    ('{"a": tru', None, "not JSON: expecting value at character 7"),
    ('{"a": 1} x', None, "not JSON: extra data at character 10"),
    ('{"a": "\t"}', None, "not JSON: invalid control character at character 8"),
    ('{"a": "\\x"}', None, "not JSON: invalid \\escape at character 8"),
    ('{"a": 1, "b": {"c": 1, "c": 2}}', None, "field c comes twice; which one is meant?"),
    ('{"a": Infinity}', None, "Infinity is not JSON; write null or a number"),
    ("[" * 201 + "]" * 201, None, "nested deeper than 200 levels"),
    ("null", None, "null, an object with fields was expected"),
    ("true", None, "true or false, an object with fields was expected"),
    ("1.5", None, "a number, an object with fields was expected"),
    ("{}", None, "no known shape (fields: none); name them with --map, as in --map THEIRS=instruction"),
    ('{"instruction": true}', None, "field instruction is true or false, text was expected"),
    ('{"instruction": {}}', None, "field instruction is an object, text was expected"),
    ('{"instruction": []}', None, "field instruction is an empty list"),
    ('{"instruction": "a", "input": 1}', None, "field input is a number, text was expected"),
    ('{"instruction": "a", "output": ["b"]}', None, "field output is a list, text was expected"),
    ('{"instruction": "a", "system": 1}', None, "field system is a number, text was expected"),
    ('{"instruction": "a", "history": [["b"]]}', None, "field history is not a list of [question, answer]"),
    ('{"instruction": "a", "history": [["b", null]]}', None, "field history is not a list of [question, answer]"),
    ('{"messages": [1]}', None, "messages[0] is a number, a message was expected"),
    ('{"messages": [{"content": "a"}]}', None, "messages[0] has no role"),
    ('{"conversations": [{"from": "human", "value": "a"}, {"from": 1}]}', None, "conversations[1] has no from"),
    ('{"messages": [{"role": "user", "content": {}}]}', None, "messages[0].content is an object, text was expected"),
    ('{"messages": [], "system": "a"}', None, "field messages is an empty list"),
    ('{"prompt": "a", "chosen": [], "rejected": []}', None, "field chosen is an empty list"),
    ('{"prompt": "a", "chosen": 1, "rejected": "b"}', None,
     "field chosen is a number, a list of messages was expected"),
    ('{"text": 1}', None, "field text is a number, text was expected"),
    ('{"prompt": "a"}', "alpaca", "no field instruction, which the shape alpaca needs"),
    ('{"prompt": "a"}', "question-answer",
     "no field question or query or Q or q, which the shape question-answer needs"),
    ('{"prompt": "a"}', "messages",
     "no field messages or conversations or conversation, which the shape messages needs"),
    ('{"messages": "a"}', "messages", "field messages is text, a list of messages was expected"),
    ('{"chosen": "a"}', "preference", "no field rejected, which the shape preference needs"),
    ('{"instruction": "a"}', "text", "no field text, which the shape text needs"),
    ('{"text": null}', None, "no field text, which the shape text needs"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "format", "cause"), REFUSED)
def test_what_is_no_row_is_refused_with_its_cause(line: str, format: str | None, cause: str) -> None:
    with pytest.raises(UnreadableRecord) as refused:
        row_of(line, Reading(format))
    assert str(refused.value) == cause


def test_a_map_to_a_field_that_is_there_is_refused() -> None:
    with pytest.raises(UnreadableRecord, match=r"^field reply is mapped to output, which is there as well$"):
        row_of({"instruction": "a", "reply": "b", "output": "c"}, Reading(map=(("reply", "output"),)))


@pytest.mark.parametrize(
    "line",
    [
        '{"instruction": "\\ud83d"}',
        '{"instruction": "a", "x": "\\ud83d"}',
        '{"instruction": "a", "\\ud83d": 1}',
        '{"messages": [{"role": "user", "content": "a", "name": "\\ude00"}]}',
        '{"prompt": "a", "chosen": "b", "rejected": "\\ud83d"}',
        '{"\\ud83d": 1}',
        '{"instruction": "a", "\\ud83d": 1, "\\ud83d": 2}',
    ],
)
def test_half_a_surrogate_pair_is_refused_wherever_it_stands(here: Path, line: str) -> None:
    Path("raw.jsonl").write_text(line + '\n{"instruction": "a"}\n')
    pool = read_pool(["raw.jsonl"], Path("work"))
    (record,) = pool.rejected()
    assert (len(pool), record["line"]) == (1, 1)
    assert "\\ud83d" in record["cause"]


def test_brackets_in_text_are_no_nesting() -> None:
    assert row_of({"messages": [USER], "x": '\\" [' + "[{" * 500}).shape == "messages"
    assert row_of('{"instruction": "a", "x": ' + "[" * 199 + "]" * 199 + "}").shape == "alpaca"


# Ids


def hashed(messages: Turns | None) -> bytes:
    """The layout that `content_id` publishes, written anew."""
    if messages is None:
        return struct.pack("<I", 0xFFFFFFFF)
    data = struct.pack("<I", len(messages))
    for role, content, *extra in messages:
        for text in (role, content, *(extra or [None])):
            if text is None:
                data += struct.pack("<I", 0xFFFFFFFF)
            else:
                data += struct.pack("<I", len(str(text).encode())) + str(text).encode()
    return data


def known_id(messages: Turns, chosen: Turns | None = None, rejected: Turns | None = None, label: int = 255) -> str:
    return xxhash.xxh3_128(hashed(messages) + hashed(chosen) + hashed(rejected) + bytes([label])).hexdigest()


def pool_of(records: list[Any], name: str = "raw.jsonl", **options: Any) -> Pool:
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records))
    return read_pool([name], Path("work"), ReadOptions(**options))


def test_an_id_is_the_hash_of_lengths_and_utf8_as_published() -> None:
    assert content_id(row_of({"instruction": "소수 😀", "output": ""})) == known_id(
        [("user", "소수 😀"), ("assistant", "")]
    )
    assert content_id(row_of({"text": "a\n"})) == known_id([("text", "a\n")])
    assert content_id(row_of({"prompt": "a", "chosen": "b", "rejected": "c"})) == known_id(
        [("user", "a"), ("assistant", "b")], [("assistant", "b")], [("assistant", "c")]
    )
    kto = {"messages": [USER, GPT], "label": True}
    assert content_id(row_of(kto)) == known_id(ANSWERED, label=1)
    assert content_id(row_of({**kto, "label": False})) == known_id(ANSWERED, label=0)
    named = row_of({"messages": [{"role": "user", "content": "a", "name": "Kim"}]})
    assert content_id(named) == known_id([("user", "a", '{"name":"Kim"}')])  # type: ignore[list-item]
    assert content_id(named) != content_id(row_of({"messages": [{"role": "user", "content": "a"}]}))


def test_an_id_does_not_change_from_one_release_to_the_next() -> None:
    assert content_id(row_of({"instruction": "Name a prime.", "output": "7"})) == known_id(ANSWERED)
    assert known_id(ANSWERED) == "65e7f21586a305b6a6e04e08f2711038"


def test_the_same_content_has_the_same_id_in_any_shape_meta_and_spelling(here: Path) -> None:
    records = [record for _, record, messages in [*FLAT, *CONVERSATIONS] if messages == ANSWERED]
    assert len(records) > 10
    pool = pool_of([*records, {**records[0], "votes": 3}])
    assert set(pool.column("id")) == {known_id(ANSWERED)}
    Path("odd.jsonl").write_text('{ "output":"\\u0037", "instruction" : "N\\u0061me a prime." }')
    assert read_pool(["odd.jsonl"], Path("work")).column("id").to_list() == [known_id(ANSWERED)]


def test_nothing_is_normalised_before_hashing(here: Path) -> None:
    answers = ["7", "7 ", "７", "é", "e\u0301", "7\n", "7\r\n", ""]
    assert pool_of([{"instruction": "a", "output": answer} for answer in answers]).column("id").n_unique() == 8


def test_an_id_stays_with_its_content_whatever_the_order_and_the_file_format(here: Path) -> None:
    records = [{"instruction": f"소수 {k}", "input": "", "output": "7" * k} for k in range(50)]
    expected = dict(zip([r["instruction"] for r in records], pool_of(records).column("id"), strict=True))
    random.Random(0).shuffle(records)
    pl.DataFrame(records).write_csv("a.csv")
    pl.DataFrame(records).write_parquet("b.parquet")
    Path("c.json").write_text(json.dumps(records, indent=2))
    for name in ("a.csv", "b.parquet", "c.json"):
        frame = next(read_pool([name], Path("work")).batches(["prompt", "id"]))
        assert frame["prompt"].to_list() == [record["instruction"] for record in records]
        assert dict(frame.select("prompt", "id").iter_rows()) == expected
