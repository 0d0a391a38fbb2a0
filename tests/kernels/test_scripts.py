"""Letters by script: the kernel counts what its plain twin counts."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.texts.languages import COUNTED, SCRIPTS, _counted, _counted_few

CHARACTERS = st.characters(exclude_categories=["Cs"])


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.text(CHARACTERS, max_size=COUNTED + 20), min_size=1, max_size=20))
def test_the_kernel_counts_what_its_twin_counts(texts: list[str]) -> None:
    series = pl.Series(texts)
    assert _counted(series).equals(_counted_few(series))


def test_every_character_is_counted_as_by_the_twin() -> None:
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    texts = pl.Series(["".join(map(chr, points[k : k + COUNTED])) for k in range(0, len(points), COUNTED)])
    assert _counted(texts).equals(_counted_few(texts))


def test_letters_are_told_apart() -> None:
    told = _counted_few(pl.Series(["Python 리스트", "かなと漢字", "Привет", "été 7", ""]))
    assert told.columns == list(SCRIPTS)
    assert told.rows() == [(6, 3, 0, 0, 0), (0, 0, 3, 2, 0), (0, 0, 0, 0, 6), (1, 0, 0, 0, 0), (0, 0, 0, 0, 0)]
