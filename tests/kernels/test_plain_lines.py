"""The kernels against their twin: what they read, `read_record` reads the same; what it refuses, they never read."""

import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.formats.lines import Lines
from curate.pool import table
from curate.shapes.reading import Reading

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["", "Name a prime.", "안녕하세요", "😀 ok", 'a "quoted" \\ back', "line\nline\ttab", "\u2028", "\x7f\x00"]
)
NAMES = """
    instruction prompt question input context output response answer Q A label id tags text 한국어
    messages conversations system history chosen rejected
"""
SCALAR = TEXT | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none()
FIELD = st.sampled_from(NAMES.split())
TURN = st.builds(
    lambda style, role, text, more: {style[0]: role, style[1]: text} | more,
    st.sampled_from([("role", "content"), ("from", "value")]),
    st.sampled_from(["user", "assistant", "system", "human", "gpt", "tool", "model", "narrator"]),
    TEXT,
    st.sampled_from([{}, {}, {}, {"name": "x"}]),
)
VALUE = SCALAR | st.lists(SCALAR, max_size=3) | st.lists(TURN, max_size=4) | st.dictionaries(TEXT, SCALAR, max_size=2)
FLAT = st.dictionaries(FIELD, SCALAR, max_size=5).map(lambda more: {"instruction": "Say", "output": "yes"} | more)
CONVERSATION = st.tuples(st.lists(TURN, max_size=5), st.dictionaries(FIELD, SCALAR, max_size=2)).map(
    lambda parts: {"messages": parts[0]} | parts[1]
)
RECORD = FLAT | CONVERSATION | st.dictionaries(FIELD, VALUE, max_size=5)


@st.composite
def raw_lines(draw: Any) -> bytes:
    """A record as JSON in some spelling, sometimes with a byte changed, put in or left out."""
    record = draw(RECORD)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")]))
    line = json.dumps(record, ensure_ascii=draw(st.booleans()), separators=separators).encode("utf-8", "surrogatepass")
    damage = draw(st.sampled_from(["", "", "change", "insert", "delete"]))
    if damage:
        at = draw(st.integers(0, len(line) - 1))
        byte = draw(st.sampled_from([bytes([b]) for b in b'{}[]",:\\/u0aeEtn 1.-+\xec\xff\r']))
        line = line[:at] + (b"" if damage == "delete" else byte) + line[at + (damage != "insert") :]
    return line + draw(st.sampled_from([b"", b"", b" ", b"\r"]))


RAW_NAMES = [*NAMES.split(), "output", "instruction", r"inst\u0072uction", "", "a.b", r"\"", "\U0001f600"]
RAW_VALUES = r"""
    "yes" "" "안녕😀" "\ud83d\ude00" "\ud83d" "\ude00\ud83d" "\ud83d\u0041" "\u00e9\/\b\f\n\r\t\"\\"
    "\u0000\u001f\u007f" "\x" "\u12g4" "\"
    null true false nul 0 -0 -0.0 1.50 1e5 1E+400 -2.5e-3 01 .5 1. - 123456789012345678901234567890 NaN -Infinity
    [] [1,"a",null] [1,] [[1]] {} {"a":1} {"a":1,"a":2} [{}] [{"role":"user"}] [{"role":"user","content":"Hi"}]
    [{"role":"user","content":"Hi"},{"role":"assistant","content":""},{"role":"user","content":"\ud83d"}]
    [{"from":"human","value":"Hi"},{"from":"gpt","value":"Hello.","value":""}] [{"from":"system","value":null}]
"""
BYTES = [
    b'"\xff"',
    b'"\xed\xa0\x80"',
    b'"\xc0\xaf"',
    b'"\xf4\x90\x80\x80"',
    b'"tab\t"',
    b'"\x7f\xe2\x80\xa8"',
    b'"two words"',
]
PAIR = st.tuples(st.sampled_from(RAW_NAMES), st.sampled_from([*RAW_VALUES.encode().split(), *BYTES]))


@st.composite
def raw_objects(draw: Any) -> bytes:
    """An object of fields as someone may have spelled them: twice, with half surrogates, numbers of any kind."""
    space = draw(st.sampled_from([b"", b" ", b"\t\r", b"\xa0"]))
    fields = [b'"instruction":"Say"', *(b'"%s"%s:%s%s' % (n.encode(), space, space, v) for n, v in draw(FIELDS))]
    fields = draw(st.permutations(fields))[draw(st.integers(0, 1)) :]
    return b"{" + space + (space + b"," + space).join(fields) + b"}" + space


