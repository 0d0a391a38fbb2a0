"""Every kind of file gives the same rows; every kind of damage is one line of `rejected.jsonl`, and stops nothing."""

import gzip
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

import curate
from curate.errors import InputError, StoppedError, UsageError
from curate.formats import lines
from curate.pool import Pool, ReadOptions, read_pool
from curate.records import Reading

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
    files = sorted(Path().glob("?.*"))
    assert len(files) == 12
    pool = pool_of(*files)
    assert rejected(pool) == []
    ids = pool.column("id").to_list()
    assert ids == ids[:3] * 12
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
    Path("fake.parquet").write_bytes(b"PAR1 no")
    Path("twice.csv").write_text("instruction,instruction\na,b\n")
    for name, message, remedy in [
        ("empty.jsonl", "empty.jsonl is empty", "check how it was made"),
        ("folder", "folder is a folder", "name its files, as in: curate filter folder/part.jsonl"),
        ("row.jsonl", "row.jsonl does not exist", "did you mean raw.jsonl?"),
        ("utf16.jsonl", "utf16.jsonl is UTF-16 text", "turn it into UTF-8: iconv"),
        ("fake.jsonl.gz", "fake.jsonl.gz ends in .gz but is not compressed so", "rename it"),
        ("fake.parquet", "fake.parquet is not readable Parquet", "make or download it again"),
        ("twice.csv", "twice.csv:1 has no header of distinct names", "name each column once"),
    ]:
        with pytest.raises(InputError) as error:
            pool_of(name)
        assert error.value.message.startswith(message)
        assert error.value.remedy.startswith(remedy)


def test_a_line_over_max_line_is_listed_and_never_held_in_memory(here: Path) -> None:
    with Path("raw.jsonl").open("wb") as file:
        file.write(PLAIN)
        file.write(b'{"instruction": "a", "output": "')
        for _ in range(200):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n' + PLAIN)
    code = """
import resource, curate
result = curate.filter("raw.jsonl", recipe="random")
(record,) = result.pool.rejected()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(record["line"], record["cause"], result.summary.kept, peak, sep="|")
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    line, cause, kept, peak = ran.stdout.strip().split("|")
    assert (line, cause) == ("4", "209,715,234 bytes long, over --max-line 33,554,432; raise it to read this record")
    assert kept == "6"
    assert int(peak) < 400


def test_a_file_that_changes_while_it_is_read_stops_the_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", 1 << 12)
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
    monkeypatch.setattr(lines, "BLOCK", block)
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
