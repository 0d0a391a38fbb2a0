"""Records that hold several rows, and conversations written down as one text."""

import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import polars as pl
import pytest
from conftest import Filtered, Run, write_rows
from hypothesis import given
from hypothesis import strategies as st

import curate
from curate.converting import convert
from curate.errors import InputError, UsageError
from curate.inspecting import inspect
from curate.records import Row, UnreadableRecord, parse
from curate.shapes.reading import Reading, detect, read_record
from curate.shapes.rendering import record_of


def rows_of(record: dict[str, Any], format: str | None = None) -> list[Row]:
    return read_record(parse(json.dumps(record).encode()), Reading(format))


def said(row: Row) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in row.messages]


ASKED, ANSWERED = ("user", "Name a prime."), ("assistant", "7")
PREFACE = "Below is an instruction that describes a task. Write a response that appropriately completes the request."

TEXTS: list[tuple[str, list[tuple[str, str]]]] = [
    (f"{PREFACE}\n\n### Instruction:\nName a prime.\n\n### Response:\n7", [ASKED, ANSWERED]),
    ("### Instruction:\nName\n\n### Input:\na prime.\n\n### Response:\n7", [("user", "Name\n\na prime."), ANSWERED]),
    ("### Instruction: Name a prime.\n### Response: 7", [ASKED, ANSWERED]),
    ("Be brief.\n\n### Instruction:\nName a prime.\n\n### Response:\n7", [("system", "Be brief."), ASKED, ANSWERED]),
    ("### Human: Name a prime.### Assistant: 7### Human: Why?", [ASKED, ANSWERED, ("user", "Why?")]),
    ("아래는 작업을 설명하는 명령어입니다.\n\n### 명령어:\n소수는?\n\n### 응답:\n7", [("user", "소수는?"), ANSWERED]),
    ("### 질문: 소수는?\n\n### 답변: 7", [("user", "소수는?"), ANSWERED]),
    ("\n\nHuman: Name a prime.\n\nAssistant: 7\n\nHuman: Why?", [ASKED, ANSWERED, ("user", "Why?")]),
    ("Human: Name a prime.\n\nAssistant:", [ASKED, ("assistant", "")]),
]


@pytest.mark.parametrize(("text", "messages"), TEXTS)
def test_a_text_with_marks_is_taken_apart(text: str, messages: list[tuple[str, str]]) -> None:
    (row,) = rows_of({"text": text, "n": 1})
    assert (row.shape, said(row)) == ("sections", messages)
    assert rows_of({"text": text}, "text")[0].messages[0].content == text


@pytest.mark.parametrize(
    "text",
    [
        "### Introduction:\nPrimes.",
        "### Response:\n7",
        "### Instruction:\nName a prime.",
        "He said:\n\nHuman: no.\n\nAssistant: yes.",
        "Human: are you there?",
        "#### Instruction:\nfour\n#### Response:\nfive",
    ],
)
def test_a_text_without_question_and_answer_stays_a_text(text: str) -> None:
    assert detect({"text": text}) == "text"


plain = st.text(st.sampled_from("ab 가나\n.:"), min_size=1).map(str.strip).filter(lambda text: text)


@given(turns=st.lists(st.tuples(plain, plain), min_size=1, max_size=3), extra=st.none() | plain)
def test_what_convert_writes_as_text_is_read_as_it_was(turns: list[tuple[str, str]], extra: str | None) -> None:
    *history, (instruction, output) = turns
    record = {"instruction": instruction, "input": extra, "output": output, "history": [list(t) for t in history]}
    (row,) = rows_of(record)
    (again,) = rows_of(record_of(row, "text"))
    assert (said(again), again.input) == (said(row), row.input)


def test_chosen_and_rejected_transcripts_become_turns() -> None:
    start = "\n\nHuman: Name a prime.\n\nAssistant: Which?\n\nHuman: Any.\n\nAssistant:"
    (row,) = rows_of({"chosen": f"{start} 7", "rejected": f"{start} 8"})
    assert said(row) == [ASKED, ("assistant", "Which?"), ("user", "Any."), ANSWERED]
    assert row.chosen is not None
    assert row.rejected is not None
    assert (row.chosen[0].content, row.rejected[0].content) == ("7", "8")


def test_every_instance_of_an_instruction_is_a_row() -> None:
    instances = [{"input": "a", "output": "A"}, {"input": "b", "output": "B"}]
    rows = rows_of({"instruction": "Capitalise.", "instances": instances, "id": "seed_1"})
    assert [said(row) for row in rows] == [
        [("user", "Capitalise.\n\na"), ("assistant", "A")],
        [("user", "Capitalise.\n\nb"), ("assistant", "B")],
    ]
    assert {row.shape for row in rows} == {"instances"}
    assert rows[0].meta == {"id": "seed_1"}


