"""From shape to shape: what was read comes out as the shape writes it, and is read back the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curate.converting import convert
from curate.errors import InputError, UsageError
from curate.records import Message, parse
from curate.shapes.reading import Reading, read_record
from curate.working import Working

ALPACA = {"instruction": "Translate into English.", "input": "안녕하세요", "output": "Hello", "votes": 1.50, "id": 7}
TALK = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Bye"},
        {"role": "assistant", "content": "Bye."},
    ]
}
TOOLS = {
    "conversations": [
        {"from": "human", "value": "Weather?"},
        {"from": "function_call", "value": '{"name": "weather"}'},
        {"from": "observation", "value": "sunny"},
        {"from": "gpt", "value": "It is sunny."},
    ],
    "tools": "[]",
}
PAIR = {"prompt": "Name a prime.", "chosen": "7", "rejected": "8"}


def converted(record: Any, to: str, output: str = "out.jsonl") -> Any:
    """The first record of the output; the input may be one record or several."""
    records = record if isinstance(record, list) else [record]
    Path("raw.jsonl").write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))
    convert("raw.jsonl", output, to)
    return json.loads(Path(output).read_text().split("\n")[0])


def messages(record: Any) -> tuple[Message, ...]:
    """The conversation of a record."""
    return read_record(parse(json.dumps(record).encode()), Reading())[0].messages


@pytest.mark.parametrize(
    ("record", "to", "expected"),
    [
        (
            ALPACA,
            "messages",
            {
                "messages": [
                    {"role": "user", "content": "Translate into English.\n\n안녕하세요"},
                    {"role": "assistant", "content": "Hello"},
                ],
                "votes": 1.5,
                "id": 7,
            },
        ),
        (ALPACA, "alpaca", ALPACA),
        (
            TALK,
            "alpaca",
            {
                "instruction": "Bye",
                "input": "",
                "output": "Bye.",
                "system": "Be brief.",
                "history": [["Hi", "Hello."]],
            },
        ),
        (TOOLS, "sharegpt", TOOLS),
        (
            TOOLS,
            "messages",
            {
                "messages": [
                    {"role": "user", "content": "Weather?"},
                    {"role": "function_call", "content": '{"name": "weather"}'},
                    {"role": "observation", "content": "sunny"},
                    {"role": "assistant", "content": "It is sunny."},
                ],
                "tools": "[]",
            },
        ),
        (PAIR, "preference", PAIR),
        (PAIR, "prompt-completion", {"prompt": "Name a prime.", "completion": "7"}),
        (
            TALK,
            "prompt-completion",
            {"prompt": TALK["messages"][:-1], "completion": TALK["messages"][-1:]},
        ),
        ({"question": "1 + 1?", "answer": "2", "label": True}, "alpaca", None),
        ({"text": "Once upon a time.", "source": "x"}, "text", {"text": "Once upon a time.", "source": "x"}),
    ],
)
def test_each_shape_writes_what_the_row_says(here: Path, record: Any, to: str, expected: Any) -> None:
    if expected is None:
        expected = {"instruction": "1 + 1?", "input": "", "output": "2", "label": True}
    assert converted(record, to) == expected


def test_the_text_rendering_is_alpacas(here: Path) -> None:
    record = {"instruction": "Name a prime.", "input": "below ten", "output": "7"}
    assert converted(record, "text")["text"] == (
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nName a prime.\n\n### Input:\nbelow ten\n\n### Response:\n7"
    )


def test_the_text_rendering_of_a_korean_row_is_korean(here: Path) -> None:
    record = {"instruction": "소수를 하나 말해 주세요.", "input": "", "output": "7입니다."}
    assert converted(record, "text")["text"] == (
        "아래는 작업을 설명하는 명령어입니다. 요청을 적절히 완료하는 응답을 작성하세요.\n\n"
        "### 명령어:\n소수를 하나 말해 주세요.\n\n### 응답:\n7입니다."
    )


def test_the_text_rendering_repeats_the_sections_for_each_exchange(here: Path) -> None:
    assert converted(TALK, "text")["text"] == (
        "Be brief.\n\n### Instruction:\nHi\n\n### Response:\nHello.\n\n### Instruction:\nBye\n\n### Response:\nBye."
    )


def test_a_template_in_a_row_is_text(here: Path) -> None:
    record = {"instruction": "{{ 7 * 7 }}{% for x in y %}", "output": "{{ cycler.__init__ }}"}
    assert "{{ 7 * 7 }}{% for x in y %}" in converted(record, "text")["text"]


TURNS = st.lists(st.tuples(st.text(min_size=1, max_size=9), st.text(max_size=9)), min_size=1, max_size=3)


@pytest.mark.parametrize("to", ["alpaca", "messages", "sharegpt", "prompt-completion"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=TURNS, system=st.text(max_size=5))
def test_what_is_written_is_read_back_the_same(here: Path, to: str, turns: list[tuple[str, str]], system: str) -> None:
    talk = [{"role": "system", "content": system}] if system else []
    for asked, answered in turns:
        talk += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
    record = {"messages": talk}
    assert messages(converted(record, to)) == messages(record)


def test_records_that_have_no_such_shape_are_listed_and_the_rest_is_written(here: Path) -> None:
    records = [ALPACA, TOOLS, {"premise": "x"}]
    assert converted(records, "alpaca") == ALPACA
    said = [json.loads(line) for line in Path("out.jsonl.rejected.jsonl").read_text().splitlines()]
    assert [(record["line"], record["cause"].partition(";")[0]) for record in said] == [
        (2, "the turns (user, assistant, tool, assistant) are not questions and answers"),
        (3, "no known shape (fields: premise)"),
    ]


def test_numbers_come_out_as_they_were_written(here: Path) -> None:
    Path("raw.jsonl").write_text(
        '{"instruction": "a", "output": "b", "x": 1.10, "y": 123456789012345678901234567890}\n'
    )
    convert("raw.jsonl", "out.jsonl", "messages")
    assert '"x":1.10,"y":123456789012345678901234567890}' in Path("out.jsonl").read_text()


def test_where_nothing_can_be_converted_nothing_is_written(here: Path) -> None:
    with pytest.raises(InputError, match=r"none of the 1 records can become preference") as error:
        converted(ALPACA, "preference")
    assert error.value.remedy == "the first is raw.jsonl:1  it has no chosen and rejected answers"
    assert sorted(path.name for path in here.iterdir()) == ["raw.jsonl"]
    answer = {"role": "assistant", "text": "b", "replies": []}
    tree = {"message_tree_id": "1", "prompt": {"role": "prompter", "text": "a", "replies": [answer]}}
    with pytest.raises(InputError) as error:
        converted(tree, "preference")
    assert error.value.remedy.endswith("answers; --format oasst-pairs reads a tree as pairs")


def test_an_unknown_shape_and_an_output_that_is_the_input_are_refused(here: Path) -> None:
    with pytest.raises(UsageError, match=r"no shape is called oasst"):
        converted(ALPACA, "oasst")
    with pytest.raises(UsageError, match=r"raw.jsonl is an input as well"):
        convert("raw.jsonl", "raw.jsonl", "messages")


def test_answers_that_have_no_place_are_counted_aloud(here: Path) -> None:
    said: list[str] = []
    Path("raw.jsonl").write_text(json.dumps(PAIR) + "\n")
    convert("raw.jsonl", "out.csv", "messages", working=Working(notice=said.append))
    assert said == ["1 rejected answers are left out: messages has no place for them"]


def test_fields_whose_names_the_shape_needs_are_counted_aloud(here: Path) -> None:
    said: list[str] = []
    Path("raw.jsonl").write_text(json.dumps({**ALPACA, "messages": "none", "id": 7}) + "\n")
    convert("raw.jsonl", "out.jsonl", "messages", working=Working(notice=said.append))
    assert said == ["1 records have other fields whose names messages needs; these fields are left out"]
    assert json.loads(Path("out.jsonl").read_text())["id"] == 7


def test_real_files_go_to_messages_and_back(here: Path, real_data: Path) -> None:
    names = [
        "alpaca_dolly3k/dolly_3k",
        "ko_chatbot/ChatbotData",
        "multiturn_sharegpt_llamafactory/glaive_toolcall_en_demo",
    ]
    for name in names:
        source = real_data / f"{name}.jsonl"
        done = convert(source, "out.jsonl", "messages")
        assert done.rejected is None
        with source.open() as raw, Path("out.jsonl").open() as out:
            for before, after in zip(raw, out, strict=True):
                assert messages(json.loads(before)) == messages(json.loads(after))
