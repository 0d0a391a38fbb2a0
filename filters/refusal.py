"""Drop a row whose response refuses or says that a model can't do it, instead of answering.

"I'm sorry, but I can't help with that."  is dropped; "Dear Ann, I'm sorry, but I can't come on Friday."  stays.
"""

from dataclasses import dataclass

import polars as pl

from curate.pool import Pool
from curate.protocol import unless_found

_CAN_NOT = r"(?:can(?:no|['’])?t|can not|am (?:not able|unable) to|won['’]?t be able to|['’]m (?:not able|unable) to)"
_DO = (
    r"(?:help|assist|fulfil+|comply|provide|answer|generate|create|complete|support|engage|participate|offer|give you|"
    r"do that|discuss|access|browse|open|view|see images|process|perform|respond|continue with)"
)
_AS_A_MODEL = r"as an? [\w ]{0,20}(?:ai|language model|assistant|chatbot)[^.!?\n]{0,14}"
_SORRY = r"(?:i['’]?m|i am) (?:so |very |really |truly )?sorry|sorry|i apologi[sz]e|apologies|unfortunately|no"
ENGLISH = (
    rf"(?i)^\W{{0,10}}(?:(?:hi|hello|oh|well|hmm)\W+)?(?:{_SORRY}|{_AS_A_MODEL})?[,.;!]*\s*(?:but |however,? )?"
    rf"(?:{_AS_A_MODEL},? ?)?i ?(?:just |really |simply )?{_CAN_NOT} {_DO}(?-u:\b)|"
    rf"^\W{{0,10}}(?:{_SORRY}[,.;!]*\s*(?:but )?)?(?:i (?:must|have to|will have to) (?:respectfully |politely )?"
    rf"(?:decline|refuse)(?-u:\b)|i (?:won['’]?t|will not|refuse to) (?:help|assist|do that|provide|answer)(?-u:\b)|"
    rf"it is(?: not|n['’]t) possible for me to(?-u:\b))"
)
MODEL = (
    r"(?i)(?-u:\b)as an? (?:ai|artificial intelligence|language model|ai language model|large language model)"
    r"(?-u:\b)[^.!?\n]{0,14}"
    r"(?-u:\b)i ?(?:do not|don['’]?t|can ?not|can['’]?t|am not|am unable|['’]m not|['’]m unable|lack|have no)(?-u:\b)"
)
KOREAN = (
    r"^\W*(?:죄송(?:하지만|합니다만?|해요)|미안(?:하지만|합니다)|유감(?:스럽게도|이지만)|"
    r"저는 (?:AI|인공지능|언어 ?모델))[^\n]{0,80}?"
    r"(?:도와|도움을? |제공|답변|대답|생성|작성|수행|처리|응답|말씀)[^\n.]{0,12}"
    r"(?:수 ?(?:가 |는 )?없|드리기 어렵|못 ?합니다|않습니다)|"
    r"^\W*(?:해당|그|이|이런|그런|요청하신) ?(?:요청|질문|내용|작업)[^\n.]{0,20}"
    r"(?:도와|응답|답변|대답)[^\n.]{0,8}(?:수 ?없|드리기 어렵|못 ?합니다|않습니다|않겠습니다)"
)
KOREAN_MODEL = (
    r"(?:저는 )?(?:AI|인공지능)(?: ?언어)? ?(?:모델|챗봇|어시스턴트)?(?:로서|로써|이기 때문에|이므로|"
    r"이라서?|라서)[^\n.]{0,60}(?:수 ?없|않습니다|없습니다|못 ?합니다)"
)
ASKED_FOR = (
    r"(?i)declin|refus|reject|turn(?:ing)? down|apolog|say(?:ing)? no|letter|e-?mail|message|"
    r"translat|re-?write|paraphras|rephras|(?-u:\b)act as(?-u:\b)|role-?play|pretend|"
    r"거절|사과|편지|이메일|메일|번역|바꿔 ?(?:써|쓰|말)|대사|역할"
)
"""A prompt in which one of these stands may well ask for a text that says no."""

START = 300
"""Characters of the response that are looked at: a refusal comes first, a text about refusing later."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Answers that begin by saying no, or with what "an AI language model" can't do, in English and Korean.

    What the cleaners of Alpaca looked for, by its meaning instead of a list of phrases: the response itself must begin
    with it, and the prompt must not ask for a text that declines something.
    """

    version = 2
    per_row = True
    reads = ("prompt", "response")

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        start = pl.col("response").str.head(START)
        says_no = [start.str.extract(f"({pattern})", 1) for pattern in (ENGLISH, MODEL, KOREAN, KOREAN_MODEL)]
        found = pl.coalesce(says_no).str.strip_chars()
        asked = pl.col("prompt").str.contains(ASKED_FOR)
        return rows.select(refusal=pl.when(~asked).then(found))

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        return unless_found(measures, pl.format('response refuses: "{}"', pl.col("refusal").str.head(80)))
