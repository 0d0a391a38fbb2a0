"""The pool: the same rows whatever the blocks and threads, given back a row group at a time."""

import io
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from curate.errors import InputError, UsageError
from curate.formats import sources
from curate.pool import Pool, ReadOptions, read_pool, reading
from curate.pool import table as table_module
from curate.shapes.reading import Reading
from curate.whole import temporary_name
from curate.working import Working

Records = list[dict[str, Any]]


def pool_of(records: Records | str, *, work: str = "work", threads: int = 2, **options: Any) -> Pool:
    text = records if isinstance(records, str) else "".join(json.dumps(record) + "\n" for record in records)
    Path("raw.jsonl").write_text(text)
    return read_pool(["raw.jsonl"], Path(work), ReadOptions(**options), working=Working(threads=threads))


def mixed_records(n: int) -> list[str]:
    """Lines of every shape, some bad, some long, seeded."""
    chance = random.Random(1)
    made = []
    for k in range(n):
        answer = f"답 {k} " + "word " * chance.randrange(120 if k % 97 else 30_000)
        kinds: list[Any] = [
            {"instruction": f"Question {k}?", "output": answer, "votes": k},
            {"conversations": [{"from": "human", "value": f"Q {k}"}, {"from": "gpt", "value": answer}] * 2, "id": k},
            {"prompt": f"Q {k}", "chosen": answer, "rejected": "no"},
            {"text": answer},
            {"messages": [{"role": "user", "content": f"Q {k}", "name": "x"}]},
            {"no": "shape"},
        ]
        made.append(json.dumps(chance.choices(kinds, [50, 20, 5, 5, 5, 1])[0], ensure_ascii=k % 3 == 0))
    return made


def contents(pool: Pool) -> tuple[bytes, list[dict[str, Any]]]:
    return (pool.path / "rows.parquet").read_bytes(), list(pool.rejected())


@pytest.mark.parametrize(
    ("block", "threads", "few"), [(5_000, 1, 0), (77_777, 4, 0), (1 << 20, 2, 1000), (1 << 30, 3, 0)]
)
def test_rows_are_the_same_bytes_whatever_the_blocks_threads_and_readers(
    here: Path, monkeypatch: pytest.MonkeyPatch, block: int, threads: int, few: int
) -> None:
    text = "\n".join(mixed_records(3000))
    assert len(text) > 2 << 20  # several pages per column
    expected = pool_of(text, work="expected", threads=1)
    monkeypatch.setattr(sources, "BLOCK", block)
    monkeypatch.setattr(table_module, "FEW_LINES", few)
    assert contents(pool_of(text, threads=threads)) == contents(expected)


def test_row_groups_end_at_so_many_rows_or_bytes(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "GROUP_ROWS", 100)
    monkeypatch.setattr(reading, "GROUP_BYTES", 10_000)
    records = [{"instruction": "a", "output": "b" * (500 if 300 <= k < 400 else 1)} for k in range(450)]
    pool = pool_of(records)
    file = pq.ParquetFile(pool.path / "rows.parquet")
    sizes = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
    assert sizes == [100, 100, 100, 19, 19, 19, 19, 19, 55]
    assert [len(batch) for batch in pool.batches(["response"])] == sizes
    assert pool.column("response").to_list() == [record["output"] for record in records]


@pytest.fixture
def grouped(here: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """Ten rows in groups of four."""
    monkeypatch.setattr(reading, "GROUP_ROWS", 4)
    return pool_of([{"instruction": f"q{k}", "output": f"a{k}", "votes": k} for k in range(10)])


@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 4), (3, 5), (4, 8), (9, 10), (2, 99), (5, 5), (10, None)])
def test_batches_give_a_range_of_rows_in_order(grouped: Pool, start: int, stop: int | None) -> None:
    frames = list(grouped.batches(["response", "prompt"], start, stop))
    rows = [row for frame in frames for row in frame.iter_rows()]
    assert rows == [(k, f"a{k}", f"q{k}") for k in range(10)[start:stop]]
    assert all(frame.columns == ["row", "response", "prompt"] and 0 < len(frame) <= 4 for frame in frames)


