"""Rows out again: kept lines as they stood, in order; every output reads back to the same rows."""

import errno
import gzip
import json
import os
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest
import zstandard

import curate
from curate.errors import StoppedError, UsageError
from curate.formats import sources, tables, writing
from curate.formats.lines import joined_lines
from curate.formats.reading import read_lines
from curate.formats.sources import sources_of
from curate.formats.writing import check_output, lines_at, write_lines
from curate.pool import Pool, read_pool

ROWS = [
    {"instruction": "Name a prime.", "input": "", "output": "7"},
    {"instruction": "소수를 하나 말해 주세요.", "input": "두 자리로", "output": "11입니다."},
    {"instruction": 'Say "hi"\nand, bye\t', "input": "", "output": "hi,\r\nbye 😀"},
    {"instruction": "\u2028 and \u0000", "input": "", "output": " "},
]
ODD = [
    b'{"instruction": "spaced" ,"output":  "out" }',
    b'  {"output":"\\u0037","instruction":"escaped \\/ \\ud83d\\ude00"}  ',
    '{"instruction": "한국어", "votes": 1.50, "e": 1E5}'.encode(),
    b'{"instruction": "null", "output": null, "x": [1, {"y": []}]}',
    b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}',
]
BAD = b'{"instruction": 1}'


def kept(file: str, output: str = "curated.jsonl", recipe: str = "random", **options: Any) -> bytes:
    """The output with every row kept."""
    curate.filter(file, output, recipe=recipe, **options)
    return Path(output).read_bytes()


# Bytes that were there


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
@pytest.mark.parametrize("last_end", [True, False])
def test_kept_lines_come_out_byte_for_byte_in_order(here: Path, end: bytes, compress: Any, last_end: bool) -> None:
    text = end.join([b"", *ODD[:2], BAD, b" ", *ODD[2:]]) + (end if last_end else b"")
    ending = {bytes: "", gzip.compress: ".gz", zstandard.compress: ".zst"}[compress]
    Path(f"raw.jsonl{ending}").write_bytes(compress(text))
    expected = end.join(ODD) + end
    assert kept(f"raw.jsonl{ending}") == (expected if last_end else expected.removesuffix(end) + b"\n")


def test_dropped_lines_leave_no_trace_between_the_kept(here: Path) -> None:
    records = [b'{"instruction": "q", "output": "%s"}' % (b"" if k % 3 else b"a" * k) for k in range(1, 100)]
    Path("raw.jsonl").write_bytes(b"\n".join(records))
    result = curate.filter("raw.jsonl", recipe="default")
    assert Path("curated.jsonl").read_bytes() == b"".join(record + b"\n" for record in records[2::3])
    assert (result.summary.kept, result.summary.dropped) == (33, 66)


def test_a_record_that_had_no_line_is_an_object_of_its_own_fields(here: Path) -> None:
    records: list[dict[str, Any]] = [
        {"output": "b", "n": 1, "instruction": "a"},
        {"instruction": "소수", "o": {"x": [1]}},
    ]
    Path("raw.json").write_text(json.dumps(records, indent=3))
    assert kept("raw.json") == (
        b'{"output":"b","n":1,"instruction":"a"}\n{"instruction":"\\uc18c\\uc218","o":{"x":[1]}}\n'
    )
    Path("raw.csv").write_text('n,instruction,output\n01,"a\nb",\n')
    assert kept("raw.csv") == b'{"n":"01","instruction":"a\\nb","output":""}\n'
    pl.DataFrame({"n": [1.5, None], "instruction": ["a", "소수"], "tags": [["x"], []]}).write_parquet("raw.parquet")
    assert kept("raw.parquet").decode() == (
        '{"n":1.5,"instruction":"a","tags":["x"]}\n{"n":null,"instruction":"소수","tags":[]}\n'
    )


@pytest.mark.parametrize("between", ["3", " 3 ", '"x"', "null", "[]"])
def test_an_element_that_could_not_be_read_leaves_no_trace_between_two_that_could(here: Path, between: str) -> None:
    Path("raw.json").write_text('[{"instruction":"a"},' + between + ',{"instruction":"b"}]')
    assert kept("raw.json") == b'{"instruction":"a"}\n{"instruction":"b"}\n'


