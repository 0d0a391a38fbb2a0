"""`repetition`: loops go; refrains, tables, lists and code stay."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import Filtered, Reasons
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.kernels.repetition import PASSAGE, repetition

LOOPS = [
    "I like tea. " * 20,
    "The model learns from data, and " * 10,
    "Ha " * 100,
    "좋은 아침입니다. " * 15,
    "모델은 데이터를 배우고 또한 " * 10,
    "Here is the list:\n" + "- apple\n" * 60,
    "好的好的" * 40,
]
SOUND = [
    "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily, life is but a dream.",
    "\n".join(f"{word}: could be found in the kitchen" for word in ("Butter", "Eggs", "Tofu", "Kale", "Peppers")),
    "| a | b |\n| --- | --- |\n" + "\n".join(f"| {n} | {n * n} |" for n in range(30)),
    "def add(a, b):\n    return a + b\n\n\ndef sub(a, b):\n    return a - b\n\n\ndef mul(a, b):\n    return a * b\n",
    "no no no",
    "def total(numbers):" + " " * 900 + "\n    return sum(numbers)" + " " * 900,
    "".join(f'"{n}_id": Field(\n    label="the number {n * n}",\n    blank=True,\n),\n' for n in range(40)),
    "\n".join(f"{n}. {'비가 오는 날에는 우산을 씁니다.'[: n + 3]}" for n in range(1, 12)),
]


def test_a_loop_is_told_from_form(reasons: Reasons) -> None:
    said = reasons([("Go on.", response) for response in [*LOOPS, *SOUND]], "repetition")
    assert [bool(reason) for reason in said] == [True] * len(LOOPS) + [False] * len(SOUND)
    assert said[0] == "share of copied text is 0.95, more than 0.75"


def test_a_loop_that_was_asked_for_stays(reasons: Reasons) -> None:
    asked = ["Say ha 100 times.", "차 이야기를 20번 반복해 줘", "Why did it happen many times?"]
    said = reasons([(prompt, LOOPS[2]) for prompt in asked], "repetition")
    assert [bool(reason) for reason in said] == [False, False, True]


def test_the_threshold_measures_nothing_anew(here: Path, filtered: Filtered) -> None:
    rows = [("Go on.", LOOPS[0]), ("Go on.", SOUND[0])]
    filtered(rows, "repetition")
    again = filtered(None, {"repetition": {"max_copied": 0.99}})
    assert (again.summary.kept, again.summary.by_step[0].measured) == (2, 0)


def copied_slowly(data: bytes) -> int:
    """Bytes in copies, by the definition: from each place the first earlier passage that begins with the same bytes."""
    copied = at = 0
    seen: dict[bytes, int] = {}
    while at + PASSAGE <= len(data):
        passage = data[at : at + PASSAGE]
        if passage in seen:
            length = PASSAGE
            while at + length < len(data) and data[seen[passage] + length] == data[at + length]:
                length += 1
            copied, at = copied + length, at + length
        else:
            seen[passage] = at
            at += 1
    return copied


def measured(texts: list[bytes]) -> list[tuple[int, int, int]]:
    data = np.frombuffer(b"".join(texts), dtype=np.uint8)
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    sizes, copied, lines, repeated = (np.zeros(len(texts), dtype=np.int64) for _ in range(4))
    repetition(data, offsets, sizes, copied, lines, repeated)
    assert sizes.tolist() == [len(squeezed(text)) for text in texts]
    return list(zip(copied.tolist(), lines.tolist(), repeated.tolist(), strict=True))


def squeezed(text: bytes) -> bytes:
    return re.sub(rb"[\x00-\x20]+", lambda found: b"\n" if b"\n" in found[0] else b" ", text)


texts = st.lists(
    st.lists(st.sampled_from(["a", "b\n", "tea ", "I like tea. ", "한글 ", "x" * 40, " \n"]), max_size=40).map(
        lambda parts: "".join(parts).encode()
    ),
    min_size=1,
    max_size=5,
)


@given(texts)
@settings(deadline=None)
def test_the_kernel_counts_what_its_definition_says(texts: list[bytes]) -> None:
    expected = []
    for text in texts:
        lines = [line.strip() for line in squeezed(text).split(b"\n") if line.strip()]
        expected.append((copied_slowly(squeezed(text)), len(lines), len(lines) - len(set(lines))))
    assert measured(texts) == expected


@pytest.mark.parametrize("text", [b"a" * 1_000_000, b"ab" * 500_000, bytes(range(256)) * 4000, b"\n" * 1_000_000])
def test_a_million_bytes_of_the_worst_take_no_longer_than_others(text: bytes) -> None:
    ((copied, _, _),) = measured([text])
    assert copied < len(text)


def test_real_answers_hardly_repeat_themselves(here: Path, real_data: Path, filtered: Filtered) -> None:
    for name in ("alpaca_dolly3k/dolly_3k.jsonl", "alpaca_gpteacher/codegen.jsonl"):
        rows = [json.loads(line) for line in (real_data / name).read_text().splitlines()]
        assert filtered(rows, "repetition", output=f"{Path(name).stem}.jsonl").summary.dropped == 0
