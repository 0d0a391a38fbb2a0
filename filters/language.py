"""Drop a row that is answered in another language than it was asked in, or whose language is not wanted.

"하늘은 왜 파래?" -> "Because air scatters blue light more than red."  is dropped: `asked in ko, answered in en`.
"""

from dataclasses import dataclass

import polars as pl

from curate.pool import Pool
from curate.protocol import threshold, unless_found
from curate.texts.languages import languages

ANOTHER_ASKED_FOR = (
    *("translat", "language", "lyrics", "english", "korean", "spanish", "french", "german", "italian", "chinese"),
    *("mandarin", "japanese", "russian", "portuguese", "latin", "arabic", "hindi", "dutch", "turkish", "greek"),
    *("swedish", "polish", "vietnamese", "thai", "hebrew", "anglais", "inglés", "englisch", "commit"),
    *("번역", "통역", "언어", "외국어", "가사", "영어", "영문", "영작", "한국어", "한글", "국문", "일본어", "일어"),
    *("중국어", "한문", "불어", "프랑스어", "독일어", "독어", "스페인어", "러시아어"),
    *("커밋", "노래", "대표곡", "원제"),
)
"""A prompt with one of these may want another language: songs and commits are named in theirs."""

FEW = 12
"""Letters of the answer's script in the prompt from which the prompt is in two languages, and says nothing."""


SYLLABIC = ["ko", "ja", "zh"]

SENTENCE = 60
"""Characters of a response, which ends as a sentence does, from which two languages of one script are told apart."""


@dataclass(frozen=True, kw_only=True)
class Language:
    """Language of the prompt and of the response: ISO 639-1 codes; `code` for code, which has none.

    Rows whose language nobody can tell ("Paris.") are kept, and so is code, whatever is wanted. Hangul, kana and Han
    tell by themselves, English by its small words, all else by fastText's lid.176.
    """

    version = 2
    per_row = True
    reads = ("prompt", "response")
    only: tuple[str, ...] = threshold(())
    """Languages to keep, as in `[en, ko]`; empty: all."""
    same: bool = threshold(True)
    """Drop responses in another language than the prompt, unless the prompt speaks of a language or of translating."""

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        prompt, response = rows["prompt"], rows["response"].fill_null("")
        answered = languages(response)
        asked = languages(prompt, ask=answered["language"].is_not_null() & (answered["language"] != "code"))
        wanted_elsewhere = prompt.str.contains_any(list(ANOTHER_ASKED_FOR), ascii_case_insensitive=True)
        asked_so, answered_so = (told["language"].is_in(SYLLABIC).fill_null(False) for told in (asked, answered))
        of_that_script = asked["latin"].zip_with(~answered_so, asked["syllables"])
        sentence = (response.str.len_chars() >= SENTENCE) & response.str.tail(3).str.contains("[.!?…]")
        both_alphabets = ~asked_so & ~answered_so
        guess = (both_alphabets & ~sentence) | (~both_alphabets & (of_that_script >= FEW))
        return pl.DataFrame(
            {
                "asked": asked["language"],
                "answered": answered["language"],
                "may_differ": wanted_elsewhere | guess,
            }
        )

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        asked, answered = pl.col("asked"), pl.col("answered")
        known = answered.is_not_null() & (answered != "code")
        differs = known & asked.is_not_null() & (asked != "code") & (asked != answered) & ~pl.col("may_differ")
        unwanted = known & ~answered.is_in(list(self.only)) if self.only else pl.lit(False)
        found = pl.coalesce(
            pl.when(unwanted).then(pl.format("response is in {}, not in {}", answered, pl.lit(", ".join(self.only)))),
            pl.when(differs & pl.lit(self.same)).then(pl.format("asked in {}, answered in {}", asked, answered)),
        )
        return unless_found(measures, found)