@pytest.mark.parametrize("name", ["raw.jsonl", "raw.jsonl.gz", "raw.json", "raw.csv"])
def test_the_output_does_not_depend_on_the_size_of_blocks(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text = b"".join(b"%s\n" % json.dumps(row).encode() for row in ROWS * 50)
    Path("raw.jsonl").write_bytes(text)
    Path("raw.jsonl.gz").write_bytes(gzip.compress(text))
    Path("raw.json").write_text(json.dumps(ROWS * 50, indent=1))
    pl.DataFrame(ROWS * 50).write_csv("raw.csv")
    expected = kept(name)
    assert expected.count(b"\n") == 200
    for module in (sources, tables, writing):
        monkeypatch.setattr(module, "BLOCK", 1000)
    assert kept(name, work_dir="other", fresh=True) == expected


# Each output reads back


def rows_of(name: str) -> list[tuple[Any, ...]]:
    pool: Pool = read_pool([name], Path("back"))
    assert not pool.facts["rejected"]
    return [row[1:] for row in pl.concat(pool.batches(["id", "prompt", "response", "meta"])).iter_rows()]


OUTPUTS = ["a.jsonl", "a.ndjson", "a.jsonl.gz", "a.jsonl.zst", "a.json", "a.json.gz", "a.csv", "a.csv.gz", "a.tsv"]
OUTPUTS += ["a.tsv.zst", "a.parquet"]


@pytest.mark.parametrize("output", OUTPUTS)
def test_each_output_reads_back_to_the_same_rows(here: Path, output: str) -> None:
    records = [{**row, "votes": "3"} for row in ROWS]
    Path("raw.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    kept("raw.jsonl", output)
    assert rows_of(output) == rows_of("raw.jsonl")


@pytest.mark.parametrize("output", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.json", "a.parquet"])
def test_conversations_read_back_to_the_same_rows(here: Path, output: str) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    Path("raw.jsonl").write_text(
        "".join(
            json.dumps({"messages": turns, "n": 1}) + "\n"
            for turns in (
                [{"role": "user", "content": "소수"}, {"role": "assistant", "content": "7"}],
                [{"role": "user", "content": "Add.", "name": "Kim"}, call, {"role": "tool", "content": "3"}],
            )
        )
    )
    kept("raw.jsonl", output)
    assert rows_of(output) == rows_of("raw.jsonl")


def test_no_row_is_an_empty_file_of_its_format(here: Path) -> None:
    for name, data in [("a.jsonl", b""), ("a.json", b"[]\n")]:
        write_lines(Path(name), lambda: iter([joined_lines([], np.zeros(0, np.int64))]))
        assert Path(name).read_bytes() == data


def test_a_json_array_holds_the_lines_as_they_stood(here: Path) -> None:
    Path("raw.jsonl").write_bytes(b'{"instruction":  "a"}\n{"instruction": "b", "n": 1.50}\n')
    assert kept("raw.jsonl", "a.json") == b'[\n{"instruction":  "a"},\n{"instruction": "b", "n": 1.50}\n]\n'


def test_a_table_of_text_has_every_field_with_numbers_as_they_were_written(here: Path) -> None:
    Path("raw.jsonl").write_text(
        '{"instruction": "a, b", "n": 1.50, "big": 123456789012345678901234567890}\n'
        '{"instruction": "c\\td", "late": [1.0, {"x": null}], "n": 1e400, "yes": true, "no": null}\n'
    )
    assert kept("raw.jsonl", "a.csv").decode() == (
        "instruction,n,big,late,yes,no\n"
        '"a, b",1.50,123456789012345678901234567890,,,\n'
        'c\td,1e400,,"[1.0,{""x"":null}]",true,\n'
    )
    assert kept("raw.jsonl", "a.tsv").decode().splitlines()[2] == ('"c\td"\t1e400\t\t"[1.0,{""x"":null}]"\ttrue\t')


def test_parquet_has_every_field_also_of_later_rows(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BLOCK", 60)  # several chunks
    Path("raw.jsonl").write_text(
        '{"instruction": "a", "n": 1}\n'
        '{"instruction": "b", "late": "x", "n": 2.5}\n'
        '{"instruction": "c", "o": {"x": 1}, "n": null}\n'
        '{"instruction": "d", "o": {"y": "z"}}\n'
    )
    kept("raw.jsonl", "a.parquet")
    assert pl.read_parquet("a.parquet").to_dicts() == [
        {"instruction": "a", "n": 1.0, "late": None, "o": None},
        {"instruction": "b", "n": 2.5, "late": "x", "o": None},
        {"instruction": "c", "n": None, "late": None, "o": {"x": 1, "y": None}},
        {"instruction": "d", "n": None, "late": None, "o": {"x": None, "y": "z"}},
    ]


@pytest.mark.parametrize(
    "record", ['{"instruction": "a", "x": "1"}', '{"instruction": "a", "x": 1e400}', '{"instruction": "a", "x": {}}']
)
def test_rows_that_fit_no_table_stop_the_run_with_a_remedy(here: Path, record: str) -> None:
    Path("raw.jsonl").write_text('{"instruction": "a", "x": 1}\n' + record + "\n")
    with pytest.raises(StoppedError) as stopped:
        kept("raw.jsonl", "a.parquet")
    assert stopped.value.message.startswith("the rows don't fit one table: ")
    assert stopped.value.remedy == "name an output that ends in .jsonl"
    assert not list(Path().glob("*.parquet*"))


@pytest.mark.parametrize("output", ["a.jsonl.gz", "a.jsonl.zst", "a.parquet"])
def test_the_same_rows_give_the_same_bytes(here: Path, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    Path("raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    first = kept("raw.jsonl", output)
    monkeypatch.setattr("time.time", lambda: 2e9)
    Path("other").mkdir()
    assert kept("raw.jsonl", f"other/{output}", fresh=True) == first


# What can't be written


def test_an_output_that_can_not_be_written_is_refused_before_any_work(here: Path) -> None:
    Path("raw.jsonl").write_text('{"instruction": "a"}\n')
    Path("folder.jsonl").mkdir()
    known = "known: .jsonl, .ndjson, .json, .csv, .tsv, .parquet, .arrow, .jsonl.gz, .jsonl.zst"
    for name, message, remedy in [
        ("none/a.jsonl", "the folder none does not exist", "make it: mkdir -p none"),
        ("folder.jsonl", "folder.jsonl is a folder", "name a file"),
        ("a.txt", "the ending of a.txt names no format", known),
        ("a", "the ending of a names no format", known),
        ("a.gz", "the ending of a.gz names no format", known),
    ]:
        with pytest.raises(UsageError) as refused:
            kept("raw.jsonl", name)
        assert (refused.value.message, refused.value.remedy) == (message, remedy)
    assert sorted(path.name for path in Path().iterdir()) == ["folder.jsonl", "raw.jsonl"]


def test_a_folder_that_can_not_be_written_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("locked").mkdir()
    denied = PermissionError(errno.EACCES, "Permission denied")  # root may write anywhere
    monkeypatch.setattr(Path, "touch", Mock(side_effect=denied))
    with pytest.raises(UsageError, match=r"^locked can't be written"):
        check_output(Path("locked/a.jsonl"))


@pytest.mark.parametrize("change", [b'{"instruction": "b"}\n', b'{"instruction": "a"}\n' * 2, None])
def test_a_source_that_no_longer_has_its_bytes_is_named(here: Path, change: bytes | None) -> None:
    raw = Path("raw.jsonl")
    raw.write_bytes(b'{"instruction": "a"}\n')
    (source,) = sources_of(["raw.jsonl"], Path("spool"))
    raw.unlink()
    if change is not None:
        raw.write_bytes(change)
        os.utime(raw, ns=(1, 1))
    with pytest.raises(StoppedError) as stopped:
        source.must_be_unchanged()
    assert stopped.value.message == "raw.jsonl no longer has the bytes that were read"
    assert stopped.value.remedy == f"bring back {raw.absolute()} as it was, or run `curate filter` again"


def test_a_source_that_was_touched_but_has_its_bytes_is_read_on(here: Path) -> None:
    raw = Path("raw.jsonl")
    raw.write_bytes(b'{"instruction": "a"}\n')
    (source,) = sources_of(["raw.jsonl"], Path("spool"))
    os.utime(raw, ns=(1, 1))
    assert source.unchanged()
    assert [len(part) for part in lines_at(source, np.array([1]), np.array([0]), np.array([20]), 1000)] == [1]


def test_lines_are_found_again_by_their_numbers_where_they_have_no_bytes(here: Path) -> None:
    Path("raw.csv").write_text("instruction\na\nb\nc\n")
    (source,) = sources_of(["raw.csv"], Path("spool"))
    (read,) = read_lines(source)
    (again,) = lines_at(source, read.numbers[[0, 2]], None, None, 1000)
    assert writing.texts(again) == [b'{"instruction":"a"}', b'{"instruction":"c"}']
