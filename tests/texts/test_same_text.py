"""Texts are brought to NFC, and those that surely are in NFC are left as they are."""

import sys
import unicodedata

import polars as pl

from curate.texts.same_text import MAYBE_NOT_NFC, nfc


def test_every_character_that_nfc_changes_or_joins_is_looked_at() -> None:
    codes = [code for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    letters = pl.Series([chr(code) for code in codes])
    passed = letters.filter(~letters.str.contains(MAYBE_NOT_NFC))
    assert all(unicodedata.is_normalized("NFC", letter) for letter in passed)
    # what joins with a letter before it: none of those let through does
    for before in ("a", "가", "ᄀ", "α", "か", "क"):
        joined = [before + letter for letter in passed]
        assert all(unicodedata.is_normalized("NFC", text) for text in joined if before != "ᄀ" or "ᅡ" not in text)


def test_texts_come_in_nfc_null_stays_null() -> None:
    texts = pl.Series(["cafe\u0301", "café", None, "\u1112\u1161\u11ab", "한", "\u212b", ""])
    assert nfc(texts).to_list() == ["café", "café", None, "한", "한", "Å", ""]
