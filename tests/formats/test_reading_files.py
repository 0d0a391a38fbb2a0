"""Every kind of file gives the same rows; every kind of damage is one line of `rejected.jsonl`, and stops nothing."""

import gzip
import io
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

import curate
from curate.converting import convert
from curate.errors import InputError, StoppedError, UsageError
from curate.formats import sources
from curate.pool import Pool, ReadOptions, read_pool
from curate.shapes.reading import Reading

ROWS = [
    {"instruction": "Name a prime.", "input": "", "output": "7"},
    {"instruction": "소수를 하나 말해 주세요.", "input": "두 자리로", "output": "11입니다."},
    {"instruction": 'Say "hi"\nand bye', "input": "", "output": "hi,\tbye 😀"},
]
PLAIN = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in ROWS)


def pool_of(*files: Path | str, **options: Any) -> Pool:
    return read_pool([str(file) for file in files], Path("work"), ReadOptions(**options))


def rejected(pool: Pool) -> list[tuple[int, str]]:
    """Line and cause of what could not be read, after checking the sums."""
    assert pool.records == len(pool) + pool.facts["rejected"]
    return [(record["line"], record["cause"]) for record in pool.rejected()]


def test_each_format_gives_the_same_rows_and_ids(here: Path) -> None:
    Path("a.jsonl").write_bytes(PLAIN)
    Path("b.jsonl.gz").write_bytes(gzip.compress(PLAIN))
    Path("c.jsonl.zst").write_bytes(zstandard.compress(PLAIN))
    Path("d.json").write_text(json.dumps(ROWS, indent=2))
    Path("e.json").write_text("\n".join(json.dumps(row, indent=1) for row in ROWS))
    frame = pl.DataFrame(ROWS)
    frame.write_csv("f.csv")
    frame.write_csv("g.tsv", separator="\t")
    frame.write_parquet("h.parquet")
    Path("i.jsonl").write_bytes(b"\xef\xbb\xbf" + PLAIN.replace(b"\n", b"\r\n"))
    Path("j.jsonl").write_bytes(PLAIN.replace(b"\n", b"\n\n").rstrip())
    Path("k.json").write_bytes(PLAIN)
    Path("l.txt").write_text(json.dumps(ROWS))
    Path("m.json").write_text("".join(map(json.dumps, ROWS)))
    Path("n.csv").write_bytes(b"\xef\xbb\xbf" + Path("f.csv").read_bytes())
    Path("o.csv.gz").write_bytes(gzip.compress(Path("f.csv").read_bytes()))
    Path("p.parquet.copy").write_bytes(Path("h.parquet").read_bytes())
    Path("q.jsonl").write_bytes(gzip.compress(PLAIN))
    Path("r.json.zst").write_bytes(zstandard.compress(Path("d.json").read_bytes()))
    files = sorted(Path().glob("?.*"))
    assert len(files) == 18
    pool = pool_of(*files)
    assert rejected(pool) == []
    ids = pool.column("id").to_list()
    assert ids == ids[:3] * 18
    frame = pl.concat(pool.batches(["prompt", "response", "meta"]))
    assert frame["prompt"].to_list()[:3] == [
        ROWS[0]["instruction"],
        "소수를 하나 말해 주세요.\n\n두 자리로",
        ROWS[2]["instruction"],
    ]
    assert frame["meta"].unique().to_list() == ["{}"]


def test_lines_are_counted_as_an_editor_counts_them(here: Path) -> None:
    Path("a.jsonl").write_bytes(b"\n" + PLAIN.replace(b"\n", b"\n \n"))
    Path("b.json").write_text(json.dumps(ROWS, indent=2))
    Path("c.csv").write_text('instruction,output\n"two\nlines",a\nb,c\n')
    pool = pool_of("a.jsonl", "b.json", "c.csv")
    frame = pl.concat(pool.batches(["source", "line"]))
    assert frame.select("source", "line").rows() == [
        ("a.jsonl", 2),
        ("a.jsonl", 4),
        ("a.jsonl", 6),
        ("b.json", 2),
        ("b.json", 7),
        ("b.json", 12),
        ("c.csv", 2),
        ("c.csv", 4),
    ]