def test_every_answer_to_a_question_is_a_row_with_its_votes() -> None:
    answers = [{"content": "네.", "likes": 3}, {"content": "아니요.", "likes": 0}]
    rows = rows_of({"title": "소수인가요?", "content": "7이요.", "answers": answers, "category": "수학"})
    assert [said(row) for row in rows] == [
        [("user", "소수인가요?\n\n7이요."), ("assistant", "네.")],
        [("user", "소수인가요?\n\n7이요."), ("assistant", "아니요.")],
    ]
    assert [json.loads(json.dumps(list(row.meta))) for row in rows] == [["category", "likes"]] * 2
    assert [said(row)[1][1] for row in rows_of({"question": "소수는?", "answers": ["7", "11"]})] == ["7", "11"]


def test_turns_are_messages_or_what_the_user_says_with_references() -> None:
    assert [said(row) for row in rows_of({"turns": ["Name a prime.", "Why?"], "question_id": 1})] == [
        [ASKED, ("user", "Why?")]
    ]
    assert said(rows_of({"turns": ["Name a prime.", "Why?"], "reference": ["7", "So."]})[0]) == [
        ASKED, ANSWERED, ("user", "Why?"), ("assistant", "So."),
    ]  # fmt: skip
    assert said(rows_of({"turns": [{"role": "user", "content": "Name a prime."}]})[0]) == [ASKED]
    assert said(rows_of({"conversations": ["Name a prime.", "7"]})[0]) == [ASKED, ANSWERED]  # as in LIMA


def tree() -> dict[str, Any]:
    def node(role: str, text: str, *replies: Any, **more: Any) -> dict[str, Any]:
        return {"role": role, "text": text, "replies": list(replies), **more}

    why = node("prompter", "Why?", node("assistant", "So.", rank=0))
    return {
        "message_tree_id": "t",
        "prompt": node(
            "prompter",
            "Name a prime.",
            node("assistant", "8", rank=2),
            node("assistant", "7", why, rank=0),
            node("assistant", "seven", rank=1),
            node("assistant", "spam", deleted=True, rank=3),
            node("assistant", "rude", review_result=False),
        ),
    }


def test_a_tree_is_a_conversation_for_each_way_through_it() -> None:
    rows = rows_of(tree())
    assert [said(row) for row in rows] == [
        [ASKED, ("assistant", "8")],
        [ASKED, ANSWERED, ("user", "Why?"), ("assistant", "So.")],
        [ASKED, ("assistant", "seven")],
    ]
    assert [row.meta for row in rows] == [{"message_tree_id": "t", "rank": rank} for rank in (2, 0, 1)]


def test_ranked_answers_of_a_tree_are_pairs_of_the_best_and_each_worse() -> None:
    rows = rows_of(tree(), "oasst-pairs")
    assert [(said(row), row.rejected[0].content if row.rejected else "") for row in rows] == [
        ([ASKED, ANSWERED], "seven"),
        ([ASKED, ANSWERED], "8"),
    ]


@pytest.mark.parametrize(
    ("record", "format", "cause"),
    [
        ({"instruction": "a", "instances": []}, None, "instances"),
        ({"instruction": "a", "instances": ["b"]}, None, "instances"),
        ({"question": "a", "answers": []}, None, "answers"),
        ({"question": "a", "answers": [{"votes": 1}]}, None, "answers[0] has no text"),
        ({"turns": []}, None, "turns"),
        ({"prompt": {"text": "a", "role": "prompter", "replies": []}}, None, "the tree has no answer"),
        ({"prompt": {"text": None, "role": "prompter", "replies": []}}, None, "a message of the tree"),
        ({"prompt": "a"}, "oasst", "no tree"),
        ({"text": "a"}, "sections", "no sections"),
    ],
)
def test_what_holds_no_row_is_refused(record: dict[str, Any], format: str | None, cause: str) -> None:
    with pytest.raises(UnreadableRecord, match=cause.replace("[", r"\[")):
        rows_of(record, format)


def test_rows_of_one_record_come_out_as_messages_in_their_place_and_all_others_byte_for_byte(
    here: Path, filtered: Filtered
) -> None:
    plain_line = '{"instruction": "Name  a prime.",   "output": "7"}'
    several = json.dumps({"question": "Which?", "answers": ["A prime.", "", "Another."], "tag": "x"})
    one = json.dumps({"question": "Which one?", "answers": ["This."]})
    raw = "\n".join([plain_line, several, one, plain_line.replace("7", "11")]).encode() + b"\n"
    (here / "raw.jsonl").write_bytes(raw)
    (here / "raw.jsonl.gz").write_bytes(gzip.compress(raw))
    for name in ("raw.jsonl", "raw.jsonl.gz"):
        result = curate.filter(name, "out.jsonl", recipe="default")
        written = (here / "out.jsonl").read_text().splitlines()
        assert (written[0], written[3], written[4]) == (plain_line, one, plain_line.replace("7", "11"))
        assert [json.loads(line) for line in written[1:3]] == [
            {"messages": [{"role": "user", "content": "Which?"}, {"role": "assistant", "content": answer}], "tag": "x"}
            for answer in ("A prime.", "Another.")
        ]
        dropped = [json.loads(line) for line in (result.run.path / "dropped.jsonl").read_text().splitlines()]
        assert [row["_curate"]["step"] for row in dropped] == ["length"]
        assert dropped[0]["messages"][1]["content"] == ""
        summary = result.summary
        assert (summary.records, summary.rows_in, summary.kept, summary.rejected) == (4, 6, 5, 0)


