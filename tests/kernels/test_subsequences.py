"""ROUGE-L beside its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.duplicates.growing import Growing, Instructions, hashes_of_text
from curate.kernels.subsequences import common, most_in_common

words = st.lists(st.integers(0, 5), max_size=12)


def longest(a: list[int], b: list[int]) -> int:
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + longest(a[1:], b[1:])
    return max(longest(a[1:], b), longest(a, b[1:]))


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6))
def test_the_longest_common_subsequence_is_that_of_its_definition(a: list[int], b: list[int]) -> None:
    row = np.zeros(len(b) + 1, dtype=np.int64)
    assert common(np.array(a, dtype=np.uint32), np.array(b, dtype=np.uint32), row) == longest(a, b)


@settings(deadline=None)
@given(words, st.lists(words, max_size=6))
def test_of_others_the_one_with_the_highest_value_is_found(own: list[int], others: list[list[int]]) -> None:
    def value(other: list[int]) -> float:
        size = len(own) + len(other)
        return 2 * longest(own, other) / size if size else 0.0

    bounds = np.cumsum([0, *map(len, others)], dtype=np.int64)
    flat = np.array([word for other in others for word in other], dtype=np.uint32)
    number, most = most_in_common(np.array(own, dtype=np.uint32), flat, bounds, 0.5)
    best = max(map(value, others), default=0.0)
    if best < 0.5:
        assert number == -1
    else:
        assert most == pytest.approx(best)
        assert number == [value(other) for other in others].index(best)


def test_an_instruction_in_nearly_the_same_words_is_known() -> None:
    taken = Instructions()
    for text in ("Write a poem about the sea in four lines.", "한글의 자음을 차례대로 적어 보세요."):
        taken.add(text)
    assert taken.nearest("Write a poem about the sea in six lines.") == (0, pytest.approx(8 / 9))
    assert taken.nearest("한글의 모음을 차례대로 적어 보세요.") == (1, pytest.approx(0.8))
    assert taken.nearest("Explain photosynthesis to a child.") is None


def test_a_text_is_found_again_among_those_that_were_taken() -> None:
    taken = Growing()
    told = "Row {} tells of {} apples, {} pears and of how the {}th farmer sold them all in May."
    texts = [told.format(k, k * 7, k * 13, k) for k in range(300)]
    for text in texts:
        taken.add(hashes_of_text(text))
    assert [taken.nearest(hashes_of_text(text)) for text in texts[::50]] == [(k, 1.0) for k in range(0, 300, 50)]
    assert taken.nearest(hashes_of_text("A quite different sentence about rivers and mountains.")) is None
    assert taken.nearest(hashes_of_text("")) is None
