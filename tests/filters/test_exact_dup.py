"""`exact-dup`: what equals what, and which of equal rows stays."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.exact_dup import ExactDup

Pair = tuple[str, str]
NFC, NFD = (unicodedata.normalize(form, "한국의 수도는?") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("first", "second", "parameters", "reason"),
    [
        (("Name a prime.", "7"), ("Name a prime.", "7"), {}, "same prompt and response as row:0"),
        (("Name a prime.", "7"), ("name a  PRIME.", "7 "), {}, "same prompt and response as row:0"),
        (("Name a prime.", "7"), ("\tName\u00a0a\u3000prime.\n", "\n7"), {}, "same prompt and response as row:0"),
        (("Name a prime.", "7"), ("Name a prime", "7"), {}, None),
        (("Name a prime.", "7"), ("Name a prime.", "11"), {}, None),
        (("Name a prime.", "7"), ("Name aprime.", "7"), {}, None),
        ((NFC, "서울"), (NFD, "서울"), {}, "same prompt and response as row:0"),
        (("ÉCOLE?", "école"), ("e\u0301cole?", "E\u0301COLE"), {}, "same prompt and response as row:0"),
        ((NFC, "서울"), ("한국의 수도는", "서울"), {}, None),
        (("f?", "if a:\n    b()"), ("f?", "if a: b()"), {}, "same prompt and response as row:0"),
        (("f?", "x = 1"), ("f?", "x == 1"), {}, None),
        (("ab", "c"), ("a", "bc"), {}, None),
        (("Name a prime.", "7"), ("name a prime.", "7"), {"normalise": False}, None),
        ((NFC, "서울"), (NFD, "서울"), {"normalise": False}, None),
        (("Name a prime.", "7"), ("Name a prime.", "7"), {"normalise": False}, "same prompt and response as row:0"),
        (("Name a prime.", "7"), ("Name a prime.", "11"), {"of": "prompt"}, "same prompt as row:0"),
        (("Name a prime.", "7"), ("How many days has a week?", "7"), {"of": "prompt"}, None),
        (("Name a prime.", "7"), ("How many days has a week?", "7"), {"of": "response"}, "same response as row:0"),
        (("a?", ""), ("b?", ""), {"of": "response"}, None),
        (("a?", " "), ("b?", "\n"), {"of": "response"}, None),
        (("a?", ""), ("a?", ""), {}, "same prompt and response as row:0"),
    ],
)
def test_equal_rows_after_the_first_are_dropped(
    reasons: Any, first: Pair, second: Pair, parameters: dict[str, Any], reason: str | None
) -> None:
    assert reasons([first, second], {"exact-dup": parameters}) == [None, reason]


def test_a_copy_of_a_copy_names_the_first(filtered: Any) -> None:
    result = filtered([("a?", "b"), ("x?", "y"), ("A?", "b"), ("a?", "B")], "exact-dup")
    assert result.ledger.select("row", "rival").rows() == [(0, None), (1, None), (2, "row:0"), (3, "row:0")]


def test_rows_that_say_nothing_equal_nothing(reasons: Any) -> None:
    def empty(**more: Any) -> dict[str, Any]:
        return {"prompt": "", "completion": "", **more}

    assert reasons([empty(), empty(), empty(label=True), empty(label=True)], "exact-dup") == [None] * 4


def test_the_same_answer_against_another_or_with_another_label_is_no_copy(reasons: Any) -> None:
    def pair(rejected: str) -> dict[str, Any]:
        return {"prompt": "1 + 1?", "chosen": "2", "rejected": rejected}

    def labelled(label: bool) -> dict[str, Any]:
        return {"prompt": "2 + 2?", "completion": "4", "label": label}

    rows = [pair("3"), pair("4"), pair("3"), labelled(True), labelled(False), labelled(True)]
    copy = "same prompt and response as row:{}"
    assert reasons(rows, "exact-dup") == [None, None, copy.format(0), None, None, copy.format(3)]


def voted(*votes: Any) -> list[dict[str, Any]]:
    return [{"instruction": "Why?", "output": "So."} | ({} if v is None else {"votes": v}) for v in votes]


@pytest.mark.parametrize(
    ("votes", "kept"),
    [
        ([1, 5, 3], 1),
        ([2, 2, 2], 0),
        ([1, 4, 4], 1),
        ([None, 0, None], 1),
        ([-3, None, -1], 2),
        ([1.5, 1.25, 1.75], 2),
    ],
)
def test_by_a_measure_the_best_stays_and_of_equals_the_first(reasons: Any, votes: list[Any], kept: int) -> None:
    said = reasons(voted(*votes), {"exact-dup": {"by": "meta.votes"}})
    assert said == [None if row == kept else f"same prompt and response as row:{kept}" for row in range(len(votes))]


def test_a_value_that_is_no_number_ranks_last(here: Path, reasons: Any) -> None:
    (here / "nan.py").write_text(
        "import dataclasses, polars as pl\n"
        "@dataclasses.dataclass(frozen=True)\n"
        "class Nan:\n"
        "    reads = ('row', 'response')\n"
        "    def measure(self, rows):\n"
        "        return rows.select(x=pl.when(pl.col('row') == 1).then(float('nan')).otherwise(pl.col('row') * 1.0))\n"
    )
    rows = [("a?", "b")] * 3
    said = reasons(rows, "nan", {"exact-dup": {"by": "nan.x"}}, plugins=["nan.py"])
    assert said == ["same prompt and response as row:2", "same prompt and response as row:2", None]


def test_an_excluded_file_is_named_with_its_line(here: Path, reasons: Any) -> None:
    rows = [("Name a prime.", "7"), (NFC, "서울"), ("new?", "yes"), ("new?", "yes")]
    had = [{"messages": [{"role": "user", "content": NFD}, {"role": "assistant", "content": "서울"}]}]
    (here / "had.jsonl").write_text("\n" + json.dumps(had[0]) + '\n{"prompt": "NAME a prime.", "completion": "7"}\n')
    (here / "more.jsonl").write_text('{"question": "name a prime.", "answer": "7"}\n')
    assert reasons(rows, "exact-dup", exclude=["had.jsonl", "more.jsonl"]) == [
        "same prompt and response as had.jsonl:3",
        "same prompt and response as had.jsonl:2",
        None,
        "same prompt and response as row:2",
    ]


def test_an_excluded_file_that_changed_decides_anew_and_measures_nothing(here: Path, filtered: Any) -> None:
    rows = [("a?", "b"), ("c?", "d")]
    (here / "had.jsonl").write_text('{"instruction": "a?", "output": "b"}\n')
    assert filtered(rows, "exact-dup", exclude=["had.jsonl"]).kept["prompt"].to_list() == ["c?"]
    (here / "had.jsonl").write_text('{"instruction": "c?", "output": "d"}\n')
    result = filtered(rows, "exact-dup", exclude=["had.jsonl"])
    assert result.kept["prompt"].to_list() == ["a?"]
    assert result.summary.by_step[0].measured == 0


pairs = st.lists(st.tuples(st.sampled_from(["", "a", "A ", "가", "b"]), st.sampled_from(["", "1", "나"])), max_size=15)


@given(pairs)
@settings(max_examples=60, deadline=None)
def test_one_of_each_group_of_equal_rows_is_kept(rows: list[Pair]) -> None:
    kinds = {"prompt": pl.String, "response": pl.String, "rejected": pl.Null, "label": pl.Boolean}
    frame = pl.DataFrame([(*row, None, None) for row in rows], schema=kinds, orient="row")
    filter = ExactDup()
    measures = filter.measure(frame).with_columns(row=pl.int_range(len(rows), dtype=pl.UInt64))
    decided = filter.decide(measures, None)  # type: ignore[arg-type]
    kept = [row for row, verdict in zip(rows, decided["verdict"], strict=True) if verdict == "keep"]
    said = [(p.strip().lower(), r) for p, r in kept]
    assert set(said) == {(p.strip().lower(), r) for p, r in rows}
    assert len(said) == len(set(said)) or said.count(("", "")) == rows.count(("", ""))


def test_a_row_has_the_same_key_whatever_rows_stand_beside_it(filtered: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("curate.pool.reading.GROUP_ROWS", 2)
    pair = {"prompt": "Hm?", "chosen": "Yes.", "rejected": "No."}
    rows = [("a", "b"), {"prompt": "x", "completion": "y", "label": True}, ("c", "d"), ("c", "e"), ("a", "b"), pair]
    result = filtered([*rows, {"prompt": "x", "completion": "y", "label": False}, pair], "exact-dup")
    assert result.dropped.select("row", "rival").rows() == [(4, "row:0"), (7, "row:5")]


def test_what_one_already_has_is_read_as_the_inputs_are(here: Any, filtered: Any) -> None:
    (here / "old.jsonl").write_text('{"ask": "a", "reply": "b"}\n')
    rows = [{"ask": "a", "reply": "b"}, {"ask": "c", "reply": "d"}]
    result = filtered(rows, "exact-dup", exclude=["old.jsonl"], map={"ask": "instruction", "reply": "output"})
    assert result.dropped.select("row", "rival").rows() == [(0, "old.jsonl:1")]