def test_why_shows_every_row_of_a_record(here: Path, curate_command: Run) -> None:
    write_rows(here / "raw.jsonl", [{"question": "Which?", "answers": ["A prime.", ""]}])
    curate_command("filter", "raw.jsonl")
    shown = curate_command("why", "raw.jsonl:1").stdout
    assert "A prime." in shown
    assert "response has 0 characters" in shown


@pytest.mark.parametrize(
    ("name", "rows", "shape"),
    [
        ("self_instruct/seed_tasks.jsonl", 175, "instances"),
        ("multiturn_sharegpt_fastchat/mt_bench_questions.jsonl", 80, "turns"),
        ("multiturn_openassistant/en_100_tree.jsonl", 546, "oasst"),
        ("pref_hh_rlhf/harmless-base_test.jsonl", 2312, "preference"),
    ],
)
def test_real_files_of_these_shapes_are_read_whole(
    here: Path, real_data: Path, name: str, rows: int, shape: str
) -> None:
    found = inspect(real_data / name)
    assert (found.rows, found.rejected, found.sources[0]["shapes"]) == (rows, 0, {shape: rows})


def test_every_speaker_of_a_transcript_is_a_turn(here: Path, real_data: Path) -> None:
    file = real_data / "pref_hh_rlhf/harmless-base_test.jsonl"
    spoken = pl.read_ndjson(file)["chosen"].str.count_matches(r"\n\n(?:Human|Assistant):")
    result = curate.filter(file, recipe="random", keep=10_000)
    assert result.kept["messages"].list.len().to_list() == spoken.to_list()


def test_pairs_of_a_tree_convert_to_preference(here: Path, real_data: Path) -> None:
    file = real_data / "multiturn_openassistant/en_100_tree.jsonl"
    done = convert([file], "pairs.jsonl", "preference", format="oasst-pairs")
    pairs = [json.loads(line) for line in (here / "pairs.jsonl").read_text().splitlines()]
    assert done.rows == len(pairs) > 300
    assert all(pair["chosen"] != pair["rejected"] for pair in pairs)


def test_arrow_files_and_saved_datasets_are_inputs_and_arrow_an_output(here: Path) -> None:
    rows = [{"instruction": f"Name prime {n}.", "output": str(n)} for n in range(2500)]
    saved = datasets.Dataset.from_list(rows)
    saved.save_to_disk("saved", num_shards=2)
    datasets.DatasetDict({"train": saved.select(range(3)), "test": saved.select(range(2))}).save_to_disk("splits")
    first = curate.filter("saved", "out.arrow")
    assert first.kept["response"].to_list() == [row["output"] for row in rows]
    assert pl.read_ipc("out.arrow").to_dicts() == rows
    assert curate.filter("out.arrow", "again.jsonl").summary.kept == 2500
    both = curate.filter("splits")
    assert both.kept["source"].unique().to_list() == ["splits/train/data-00000-of-00001.arrow"]
    assert (both.summary.rows_in, both.summary.kept) == (5, 3)
    (here / "bad.arrow").write_bytes((here / "out.arrow").read_bytes()[:200])
    with pytest.raises(InputError, match=r"bad\.arrow:1  the Arrow file is damaged from here on"):
        curate.filter("bad.arrow")
    (here / "saved/state.json").write_text("{}")
    with pytest.raises(InputError, match="does not list"):
        curate.filter("saved")


def test_a_dataset_of_the_hub_is_loaded_by_its_name(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the real hub is out of reach of tests: `load_dataset` is given a folder of the same form instead
    (here / "hub").mkdir()
    write_rows(here / "hub/train.jsonl", [("Name a prime.", "7"), ("Another?", "11")])
    write_rows(here / "hub/test.jsonl", [("A third?", "13")])
    load = datasets.load_dataset
    monkeypatch.setattr(datasets, "load_dataset", lambda name: load(str(here / "hub"), cache_dir=str(here / "cache")))
    assert curate.filter("someone/primes", recipe="default").summary.rows_in == 3
    only = curate.filter("someone/primes:test", recipe="default")
    assert only.kept["source"].to_list() == ["someone/primes:test"]
    with pytest.raises(InputError, match="has no split valid"):
        curate.filter("someone/primes:valid")

    def unreachable(name: str) -> None:
        raise ConnectionError(f"Couldn't reach '{name}' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(InputError, match="is no file, and can't be loaded from the hub: Couldn't reach"):
        curate.filter("someone/primes", work_dir="other")


def test_an_unknown_shape_is_refused_with_the_known_ones(here: Path) -> None:
    with pytest.raises(UsageError, match="no shape is called tree"):
        curate.filter("raw.jsonl", format="tree")
