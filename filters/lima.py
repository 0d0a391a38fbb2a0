"""Drop an answer of a forum that LIMA would not have taken: of low score, too short or long, in the first person.

Score 4, "I think you should ..."  is dropped: `answer score is 4.0, less than 10`. Zhou et al. 2023 (arXiv 2305.11206),
section 2.1.
"""

import re
from dataclasses import dataclass
from typing import Literal

import polars as pl

from curate.pool import Pool
from curate.protocol import all_of, keep_if, threshold, unless_found, within

CODE = r"(?s)```.*?(?:```|$)|`[^`\n]*`|(?m:^> .*$)"
"""Code and quotations: what stands there, the answer does not say."""
NUMERAL = r"(?i)\b(?:type|part|war|phase|class|chapter|section|level|stage|article|grade|world war) I\b"
FIRST_PERSON = (
    r"(?-u:\b)(I(?:['’](?:m|ve|d|ll)|,? [a-z]+)|[Mm](?:y|ine|yself)|(?:let|for|to|gave|told|tell|give|show) me)(?-u:\b)"
)
FIRST_PERSON_KOREAN = (
    r"(?:^|\P{Hangul})(저는|제가|저도|저의|저한테|저희(?:는|가|도)?|[제내] (?:생각|경험|의견)\p{Hangul}*)|"
    r"(?:^|[.!?…\n]\s*)(나는|내가|나도)(?:\P{Hangul}|$)"
)
"""`나는` only where a sentence begins: elsewhere it is also "that flies" or "that smells"."""
REFERENCE = (
    r"(?i)(?-u:\b)(as (?:already |was )?(?:mentioned|noted|stated|pointed out|said|explained|suggested)|"
    r"as \w+ (?:has |have )?(?:already )?(?:mentioned|noted|pointed out|said|suggested)|"
    r"(?:other|others|previous|accepted|top|another|above|earlier)(?:['’]s?)? answers?|\w+['’]s? answer|"
    r"stack ?(?:exchange|overflow)|mathoverflow|super ?user|server ?fault|ask ?ubuntu|(?:up|down)-?vot\w+|"
    r"(?:your|the|this) (?:comments?|post) (?:above|below)|the original poster|(?:edit|update) ?\d*:)|"
    r"(?-u:\b)((?:the )?OP(?:['’]s)?)(?-u:\b)|(?:^|\s)(@[A-Z][A-Za-z]{2,}\w*)"
)
REFERENCE_KOREAN = (
    r"(?:^|\P{Hangul})((?:위|윗|아래|다른|앞선|이전)의? ?(?:답변|답글|댓글|분)\p{Hangul}*|"
    r"질문자 ?님?\p{Hangul}*|(?:답변 ?)?채택 ?(?:부탁|해 ?주|하)\p{Hangul}*|지식 ?(?:인|iN|in)|"
    r"앞서 (?:말씀|언급|답변)\p{Hangul}*)"
)
NOT_BY_ITSELF = (
    r"(?i)(?-u:\b)(th(?:is|ese|ose) \w+|the (?:following|above|below) \w+|as (?:above|below)|attached|"
    r"\(?(?:continued|cont'd|part \d+)\)?|\[(?:closed|duplicate|solved|on hold)\])|^(re:|and |but |so |also )"
)
NOT_BY_ITSELF_KOREAN = (
    r"(?:^|\P{Hangul})(이거|이것|이건|이런 ?거|저거|그거|위의|아래의|다음의?|첨부)\p{Hangul}{0,2}(?:\P{Hangul}|$)"
)


@dataclass(frozen=True, kw_only=True)
class Lima:
    """LIMA's rules for StackExchange, for each row that a forum scored; other rows (`of: scored`) are left alone.

    A character of three bytes (Hangul, kana, CJK) counts twice, as it says about twice as much: 1,200 to 4,096 are 600
    to 2,048 Hangul syllables. First person, references and titles are known in English and Korean. Code and quotations
    are not looked into.
    """

    per_row = True
    reads = ("prompt", "response", "meta")
    score: tuple[str, ...] = ("answer_score", "votes", "upvotes")
    """Fields of meta that hold the answer's score; the first that is there."""
    title: str = "title"
    """The field of meta that holds the question's title."""
    of: Literal["scored", "all"] = threshold("scored")
    """Whether rows without a score are held to the other rules too."""
    min_score: float | None = threshold(10.0)
    """Lowest score of an answer to keep."""
    min_chars: int | None = threshold(1200)
    """Shortest response to keep."""
    max_chars: int | None = threshold(4096)
    """Longest response to keep."""
    first_person: Literal["drop", "keep"] = threshold("drop")
    """What becomes of "I think" and "my": a model has no such experience."""
    references: Literal["drop", "keep"] = threshold("drop")
    """What becomes of "as mentioned above", "the accepted answer", "stack exchange"."""
    min_title_chars: int | None = threshold(15)
    """Shortest title that can say by itself what is asked."""
    titles: Literal["drop", "keep"] = threshold("drop")
    """What becomes of a title that points elsewhere: "What is this error?"."""

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        response, meta = pl.col("response"), pl.col("meta")
        prose = response.str.replace_all(CODE, " ").str.replace_all(NUMERAL, " ")
        scores = [meta.str.json_path_match(f"$.{name}").cast(pl.Float64, strict=False) for name in self.score]
        title = meta.str.json_path_match(f"$.{self.title}")
        return rows.select(
            score=pl.coalesce(scores),
            chars=_wide(response.str.strip_chars()),
            first_person=_found(prose, FIRST_PERSON, FIRST_PERSON_KOREAN),
            reference=_found(prose, REFERENCE, REFERENCE_KOREAN),
            title_chars=_wide(title),
            elsewhere=_found(title, NOT_BY_ITSELF, NOT_BY_ITSELF_KOREAN),
        )

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        rules = [
            within(measures, "score", self.min_score, what="answer score"),
            within(measures, "chars", self.min_chars, self.max_chars, "response", "characters"),
            within(measures, "title_chars", self.min_title_chars, None, "title", "characters"),
        ]
        for field, says, what in (
            ("first_person", "speaks in the first person", self.first_person),
            ("reference", "refers to another text", self.references),
            ("elsewhere", "has a title that points elsewhere", self.titles),
        ):
            if what == "drop":
                who = "question" if field == "elsewhere" else "response"
                rules.append(unless_found(measures, pl.format(f'{who} {says}: "{{}}"', field)))
        decided = all_of(rules)
        if self.of == "all":
            return decided
        asked, keep = measures["score"].is_not_null(), keep_if(pl.lit(True))
        return decided.select(
            pl.when(asked).then(pl.col(name)).otherwise(keep if name == "verdict" else None).alias(name)
            for name in decided.columns
        )


def _wide(text: pl.Expr) -> pl.Expr:
    """Characters, those of three bytes counted twice."""
    chars, size = text.str.len_chars().cast(pl.Int64), text.str.len_bytes().cast(pl.Int64)
    return chars + (size - chars) // 2


def _found(text: pl.Expr, *patterns: str) -> pl.Expr:
    """What the first pattern that matches found, in any of its groups."""
    groups = [text.str.extract(pattern, group) for pattern in patterns for group in range(1, _groups(pattern) + 1)]
    return pl.coalesce(groups)


def _groups(pattern: str) -> int:
    return len(re.findall(r"(?<!\\)\((?!\?)", pattern))