def test_texts_give_the_named_rows_of_only_the_groups_that_hold_them(grouped: Pool) -> None:
    frames = list(grouped.texts(np.array([1, 3, 8]), ["response"]))
    assert [frame.rows() for frame in frames] == [[(1, "a1"), (3, "a3")], [(8, "a8")]]
    assert list(grouped.texts(pl.Series([], dtype=pl.UInt64), ["response"])) == []


def test_columns_are_those_of_the_design(grouped: Pool) -> None:
    frame = next(grouped.batches(["source", "line", "offset", "length", "id", "messages", "label", "chosen"]))
    assert frame.schema["messages"] == pl.List(pl.Struct({"role": pl.String, "content": pl.String, "extra": pl.String}))
    assert {name: str(kind) for name, kind in frame.schema.items() if name not in ("messages", "chosen")} == {
        "row": "UInt64",
        "source": "String",
        "line": "UInt64",
        "offset": "UInt64",
        "length": "UInt64",
        "id": "String",
        "label": "Boolean",
    }
    raw = Path("raw.jsonl").read_bytes()
    first = frame.row(1, named=True)
    assert json.loads(raw[first["offset"] : first["offset"] + first["length"]])["output"] == "a1"
    assert (grouped.place(9), len(grouped), grouped.column("line").to_list()) == ("raw.jsonl:10", 10, [*range(1, 11)])


def turn(role: str, content: str, extra: str | None = None) -> dict[str, Any]:
    return {"role": role, "content": content, "extra": extra}


def test_messages_are_derived_where_prompt_and_response_say_all(here: Path) -> None:
    pool = pool_of(
        [
            {"instruction": "Q", "input": "more", "output": "A"},
            {"instruction": "Q"},
            {"text": "T"},
            {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]},
            {"messages": [{"role": "user", "content": "Q", "name": "Kim"}]},
        ]
    )
    assert pool.column("messages").to_list() == [
        [turn("user", "Q\n\nmore"), turn("assistant", "A")],
        [turn("user", "Q")],
        [turn("text", "T")],
        [turn("system", "S"), turn("user", "Q")],
        [turn("user", "Q", '{"name":"Kim"}')],
    ]
    stored = pq.read_table(pool.path / "rows.parquet")["messages"]
    assert stored.is_null().to_pylist() == [True, True, True, False, False]
    assert pl.concat(pool.batches(["prompt", "response"])).rows() == [
        (0, "Q\n\nmore", "A"),
        (1, "Q", None),
        (2, "", "T"),
        (3, "S\n\nQ", None),
        (4, "Q", None),
    ]


def test_the_rejected_side_is_the_other_answer_under_the_same_names(here: Path) -> None:
    pool = pool_of(
        [
            {"system": "S", "prompt": "Q", "chosen": "good", "rejected": "bad"},
            {"instruction": "Q", "output": "A"},
            {"prompt": "Q", "chosen": "g", "rejected": [{"role": "user", "content": "Q2"}]},
        ]
    )
    frames = pool.seen_from("rejected").batches(["prompt", "response", "messages"])
    assert pl.concat(frames).rows() == [
        (0, "S\n\nQ", "bad", [turn("system", "S"), turn("user", "Q"), turn("assistant", "bad")]),
        (1, "", None, None),
        (2, "Q\n\nQ2", None, [turn("user", "Q"), turn("user", "Q2")]),
    ]
    assert pool.column("response").to_list() == ["good", "A", "g"]


NAMES = ["votes", "a.b", 'a"b', "a\\b", "it's", "a b", "", "$", "*", "[0]", "추천수"]


@pytest.mark.parametrize("name", NAMES)
def test_a_field_of_meta_may_have_any_name(here: Path, name: str) -> None:
    column = pool_of([{"instruction": "q", name: 3}, {"instruction": "q", "o": {name: 4}}]).meta(name)
    assert (column.name, column.dtype, column.to_list()) == (name, pl.Float64, [3, None])


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["1", "2.50", "-1e3", "null"], [1.0, 2.5, -1000.0, None]),
        (["1", '"2"'], ["1", "2"]),
        (['"1"', '"2"'], ["1", "2"]),
        (["1", "true"], ["1", "true"]),
        (["[1, 2]", '{"a": "b"}'], ["[1,2]", '{"a":"b"}']),
        (['"a\\"\\n\\u00e9"', '"null"', '""'], ['a"\né', "null", ""]),
        (["1e400", "123456789012345678901234567890"], [float("inf"), 123456789012345678901234567890.0]),
        (["null", "null"], [None, None]),
    ],
)
def test_a_field_of_meta_is_numbers_if_all_its_values_are_else_text(
    here: Path, monkeypatch: pytest.MonkeyPatch, values: list[str], found: list[Any]
) -> None:
    monkeypatch.setattr(reading, "GROUP_ROWS", 1)
    column = pool_of("".join(f'{{"instruction": "q", "x": {value}}}\n' for value in values)).meta("x")
    assert column.to_list() == found


