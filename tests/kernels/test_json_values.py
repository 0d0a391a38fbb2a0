"""Cutting JSON arrays and objects in sequence: the values are those that `json` finds, wherever the blocks end."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.formats import sources
from curate.formats.lines import Lines
from curate.formats.reading import read_lines
from curate.formats.sources import sources_of
from curate.formats.writing import texts
from curate.kernels.json_values import DEPTH, STATE_SIZE, cut_values

Cut = tuple[list[bytes], list[int], bytes]


def cut(data: bytes, base: int, block: int) -> Cut:
    """The values that the kernel cuts out of `data`, where each began, and what goes on at the end."""
    state = np.zeros(STATE_SIZE, dtype=np.int64)
    values: list[bytes] = []
    places: list[int] = []
    carry, carried = b"", -1
    for at in range(0, len(data), block):
        buffer = np.frombuffer(data[at : at + block], dtype=np.uint8)
        out = np.zeros(len(buffer) + 1, dtype=np.uint8)
        starts, ends, origins = (np.zeros(len(buffer) // 2 + 2, dtype=np.int64) for _ in range(3))
        count, size, rest, origin = cut_values(buffer, base, state, out, starts, ends, origins)
        written = out[:size].tobytes()
        for start, end, began in zip(starts[:count], ends[:count], origins[:count], strict=True):
            values.append((carry if began < 0 else b"") + written[start:end])
            places.append(carried if began < 0 else at + int(began))
            carry = b""
        carry += written[rest:]
        carried = at + int(origin) if origin >= 0 else carried
    assert state[DEPTH] >= 0
    return values, places, carry


def cut_slowly(data: bytes, base: int) -> Cut:
    """The twin: the same rules, a character at a time."""
    values: list[bytes] = []
    places: list[int] = []
    value, place = b"", -1
    depth = 0
    quoted = escaped = False
    for i, c in enumerate(data.decode("latin-1")):
        if quoted:
            value += data[i : i + 1]
            escaped, quoted = c == "\\" and not escaped, escaped or c != '"'
            continue
        if c in " \t\r\n":
            continue
        depth = depth + (c in "[{") - (c in "]}" and depth > 0)
        if (c in "[{" and depth == base) or (c in "]}" and depth < base) or (c == "," and depth <= base):
            if value:
                values, places, value = [*values, value], [*places, place], b""
            continue
        if not value:
            place = i
        elif data[i - 1 : i] in b" \t\r\n" and chr(value[-1]) not in '[]{},:"' and c not in '[]{},:"':
            value += b" "  # 1 2 is not 12
        value += data[i : i + 1]
        quoted = c == '"'
        if c in "]}" and depth == base:
            values, places, value = [*values, value], [*places, place], b""
    return values, places, value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)
INDENT = st.sampled_from([None, 0, 2, "\t"])
BLOCK = st.integers(1, 40)


@settings(max_examples=200, deadline=None)
@given(st.lists(JSON, max_size=5), INDENT, st.booleans(), BLOCK)
def test_an_array_is_cut_into_its_elements(values: list[Any], indent: Any, ascii: bool, block: int) -> None:
    data = json.dumps(values, indent=indent, ensure_ascii=ascii).encode()
    found, places, rest = cut(data, 1, block)
    assert [json.loads(value) for value in found] == values
    assert [json.JSONDecoder().raw_decode(data[at:].decode())[0] for at in places] == values
    assert rest == b""
    assert found == cut(data, 1, len(data))[0]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=4), JSON, max_size=3), max_size=5), INDENT, BLOCK)
def test_objects_in_sequence_are_cut_apart(values: list[Any], indent: Any, block: int) -> None:
    for separator in ("", "\n", " , "):
        data = separator.join(json.dumps(value, indent=indent) for value in values).encode()
        found, _, rest = cut(data, 0, block)
        assert ([json.loads(value) for value in found], rest) == (values, b"")


@settings(max_examples=300, deadline=None)
@given(st.text(r'[{]}",:\ 1a' + "\n", max_size=30), st.sampled_from([0, 1]), BLOCK)
def test_any_text_is_cut_as_the_twin_cuts_it(text: str, base: int, block: int) -> None:
    data = (text if base == 0 else "[" + text).encode()
    assert cut(data, base, block) == cut_slowly(data, base)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('[{"a": 1 2}]', [b'{"a":1 2}']),
        ('[{"a": tr ue}, - 1]', [b'{"a":tr ue}', b"- 1"]),
        ('[{"a": "x  y"} , {}]', [b'{"a":"x  y"}', b"{}"]),
        ('[{"a": "}]\\" [{"}]', [b'{"a":"}]\\" [{"}']),
        ('[{"a": 1},, {"b": 2},]', [b'{"a":1}', b'{"b":2}']),
        ('[{"a": 1}]  [{"b": 2}]', [b'{"a":1}', b'{"b":2}']),
        ('[{"a": 1}]] [{"b": 2}]', [b'{"a":1}', b'{"b":2}']),
        ('[{"a": 1}] and more [2]', [b'{"a":1}', b"and more", b"2"]),
    ],
)
@pytest.mark.parametrize("block", [1, 3, 100])
def test_white_space_goes_but_never_joins_what_it_parted(text: str, values: list[bytes], block: int) -> None:
    assert cut(text.encode(), 1, block) == (values, cut_slowly(text.encode(), 1)[1], b"")


def read(name: str, max_line: int = 1000) -> list[Lines]:
    return list(read_lines(sources_of([name], Path("spool"))[0], max_line))


@pytest.mark.parametrize("block", [3, 7, 50, 10_000])
def test_too_long_values_and_what_is_no_value_are_told_with_place_and_length(
    here: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(sources, "BLOCK", block)
    Path("a.json").write_text('[\n{"a": "' + "x" * 92 + '"},\n{"b": 2},\n3] too')
    found = read("a.json", max_line=50)
    assert [text for part in found for text in texts(part)] == [b'{"b":2}', b"3", b"too"]
    assert [int(number) for part in found for number in part.numbers] == [3, 4, 4]
    (long,) = [record for part in found for record in part.unread]
    assert (long.line, long.offset, long.length) == (2, 2, 100)
    assert long.cause == "100 bytes long, over --max-line 50; raise it to read this record"


@pytest.mark.parametrize(
    ("text", "line", "offset"),
    [
        ('[\n{"a": 1},\n{"b": "2', 3, 12),
        ('[\n{"a": 1},\n', 3, 12),
        ('{"a":\n1}\n{"b": {"c": 2}\n', 3, 9),
        ('[\n{"a": 1}, 2', 2, 12),
    ],
)
def test_what_is_never_closed_is_told_where_it_opens(here: Path, text: str, line: int, offset: int) -> None:
    Path("a.json").write_text(text)
    (record,) = [record for part in read("a.json") for record in part.unread]
    assert (record.line, record.offset) == (line, offset)
    assert record.cause == "the JSON ends too early: a bracket or a quote that opens here is never closed"