def test_standard_input_and_pipes_are_read_as_files_are(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("raw.jsonl").write_bytes(PLAIN)
    expected = pool_of("raw.jsonl")
    for data in (PLAIN, gzip.compress(PLAIN), json.dumps(ROWS, indent=1).encode()):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        pool = pool_of("-")
        assert pool.column("id").to_list() == expected.column("id").to_list()
        assert pool.place(0).startswith("-:")
    os.mkfifo("pipe")
    thread = threading.Thread(target=Path("pipe").write_bytes, args=[PLAIN])
    thread.start()
    assert pool_of("pipe").path == expected.path
    thread.join()


def test_lines_of_text_end_in_any_way_and_fields_may_hold_line_ends(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = 'instruction,output\n"two\r\nlines\u2028",a\n\nb,c\n'
    Path("a.csv").write_text(text)
    Path("b.csv").write_bytes(text.replace("\n", "\r\n").encode())
    Path("c.csv").write_bytes(text.replace("\n", "\r").encode())
    for block in (sources.BLOCK, 1, 5, 17):
        monkeypatch.setattr(sources, "BLOCK", block)
        for name, inner, places in [("a.csv", "\r\n", [2, 5]), ("b.csv", "\r\r\n", [2, 6]), ("c.csv", "\r\r", [2, 6])]:
            pool = read_pool([name], Path(f"work{block}"))
            assert pool.column("prompt").to_list() == [f"two{inner}lines\u2028", "b"]
            assert pool.column("line").to_list() == places


@pytest.mark.parametrize("block", [1, 10, 100, 1 << 20])
@pytest.mark.parametrize("name", ["raw.jsonl", "raw.jsonl.gz", "raw.jsonl.zst"])
def test_lines_are_counted_and_causes_placed_right_across_blocks(
    here: Path, monkeypatch: pytest.MonkeyPatch, name: str, block: int
) -> None:
    monkeypatch.setattr(sources, "BLOCK", block)
    monkeypatch.setattr(sources, "PIECE", max(1, block // 2))
    good = b'{"instruction": "a"}'
    long = b'{"instruction": "' + b"x" * 50 + b'"}'
    text = b"\n".join([good, b"", b"{bad", b"  ", long, good, b"\t", long, b"", good])
    Path(name).write_bytes(COMPRESS[Path(name).suffix](text))
    pool = pool_of(name, max_line=40)
    assert pool.column("line").to_list() == [1, 6, 10]
    assert [text[at : at + 20] for at in pool.column("offset")] == [good] * 3
    assert [line for line, _ in rejected(pool)] == [3, 5, 8]
    for record in pool.rejected():
        assert text[record["offset"] :].startswith(record["head"][:40].encode())
        assert record["length"] == len(text[record["offset"] :].partition(b"\n")[0])


COMPRESS: dict[str, Any] = {".jsonl": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}


BAD_RECORDS = {
    b'{"instruction": "cut of': "the JSON ends too early; the line was cut off",
    b'{"instruction": "a" "output": "b"}': "not JSON: expecting ',' delimiter at character 21",
    b'{"instruction": "a", "output": NaN}': "NaN is not JSON; write null or a number",
    b'{"instruction": "a", "output": "b", "x": -Infinity}': "-Infinity is not JSON; write null or a number",
    b'{"instruction": "a", "output": "\\ud83d"}': "half a surrogate pair (such as \\ud83d) is not text",
    b'{"instruction": "a", "output": "b", "x": ["\\udc00"]}': "half a surrogate pair (such as \\ud83d) is not text",
    b'{"instruction": "\xff", "output": "b"}': "byte 18 (0xff) is not UTF-8; save the file as UTF-8",
    b'{"instruction": "a", "output": "b", "output": "c"}': "field output comes twice; which one is meant?",
    b'{"instruction": "a", "output": 42}': "field output is a number, text was expected",
    b'{"instruction": ["a"], "output": {"b": 1}}': "instruction[0] is text, a message was expected",
    b'{"instruction": "a", "output": {"b": 1}}': "field output is an object, text was expected",
    b'{"instruction": "a", "x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}": "nested deeper than 200 levels",
    b'["a", "b"]': "a list, an object with fields was expected",
    b'"a"': "text, an object with fields was expected",
    b'{"premise": "a", "hypothesis": "b"}': (
        "no known shape (fields: premise, hypothesis); name them with --map, as in --map THEIRS=instruction"
    ),
    b'{"messages": [{"role": "narrator", "content": "a"}]}': (
        "messages[0] has the unknown role 'narrator'; known: assistant, bot, chatgpt, developer, function, "
        "function_call, gpt, human, model, observation, prompter, system, tool, user"
    ),
    b'{"messages": [{"role": "user", "content": 3}]}': "messages[0].content is a number, text was expected",
    b'{"messages": []}': "field messages is an empty list",
    b'{"chosen": "a", "rejected": "b"}': "chosen and rejected are answers to no prompt: a field prompt was expected",
}


def test_each_bad_record_is_listed_with_line_and_cause_and_the_rest_goes_on(here: Path) -> None:
    good = PLAIN.splitlines()[0]
    Path("raw.jsonl").write_bytes(b"".join(bad + b"\n" + good + b"\n" for bad in BAD_RECORDS))
    result = curate.filter("raw.jsonl", recipe="random")
    assert rejected(result.pool) == [(2 * k + 1, cause) for k, cause in enumerate(BAD_RECORDS.values())]
    assert result.summary.rows_in == len(BAD_RECORDS)
    said = (result.run.path / "rejected.jsonl").read_text().splitlines()
    assert json.loads(said[0])["source"] == "raw.jsonl"


def test_a_null_is_an_absent_field(here: Path) -> None:
    rows = [{"instruction": "a", "input": None, "output": None}, {"instruction": None, "output": "b"}]
    Path("raw.jsonl").write_text("\n".join(map(json.dumps, rows)))
    frame = pl.concat(pool_of("raw.jsonl").batches(["prompt", "response"]))
    assert frame.select("prompt", "response").rows() == [("a", None), ("", "b")]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_truncated_archive_gives_the_rows_before_the_cut(here: Path, suffix: str) -> None:
    many = b"".join(
        json.dumps({"instruction": f"Question {k}?", "output": str(k**5)}).encode() + b"\n" for k in range(5000)
    )
    whole = gzip.compress(many) if suffix == ".gz" else zstandard.compress(many)
    Path(f"raw.jsonl{suffix}").write_bytes(whole[: len(whole) // 2])
    pool = pool_of(f"raw.jsonl{suffix}")
    ((line, cause),) = rejected(pool)
    assert cause == "the compressed file ends too early: it was cut off; make or download it again"
    assert len(pool) == line - 1 > 500


@pytest.mark.parametrize("cut", [1, 3, 7, 100])
@pytest.mark.parametrize("name", ["raw.csv.gz", "raw.csv.zst", "raw.json.gz", "raw.json.zst"])
def test_a_truncated_archive_is_told_wherever_it_is_cut_and_whatever_it_holds(here: Path, name: str, cut: int) -> None:
    records = [{"instruction": f"Question {k}?", "output": str(k**5)} for k in range(5000)]
    text = json.dumps(records) if "json" in name else pl.DataFrame(records).write_csv()
    whole = COMPRESS[Path(name).suffix](text.encode())
    Path(name).write_bytes(whole[:-cut])
    pool = pool_of(name)
    ((_, cause),) = rejected(pool)
    assert cause == "the compressed file ends too early: it was cut off; make or download it again"
    assert len(pool) > 2000
    assert pool.column("prompt").to_list() == [record["instruction"] for record in records[: len(pool)]]


@pytest.mark.parametrize("name", ["raw.jsonl.zst", "raw.csv.zst", "raw.jsonl.gz", "raw.csv.gz", "raw.json.gz"])
def test_damage_in_the_first_block_leaves_the_rows_before_it(here: Path, name: str) -> None:
    records = [{"instruction": f"Question {k}?", "output": str(k**9)} for k in range(60_000)]
    if "csv" in name:
        text = pl.DataFrame(records).write_csv()
    else:
        text = json.dumps(records) if ".json." in name else "".join(json.dumps(record) + "\n" for record in records)
    whole = bytearray(COMPRESS[Path(name).suffix](text.encode()))
    whole[-len(whole) // 5 :] = b"\xff" * -(-len(whole) // 5)
    Path(name).write_bytes(whole)
    pool = pool_of(name)
    ((_, cause),) = rejected(pool)
    assert cause.startswith("the compressed file ")  # gzip may take damage for data until the file ends
    assert len(pool) > 20_000
    assert pool.column("prompt").to_list() == [record["instruction"] for record in records[: len(pool)]]


def test_frames_of_zst_follow_one_another(here: Path) -> None:
    first, second = (zstandard.compress(part.encode()) for part in ('{"instruction": "a"}\n{"instr', 'uction": "b"}\n'))
    checked = zstandard.ZstdCompressor(write_checksum=True, write_content_size=False).compress(
        b'{"instruction": "c"}\n'
    )
    skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"
    zeros = zstandard.compress(b" " * 1_000_000 + b"\n")
    Path("a.jsonl.zst").write_bytes(first + second + skipped + zeros + checked)
    pool = pool_of("a.jsonl.zst")
    assert (pool.column("prompt").to_list(), rejected(pool)) == (["a", "b", "c"], [])
    Path("b.jsonl.zst").write_bytes(first + second + checked[:-2])
    pool = pool_of("b.jsonl.zst")
    assert pool.column("prompt").to_list()[:2] == ["a", "b"]
    assert [cause for _, cause in rejected(pool)] == [sources.CUT_OFF]
    Path("c.jsonl.zst").write_bytes(zstandard.compress(PLAIN * 10_000) + b"garbage")
    ((_, cause),) = rejected(pool_of("c.jsonl.zst"))
    assert cause.startswith("the compressed file is damaged from here on")


def test_a_damaged_archive_gives_the_rows_before_the_damage(here: Path) -> None:
    many = b"".join(
        json.dumps({"instruction": f"Question {k}?", "output": str(k**9)}).encode() + b"\n" for k in range(300_000)
    )
    whole = bytearray(gzip.compress(many, 1))
    whole[len(whole) * 9 // 10 :] = b"\xff" * len(whole[len(whole) * 9 // 10 :])
    Path("raw.jsonl.gz").write_bytes(whole)
    pool = pool_of("raw.jsonl.gz")
    ((line, cause),) = rejected(pool)
    assert len(pool) == line - 1 > 200_000
    assert cause.startswith("the compressed file is damaged from here on")


def test_a_json_array_that_is_cut_off_gives_its_whole_elements(here: Path) -> None:
    Path("raw.json").write_text(json.dumps(ROWS, indent=2)[:-30])
    pool = pool_of("raw.json")
    ((line, cause),) = rejected(pool)
    assert (len(pool), line) == (2, 12)
    assert cause == "the JSON ends too early: a bracket or a quote that opens here is never closed"


def test_a_row_of_csv_with_too_few_fields_or_an_open_quote_is_listed(here: Path) -> None:
    Path("raw.csv").write_bytes(b'instruction,output\na,b\nc\nd,"e"f\ng,h\xff\ni,j\n')
    pool = pool_of("raw.csv")
    assert rejected(pool) == [
        (3, "1 fields, the header has 2; quote fields that hold a separator"),
        (4, "not CSV: ',' expected after '\"'"),
        (5, "not UTF-8; save the file as UTF-8"),
    ]
    assert len(pool) == 2


@pytest.mark.parametrize("block", [20, 64, 1 << 20])
def test_what_is_odd_in_a_table_of_text_is_listed(here: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(sources, "BLOCK", block)
    long = "x" * 200
    Path("raw.csv").write_text(
        f'instruction,output\na,{long}\nb,"{long}"\n{long[:60]},{long[:60]}\n'
        'instruction,output\nc,d\n"never closed,\ne,f\n'
    )
    pool = pool_of("raw.csv", max_line=100)
    assert rejected(pool) == [
        (2, "a field over --max-line 100; raise it to read this record"),
        (3, "a field over --max-line 100; raise it to read this record"),
        (4, "150 bytes long, over --max-line 100; raise it to read this record"),
        (5, "the header again, as where files were joined"),
        (7, "a quote that opens here is never closed"),
    ]
    assert pool.column("prompt").to_list() == ["c"]


def peak_of_filtering(file: str, **options: Any) -> tuple[int, int, list[list[Any]]]:
    """Peak memory in MB of a process that keeps all rows of `file`, the rows, and what could not be read."""
    code = """
import json, sys, curate
result = curate.filter(sys.argv[1], recipe="random", **json.loads(sys.argv[2]))
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
said = [[record["line"], record["cause"]] for record in result.pool.rejected()]
print(json.dumps([int(peak) // 1000, result.summary.kept, said]))
"""
    command = [sys.executable, "-c", code, file, json.dumps(options)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, kept, said = json.loads(ran.stdout)
    return peak, kept, said


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")


@needs_proc
def test_a_long_line_of_a_table_is_listed_and_never_held_in_memory(here: Path) -> None:
    with Path("raw.csv").open("wb") as file:
        file.write(b"instruction,output\na,b\n")
        for _ in range(100):
            file.write(b"x," * (1 << 19))
        file.write(b"\nc,d\n")
    peak, kept, ((line, cause),) = peak_of_filtering("raw.csv", max_line=1 << 20)
    assert (kept, line) == (2, 3)
    assert cause.endswith(" fields, the header has 2; quote fields that hold a separator")
    assert peak < 350


@needs_proc
def test_a_value_of_an_array_over_max_line_is_listed_and_never_held_in_memory(here: Path) -> None:
    with Path("raw.json").open("wb") as file:
        file.write(b'[\n{"instruction": "a"},\n{"instruction": "')
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b'"},\n{"instruction": "b"}]')
    peak, kept, said = peak_of_filtering("raw.json", max_line=1 << 20)
    assert said == [[3, "104,857,618 bytes long, over --max-line 1,048,576; raise it to read this record"]]
    assert kept == 2
    assert peak < 420


@needs_proc
def test_what_grows_a_thousandfold_when_decompressed_is_never_held_in_memory(here: Path) -> None:
    with zstandard.open("raw.jsonl.zst", "wb") as file:
        file.write(b'{"instruction": "a"}\n{"instruction": "')
        for _ in range(400):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n{"instruction": "b"}\n')
    assert Path("raw.jsonl.zst").stat().st_size < 100_000
    peak, kept, ((line, cause),) = peak_of_filtering("raw.jsonl.zst", max_line=1 << 20)
    assert (line, kept, cause.split(" ")[0]) == (2, 2, "419,430,419")
    assert peak < 350


def write_parquet(columns: dict[str, Any], **options: Any) -> None:
    pq.write_table(pa.table(columns), "raw.parquet", **options)


def test_parquet_of_other_types_is_read_as_json_has_them(here: Path) -> None:
    turn = [{"from": "human", "value": "a", "weight": None}, {"from": "gpt", "value": "b", "weight": 1}]
    write_parquet({
        "conversations": [turn, turn[:1]],
        "bytes": [b"text", None],
        "nested": [{"b": [b"x"]}, {"b": None}],
        "number": pa.array([0.1, float("nan")], pa.float32()),
        "category": pa.array(["u", "v"]).dictionary_encode(),
        "big": pa.array([2**64 - 1, 0], pa.uint64()),
    })  # fmt: skip
    pool = pool_of("raw.parquet")
    assert [len(turns) for turns in pool.column("messages")] == [2, 1]
    assert pool.column("meta").to_list() == [
        '{"bytes":"text","nested":{"b":["x"]},"number":0.1,"category":"u","big":18446744073709551615}',
        '{"bytes":null,"nested":{"b":null},"number":null,"category":"v","big":0}',
    ]
    assert pool.column("messages")[0][1]["extra"] == '{"weight":1}'


def test_bytes_that_are_no_text_are_read_as_base64(here: Path) -> None:
    picture = b"\xff\xd8"
    write_parquet({
        "instruction": ["a", "b"],
        "image": [{"bytes": picture, "path": "a.jpg"}, None],
        "masks": [[picture, None, b"text"], []],
        "flag": pa.array([None, picture], pa.binary(2)),
    })  # fmt: skip
    pool = pool_of("raw.parquet")
    assert pool.column("meta").to_list() == [
        '{"image":{"bytes":"/9g=","path":"a.jpg"},"masks":["/9g=",null,"text"],"flag":null}',
        '{"image":null,"masks":[],"flag":"/9g="}',
    ]


def test_parquet_that_can_not_be_rows_is_refused_with_a_remedy(here: Path) -> None:
    write_parquet({"instruction": pa.array([], pa.string())})
    with pytest.raises(InputError, match=r"^raw.parquet: no records in it"):
        pool_of("raw.parquet")
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, names=["instruction"] * 2), "raw.parquet")
    with pytest.raises(InputError, match=r"raw.parquet:1  the Parquet file is damaged from here on \("):
        pool_of("raw.parquet")
    write_parquet({"instruction": ["a"] * 1000})
    Path("raw.parquet").write_bytes(Path("raw.parquet").read_bytes()[:-1])
    with pytest.raises(InputError, match=r"raw.parquet:1  the Parquet file is damaged from here on \("):
        pool_of("raw.parquet")


DAMAGED = {
    "cut.parquet": (b"PAR1 no", "the Parquet file is damaged from here on ("),
    "cut.arrow": (b"ARROW1 no", "the Arrow file is damaged from here on ("),
    "twice.csv": (b"instruction,instruction\na,b\n", "no header of distinct names: ['instruction', 'instruction']"),
    "quote.csv": (b'"instruction,output\na,b\n', "no readable header: unexpected end of data; check its quotes"),
    "Users.xml": (b"<users/>", "<users> is no <row> of StackExchange's Posts.xml; turn other XML into .jsonl or .csv"),
    "open.json": (b"[{", "the JSON ends too early"),
}


def test_a_damaged_file_among_several_stops_nothing(here: Path) -> None:
    Path("raw.jsonl").write_bytes(PLAIN)
    for name, (data, _) in DAMAGED.items():
        Path(name).write_bytes(data)
    pool = pool_of(*DAMAGED, "raw.jsonl")
    assert len(pool) == len(ROWS)
    assert [(record["source"], record["line"]) for record in pool.rejected()] == [(name, 1) for name in DAMAGED]
    for record, (_, cause) in zip(pool.rejected(), DAMAGED.values(), strict=True):
        assert record["cause"].startswith(cause)
    done = convert([*DAMAGED, "raw.jsonl"], "out.jsonl", "messages")
    assert (done.records, done.rows) == (len(DAMAGED) + len(ROWS), len(ROWS))


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_alone_is_an_error_with_its_cause(here: Path, name: str) -> None:
    data, cause = DAMAGED[name]
    Path(name).write_bytes(data)
    with pytest.raises(InputError) as error:
        pool_of(name)
    assert error.value.message.startswith(f"none of the 1 records could be read:\n  {name}:1  {cause}")


def test_damaged_parquet_gives_the_rows_before_the_damage(here: Path) -> None:
    prompts = [f"question {k} " * 20 for k in range(50_000)]
    write_parquet({"instruction": prompts}, row_group_size=10_000, compression="none", use_dictionary=False)
    data = bytearray(Path("raw.parquet").read_bytes())
    data[len(data) // 2 :][:3000] = data[len(data) // 2 : len(data) // 2 + 3000] = b"\xff" * 3000
    Path("raw.parquet").write_bytes(data)
    pool = pool_of("raw.parquet")
    ((line, cause),) = rejected(pool)
    assert cause.startswith("the Parquet file is damaged from here on (")
    assert len(pool) == line - 1 > 10_000
    assert pool.column("prompt").to_list() == prompts[: len(pool)]


def test_a_row_of_parquet_over_max_line_is_listed(here: Path) -> None:
    write_parquet({"instruction": ["a", "b" * 100, "c"]})
    pool = pool_of("raw.parquet", max_line=50)
    assert rejected(pool) == [(2, "118 bytes long, over --max-line 50; raise it to read this record")]
    assert pool.column("prompt").to_list() == ["a", "c"]


def test_where_files_were_joined_and_lines_end_in_cr_the_cause_says_so(here: Path) -> None:
    Path("raw.jsonl").write_bytes(PLAIN + b"\xef\xbb\xbf" + PLAIN)
    assert rejected(pool_of("raw.jsonl")) == [
        (4, "a byte-order mark before the record, as where files were joined; remove it")
    ]
    Path("mac.jsonl").write_bytes(PLAIN + PLAIN.replace(b"\n", b"\r"))
    assert rejected(pool_of("mac.jsonl")) == [(4, "lines end in CR alone; turn them into LF: tr '\\r' '\\n'")]


def test_csv_with_semicolons_is_read(here: Path) -> None:
    Path("raw.csv").write_text("instruction;output\nAdd 1,5 and 2;3,5\n")
    (turns,) = pool_of("raw.csv").column("messages")
    assert [turn["content"] for turn in turns] == ["Add 1,5 and 2", "3,5"]


def test_a_cause_says_no_more_than_fits_a_screen(here: Path) -> None:
    Path("raw.jsonl").write_text('{"' + "x" * 100_000 + '": 1}\n{"instruction": "a"}\n')
    ((_, cause),) = rejected(pool_of("raw.jsonl"))
    assert len(cause) == 1000


def test_a_file_of_which_no_row_can_be_read_is_an_error_with_the_first_causes(here: Path) -> None:
    Path("raw.jsonl").write_text('{"premise": "a"}\n{"premise": "b"}\n')
    with pytest.raises(InputError) as error:
        curate.filter("raw.jsonl")
    assert error.value.exit_status == 2
    assert "none of the 2 records could be read" in error.value.message
    assert "raw.jsonl:1  no known shape (fields: premise)" in error.value.message


def test_what_is_no_file_of_rows_is_refused_with_a_remedy(here: Path) -> None:
    Path("empty.jsonl").touch()
    Path("folder").mkdir()
    Path("folder/part.jsonl").write_bytes(PLAIN)
    Path("raw.jsonl").write_bytes(PLAIN)
    Path("utf16.jsonl").write_text("{}", encoding="utf-16")
    Path("fake.jsonl.gz").write_bytes(PLAIN)
    for name, message, remedy in [
        ("empty.jsonl", "empty.jsonl is empty", "check how it was made"),
        ("folder", "folder is a folder", "name its files, as in: curate filter folder/part.jsonl"),
        ("row.jsonl", "row.jsonl does not exist", "did you mean raw.jsonl?"),
        ("utf16.jsonl", "utf16.jsonl is UTF-16 text", "turn it into UTF-8: iconv"),
        ("fake.jsonl.gz", "fake.jsonl.gz ends in .gz but is not compressed so", "rename it"),
    ]:
        with pytest.raises(InputError) as error:
            pool_of(name)
        assert error.value.message.startswith(message)
        assert error.value.remedy.startswith(remedy)


def test_a_field_can_only_be_mapped_to_one_that_means_something(here: Path) -> None:
    Path("raw.jsonl").write_bytes(PLAIN)
    with pytest.raises(UsageError) as error:
        pool_of("raw.jsonl", reading=Reading(map=(("Frage", "instrution"),)))
    assert error.value.message == "--map Frage=instrution: no field is called instrution"
    assert error.value.remedy.startswith("did you mean instruction? Known: A, Q, a, answer")


def test_an_empty_file_among_others_is_said_and_stops_nothing(here: Path, cli: Any) -> None:
    Path("raw.jsonl").write_bytes(PLAIN)
    Path("empty.parquet").touch()
    assert len(pool_of("empty.parquet", "raw.jsonl")) == len(pool_of("raw.jsonl"))
    assert "empty.parquet: 0 rows (it is empty)\n" in cli("filter", "empty.parquet", "raw.jsonl").err
    with pytest.raises(InputError, match="all 2 inputs are empty"):
        pool_of("empty.parquet", "empty.parquet")


def test_a_csv_of_rows_of_several_shapes_is_read_as_what_they_were(here: Path) -> None:
    Path("mixed.csv").write_text(
        "instruction,output,prompt,chosen,rejected,messages\n"
        "Name a prime.,7,,,,\n"
        ",,Name a prime.,7,8,\n"
        ",7,Name a prime.,,,\n"
    )
    pool = pool_of("mixed.csv")
    assert pool.facts["sources"][0]["shapes"] == {"alpaca": 1, "preference": 1, "prompt-completion": 1}
    assert pool.column("prompt").to_list() == ["Name a prime."] * 3
    assert pool.column("response").to_list() == ["7"] * 3


@needs_proc
def test_a_line_over_max_line_is_listed_and_never_held_in_memory(here: Path) -> None:
    with Path("raw.jsonl").open("wb") as file:
        file.write(PLAIN)
        file.write(b'{"instruction": "a", "output": "')
        for _ in range(200):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n' + PLAIN)
    peak, kept, said = peak_of_filtering("raw.jsonl")
    assert said == [[4, "209,715,234 bytes long, over --max-line 33,554,432; raise it to read this record"]]
    assert kept == 6
    assert peak < 400


def test_a_file_that_changes_while_it_is_read_stops_the_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "BLOCK", 1 << 12)
    with Path("raw.jsonl").open("wb") as file:
        file.write(PLAIN * 3000)

    def change() -> None:
        time.sleep(0.05)
        with Path("raw.jsonl").open("ab") as file:
            file.write(PLAIN)

    thread = threading.Thread(target=change)
    thread.start()
    with pytest.raises(StoppedError, match=r"raw.jsonl changed while it was read"):
        pool_of("raw.jsonl")
    thread.join()
    assert len(pool_of("raw.jsonl")) == 9003


@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_rows_do_not_depend_on_the_size_of_blocks(here: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    Path("a.jsonl").write_bytes(b"\n" + PLAIN + b'{"bad"\n' + PLAIN.rstrip())
    Path("b.json").write_text(json.dumps([*ROWS, 3, "x"], indent=1))
    expected = pool_of("a.jsonl", "b.json")
    monkeypatch.setattr(sources, "BLOCK", block)
    other = read_pool(["a.jsonl", "b.json"], Path("other"))
    assert (other.path / "rows.parquet").read_bytes() == (expected.path / "rows.parquet").read_bytes()
    assert list(other.rejected()) == list(expected.rejected())


def test_format_map_and_limit_decide_what_is_read(here: Path) -> None:
    Path("raw.jsonl").write_text('{"text": "t", "ask": "q", "instruction": "i", "reply": "r"}\n' * 3)
    as_text = pool_of("raw.jsonl", reading=Reading(format="text"))
    mapped = pool_of("raw.jsonl", reading=Reading(map=(("reply", "output"),)))
    limited = pool_of("raw.jsonl", limit=2)
    assert len({as_text.fingerprint, mapped.fingerprint, limited.fingerprint}) == 3
    first = [next(pool.batches(["prompt", "response", "meta"])).row(0)[1:] for pool in (as_text, mapped)]
    assert first == [
        ("", "t", '{"ask":"q","instruction":"i","reply":"r"}'),
        ("i", "r", '{"text":"t","ask":"q"}'),
    ]
    assert len(limited) == 2
    with pytest.raises(UsageError, match="no shape is called alpacca"):
        pool_of("raw.jsonl", reading=Reading(format="alpacca"))


def test_the_same_contents_under_another_name_are_not_read_again(here: Path) -> None:
    Path("a.jsonl").write_bytes(PLAIN)
    Path("b.jsonl").write_bytes(PLAIN)
    a, b = pool_of("a.jsonl"), pool_of("b.jsonl")
    assert a.path == b.path
    assert (a.place(1), b.place(1)) == ("a.jsonl:2", "b.jsonl:2")


REAL = {
    "alpaca_dolly3k/dolly_3k.jsonl": {"alpaca": 2996},
    "alpaca_gpteacher/codegen.jsonl": {"alpaca": 4535},
    "alpaca_gpteacher/roleplay.jsonl": {"alpaca": 1923},
    "ko_chatbot/ChatbotData.jsonl": {"question-answer": 11823},
    "self_instruct/t0_templates_sample.jsonl": {"prompt-completion": 1728},
    "multiturn_sharegpt_llamafactory/glaive_toolcall_en_demo.jsonl": {"sharegpt": 300},
    "multiturn_sharegpt_llamafactory/dpo_en_demo.jsonl": {"preference": 300},
    "multiturn_sharegpt_llamafactory/kto_en_demo.jsonl": {"messages": 300},
    "multiturn_sharegpt_fastchat/dummy_conversation.jsonl": {"sharegpt": 500},
    "eval_gsm8k/test.jsonl": {"question-answer": 1319},
    "eval_humaneval/HumanEval.jsonl": {"prompt-completion": 164},
    "cluster_banking77/test.jsonl": {"text": 3080},
    "alpaca_gpteacher/toolformer_first600.jsonl": {"alpaca": 600},
    "self_instruct/seed_tasks.jsonl": {"instances": 175},
    "multiturn_sharegpt_fastchat/mt_bench_questions.jsonl": {"turns": 80},
    "pref_hh_rlhf/harmless-base_test.jsonl": {"preference": 2312},
    "eval_gsm8k/train_first1000.jsonl": {"question-answer": 1000},
    "eval_mbpp/mbpp.jsonl": {"text": 974},
    "dup_parakqc/paraKQC_v1.jsonl": {"text": 10000},
    "query_wellformedness/dev.jsonl": {"question-answer": 3750},
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_are_read_whole_and_come_out_byte_for_byte(here: Path, real_data: Path, name: str) -> None:
    result = curate.filter(real_data / name, recipe="random", keep=20_000)
    assert result.pool.facts["sources"][0]["shapes"] == REAL[name]
    assert Path("curated.jsonl").read_bytes() == (real_data / name).read_bytes()


def test_shapes_and_formats_mix_in_one_command(here: Path, real_data: Path) -> None:
    names = [name for name in REAL if "sharegpt" in name or "ko_" in name]
    Path("more.json").write_text(json.dumps(ROWS))
    result = curate.filter([*(real_data / name for name in names), "more.json"], recipe="random", keep=20_000)
    whole = b"".join((real_data / name).read_bytes() for name in names)
    assert Path("curated.jsonl").read_bytes() == whole + b"".join(
        json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode() + b"\n" for row in ROWS
    )
    assert result.summary.kept == sum(sum(REAL[name].values()) for name in names) + 3