def test_an_equal_name_deeper_down_is_another_field(here: Path) -> None:
    assert pool_of([{"instruction": "q", "x": 1, "o": {"x": "2"}}]).meta("x").to_list() == [1.0]
    assert pool_of([{"instruction": "q", "o": '{"x":"2"}'}]).meta("x").to_list() == [None]


def test_the_same_contents_under_another_name_are_the_same_pool_by_their_own_name(here: Path) -> None:
    Path("a.jsonl").write_text('{"instruction": "q"}\n{"bad"\n')
    Path("b.jsonl").write_text('{"instruction": "q"}\n{"bad"\n')
    a, b = (read_pool([name], Path("work")) for name in ("a.jsonl", "b.jsonl"))
    assert a.path == b.path
    assert (a.names, b.names) == (["a.jsonl"], ["b.jsonl"])
    assert (a.column("source").to_list(), b.column("source").to_list()) == (["a.jsonl"], ["b.jsonl"])
    assert [record["source"] for record in b.rejected()] == ["b.jsonl"]
    assert read_pool(["a.jsonl", "b.jsonl"], Path("work")).column("source").to_list() == ["a.jsonl", "b.jsonl"]


def test_a_pool_that_is_there_is_not_read_again(grouped: Pool) -> None:
    before = (grouped.path / "rows.parquet").stat().st_mtime_ns
    again = read_pool(["raw.jsonl"], Path("work"))
    assert again.path == grouped.path
    assert (again.path / "rows.parquet").stat().st_mtime_ns == before


def test_a_pool_without_its_last_file_is_read_anew(grouped: Pool) -> None:
    expected = (grouped.path / "rows.parquet").read_bytes()
    (grouped.path / "pool.json").unlink()
    (grouped.path / "rows.parquet").write_bytes(b"half")
    assert (read_pool(["raw.jsonl"], Path("work")).path / "rows.parquet").read_bytes() == expected


def test_whatever_decides_the_rows_is_in_the_fingerprint(here: Path) -> None:
    Path("raw.jsonl").write_text('{"instruction": "q", "a": "b"}\n' * 3)
    Path("copy.csv").write_text("instruction,a\n" + "q,b\n" * 3)
    options = [
        ReadOptions(),
        ReadOptions(reading=Reading(format="alpaca")),
        ReadOptions(reading=Reading(map=(("x", "output"),))),
        ReadOptions(reading=Reading(map=(("y", "output"),))),
        ReadOptions(max_line=1000),
        ReadOptions(limit=2),
        ReadOptions(limit=3),
        ReadOptions(sample=2),
        ReadOptions(sample=2, seed=1),
    ]
    pools = [read_pool(["raw.jsonl"], Path("work"), option) for option in options]
    pools += [read_pool(names, Path("work")) for names in (["raw.jsonl"] * 2, ["raw.jsonl", "copy.csv"])]
    pools.append(read_pool(["copy.csv", "raw.jsonl"], Path("work")))
    assert len({pool.fingerprint for pool in pools}) == len(pools)
    assert read_pool(["raw.jsonl"], Path("elsewhere"), ReadOptions(seed=5)).fingerprint == pools[0].fingerprint