FIELDS = st.lists(PAIR, max_size=4)


def lines_of(texts: list[bytes]) -> Lines:
    ends = np.cumsum([len(text) + 1 for text in texts]) - 1
    starts = ends - [len(text) for text in texts]
    return Lines(b"\n".join(texts), starts, ends, np.arange(1, len(texts) + 1), starts)


def read(texts: list[bytes], reading: Reading, monkeypatch: pytest.MonkeyPatch, few: int) -> table.Block:
    monkeypatch.setattr(table, "FEW_LINES", few)
    return table.read_block(lines_of(texts), 0, reading)


READINGS = [
    Reading(),
    Reading(format="alpaca"),
    Reading(format="messages"),
    Reading(map=(("id", "label"), ("tags", "output"), ("text", "messages"))),
]


def assert_same(texts: list[bytes], reading: Reading) -> None:
    with pytest.MonkeyPatch.context() as patch:
        by_kernel = read(texts, reading, patch, few=0)
        one_by_one = read(texts, reading, patch, few=10**9)
    assert by_kernel.table.to_pylist() == one_by_one.table.to_pylist()
    assert by_kernel.rejected == one_by_one.rejected
    assert by_kernel.shapes == one_by_one.shapes
    assert by_kernel.sizes.tolist() == one_by_one.sizes.tolist()


@settings(max_examples=400, deadline=None)
@given(st.lists(raw_lines() | raw_objects(), min_size=1, max_size=8), st.sampled_from(READINGS))
def test_the_kernels_read_what_their_twin_reads(texts: list[bytes], reading: Reading) -> None:
    assert_same(texts, reading)


@pytest.mark.parametrize(
    "line",
    [
        b'{"instruction":null,"text":"the text"}',
        b'{"text":"the text","instruction":null,"output":"yes"}',
        b'{"question":null,"instruction":"Say"}',
        b'{"instruction":"Say","output":null,"answer":"yes"}',
        b'{"instruction":"Say","output":"yes","output":"no"}',
        b'{"instruction":"Say","x":1,"x":2}',
        b'{"instruction":"Say","x":"\\ud83d"}',
        b'{"instruction":"Say","\\u0078":1,"x":2}',
        b'{"instruction":"Say","label":true}',
        b'{"instruction":"Say","label":"true"}',
        b'{"instruction":"Say","x":01}',
        b'{"instruction":"Say","x":1,}',
        b'{"instruction":"Say"} {}',
        b'{"instruction":"Say","history":[["a","b"]]}',
        b'{"messages":[{"role":"user","content":"Hi"}],"conversations":[{"from":"gpt","value":"Hi"}]}',
        b'{"messages":[{"role":"user","content":"Hi"}],"label":false}',
        b'{"messages":[{"role":"user","value":"Hi"}]}',
        b'{"messages":[{"from":"human","value":"Hi"},{"role":"assistant","content":"Hello."}]}',
        b'{"instruction":"Say",' + b",".join(b'"f%d":1' % k for k in range(60)) + b"}",
        b'{"messages":[' + b",".join([b'{"role":"user","content":"Hi"}'] * 300) + b"]}",
    ],
)
def test_what_the_kernels_must_leave_to_their_twin(line: bytes) -> None:
    assert_same([line], Reading())


def test_the_kernels_read_real_files_as_their_twin_does(real_data: Path) -> None:
    for file in sorted(real_data.glob("*/*.jsonl")):
        with file.open("rb") as lines:
            assert_same([line.rstrip(b"\n") for line in islice(lines, 300)], Reading())


def test_the_kernels_read_plain_lines_themselves() -> None:
    """Without this, a kernel that refuses everything would pass."""
    flat = [b'{"instruction": "Say \\u00e9", "input": "", "output": "yes", "votes": 1.50, "tags": ["a", null]}'] * 3
    talk = [b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}'] * 3
    assert len(table._read_plain(lines_of(flat), 0, Reading()).at) == 3
    assert len(table._read_conversations(lines_of(talk), 0, Reading()).at) == 3
    (first, *_) = table._read_plain(lines_of(flat), 0, Reading()).table.to_pylist()
    assert (first["prompt"], first["response"], first["meta"]) == ("Say é", "yes", '{"votes":1.50,"tags":["a",null]}')
