"""Say which of several answers is worth most: free of adverts, accepted, voted for, long; drop plain adverts.

"카톡 상담 주세요 010-2345-6781"  is dropped: `advert: "카톡 상담"`. Then `conflict: {by: answer-worth.worth}` keeps
the best answer to each question of a forum such as Naver 지식iN.
"""

from dataclasses import dataclass

import polars as pl

from curate.pool import Pool
from curate.protocol import keep_if, threshold
from curate.texts.personal import MAY_HOLD, personal

SIGNS = (
    r"(카(?:카오)?톡 ?(?:아이디|ID|id|친구|플러스|채널|상담|문의)|오픈 ?(?:카톡|채팅)|텔레그램|라인 ?(?:아이디|ID))",
    r"((?:상담|견적|예약|구매|분양|대출|가입) ?(?:문의|전화|신청|가능|받아 ?보)|"
    r"문의 ?(?:주세요|바랍니다|주시면|환영)|무료 ?(?:상담|견적|체험))",
    r"((?:블로그|카페|홈페이지|사이트|프로필|쇼핑몰|네임카드)(?:에|로|를|을)? ?"
    r"(?:방문|오시|오셔|클릭|놀러|들러|들어)|쪽지 ?(?:주|보내))",
    r"(최저가|할인 ?(?:이벤트|쿠폰|코드)|추천인 ?(?:코드|아이디)|파트너스 ?활동|수수료를 ?(?:제공|지급)|"
    r"구매 ?링크|당일 ?(?:대출|승인))",
    r"(?i)\b(call (?:us|now|today)\b|contact (?:us|me) (?:at|on|today|now|via)|(?:dm|whatsapp|text) (?:me|us)\b)",
    r"(?i)\b((?:visit|check out|see|use) (?:my|our) (?:\w+ )?"
    r"(?:site|website|blog|shop|store|page|channel|link|code))\b",
    r"(?i)\b((?:promo|discount|coupon|referral) codes?|affiliate links?|free (?:quote|trial|consultation)|"
    r"(?:buy|order) now)\b",
)
"""Each is one sign of an advert, whatever else of its kind stands there."""
BUSINESS = r"(?:^|[^\d-])((?:1[568]\d\d-|070-\d{3,4}-|1-8\d\d-\d{3}-)\d{4})(?:[^\d-]|$)"
"""Numbers that only firms have: 15xx-xxxx, 070-, 1-800-."""
ASKED_FOR = (
    r"(?i)advert|\bads?\b|slogan|promot|market|campaign|sales|e-?mail|letter|script|flyer|\bcopy\b|phone|number|"
    r"광고|홍보|문구|이메일|전화|번호"
)
"""A prompt that asks for such a text, or for a number."""


@dataclass(frozen=True, kw_only=True)
class AnswerWorth:
    """The measure `worth` orders answers: without signs of an advert before with, accepted before not, then votes, then
    characters. A phone number counts as two signs. Where the prompt asks for an advert or a number nothing is a sign.
    """

    per_row = True
    reads = ("prompt", "response", "meta")
    accepted: tuple[str, ...] = ("accepted", "is_accepted", "selected", "adopted", "채택")
    """Fields of meta that say whether the asker took the answer."""
    votes: tuple[str, ...] = ("answer_score", "votes", "upvotes", "likes", "score", "추천")
    """Fields of meta that hold an answer's votes; the first that is a number."""
    signs: int | None = threshold(2)
    """Signs from which an answer is an advert and goes; None: such answers only rank last."""

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        response, meta = pl.col("response"), pl.col("meta")
        phone = pl.lit(_phones(rows["response"].fill_null("")))
        asked_for = pl.col("prompt").str.contains(ASKED_FOR)
        found = [response.str.extract(sign) for sign in SIGNS]
        counted = [one.is_not_null().cast(pl.Int64) for one in (*found, phone, phone)]
        took = [meta.str.json_path_match(f"$.{name}").str.to_lowercase() for name in self.accepted]
        voted = [meta.str.json_path_match(f"$.{name}").cast(pl.Float64, strict=False) for name in self.votes]
        told = rows.select(
            signs=pl.when(asked_for).then(0).otherwise(pl.sum_horizontal(counted)),
            advert=pl.when(~asked_for).then(pl.coalesce(*found, phone)),
            accepted=pl.coalesce(took).is_in(["true", "1", "yes", "y"]).fill_null(False),
            votes=pl.coalesce(voted),
            chars=response.str.len_chars().fill_null(0),
        )
        votes = pl.col("votes").fill_nan(None).fill_null(0).clip(-9999, 9999)
        order = [
            (pl.col("signs") == 0, 1e10),
            (pl.col("accepted"), 1e9),
            (votes, 1e4),
            (pl.col("chars").clip(0, 9999), 1),
        ]
        worth = pl.sum_horizontal([value.cast(pl.Float64) * weight for value, weight in order])
        return told.with_columns(worth=worth).drop("chars")

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        limit = float("inf") if self.signs is None else float(self.signs)
        stays = pl.col("signs") < limit
        return measures.select(
            verdict=keep_if(stays),
            reason=pl.when(~stays).then(pl.format('advert: "{}"', "advert")),
            value=pl.col("signs").cast(pl.Float64),
            threshold=pl.lit(self.signs, dtype=pl.Float64),
        )


def _phones(texts: pl.Series) -> pl.Series:
    """The first phone number of each text, its middle hidden; null: none."""
    firms = texts.str.extract(BUSINESS)
    may = texts.str.contains(MAY_HOLD).arg_true()
    spans = [(text, next(personal(text, ("phone",)), None)) for text in texts.gather(may)]
    said = [span and f"{text[span.start : span.start + 3]}…{text[span.end - 2 : span.end]}" for text, span in spans]
    people = (
        pl.Series([None], dtype=pl.String).new_from_index(0, len(texts)).scatter(may, pl.Series(said, dtype=pl.String))
    )
    return people.zip_with(people.is_not_null(), firms).alias("phone")