@pytest.mark.parametrize("block", [10, 100, 1 << 20])
def test_limit_takes_the_first_records_those_that_can_not_be_read_included(
    here: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(sources, "BLOCK", block)
    good = '{"instruction": "q"}\n'
    Path("a.jsonl").write_text(good + '{"bad"\n' + "\n" + '{"long": "' + "x" * 90 + '"}\n' + good * 5)
    Path("b.jsonl").write_text(good * 5)
    for limit, rows, rejected in [(1, 1, []), (2, 1, [2]), (3, 1, [2, 4]), (5, 3, [2, 4]), (10, 8, [2, 4])]:
        options = ReadOptions(limit=limit, max_line=80)
        pool = read_pool(["a.jsonl", "b.jsonl"], Path("work"), options)
        assert (pool.records, len(pool), [record["line"] for record in pool.rejected()]) == (limit, rows, rejected)
    with pytest.raises(UsageError, match=r"--limit must be 1 or more"):
        ReadOptions(limit=0)


@pytest.mark.parametrize("name", ["raw.jsonl", "one_line.json"])
def test_a_sample_is_seeded_and_the_same_whatever_the_blocks(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    records = [{"instruction": f"q{k}"} for k in range(500)]
    Path("raw.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    Path("one_line.json").write_text(json.dumps(records))

    def sample(seed: int, work: str = "work", size: int = 20) -> list[str]:
        return read_pool([name], Path(work), ReadOptions(sample=size, seed=seed)).column("prompt").to_list()

    first = sample(0)
    assert len(set(first)) == 20
    assert sorted(first, key=lambda prompt: int(prompt[1:])) == first
    assert sample(1) != first
    assert sample(0, size=1000) == [record["instruction"] for record in records]
    monkeypatch.setattr(sources, "BLOCK", 300)
    assert sample(0, "other") == first


def test_a_pool_of_no_row_is_an_error_that_names_the_first_causes(here: Path) -> None:
    with pytest.raises(InputError) as error:
        pool_of('{"a": 1}\n' * 5)
    assert error.value.message.splitlines() == [
        "none of the 5 records could be read:",
        *(
            f"  raw.jsonl:{k}  no known shape (fields: a); name them with --map, as in --map THEIRS=instruction"
            for k in (1, 2, 3)
        ),
    ]
    assert "--map THEIRS=OURS or --format SHAPE" in error.value.remedy
    with pytest.raises(InputError, match=r"^raw.jsonl: no records in it"):
        pool_of("\n \n")


def test_a_work_directory_that_can_not_be_made_is_refused(here: Path) -> None:
    Path("work").write_text("a file")
    with pytest.raises(UsageError, match=r"^work can't be written"):
        pool_of([{"instruction": "q"}])


def test_the_work_directory_ignores_itself_in_git(grouped: Pool) -> None:
    assert (Path("work") / ".gitignore").read_text() == "*\n"


def test_meta_may_hold_a_number_that_no_double_holds(here: Path) -> None:
    records = [{"instruction": "a", "output": "b"}, {"instruction": "c", "output": "d"}]
    lines = [json.dumps(record)[:-1] + f', "x": {x}}}' for record, x in zip(records, ("1e400", "7"), strict=True)]
    pool = pool_of("\n".join(lines))
    assert pool.meta_names() == ["x"]
    assert pool.meta("x").to_list() == [float("inf"), 7.0]


def test_what_came_in_on_standard_input_is_kept_in_the_pool(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b'{"instruction": "a", "output": "b"}\n'
    (here / "work" / "pools").mkdir(parents=True)
    name = temporary_name(Path("stdin")).name.replace(f"-{os.getpid()}.tmp", "-99999999.tmp")
    (here / "work" / "pools" / name).touch()  # of a process that was killed
    for _ in range(2):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        pool = read_pool(["-"], Path("work"))
        assert [file.name for file in pool.path.glob("stdin-*")] == [pool.sources[0].path.name]
        assert pool.sources[0].path.read_bytes() == data
        assert list((here / "work" / "pools").iterdir()) == [pool.path.absolute()]


def test_a_sample_is_drawn_over_all_inputs_and_within_the_limit(here: Path) -> None:
    for name in "abc":
        rows = [json.dumps({"instruction": f"{name}{k}", "output": "x"}) for k in range(100)]
        (here / f"{name}.jsonl").write_text("\n".join(rows))
    files = ["a.jsonl", "b.jsonl", "c.jsonl"]
    pool = read_pool(files, Path("work"), ReadOptions(sample=40))
    assert len(pool) == 40
    assert len(set(pool.column("source"))) == 3
    limited = read_pool(files, Path("work"), ReadOptions(sample=40, limit=120))
    assert len(limited) == 40
    prompts = {frame["prompt"][k] for frame in limited.batches(["prompt"]) for k in range(len(frame))}
    assert not any(p.startswith("c") or (p.startswith("b") and int(p[1:]) >= 20) for p in prompts)
