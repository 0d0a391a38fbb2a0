"""Drop a row that speaks of something it doesn't hold: an image, a file, a text that should follow, an earlier talk.

"Summarize the following article."  is dropped: `the prompt announces "the following article" and ends`.
"""

from dataclasses import dataclass

import polars as pl

from curate.pool import Pool
from curate.protocol import unless_found

_PICTURE = r"(?:image|picture|photo|photograph|figure|screenshot|diagram|video|audio|recording)"
_FILE = rf"(?:{_PICTURE}|file|document|spreadsheet|pdf|attachment|script|map|chart|graph|table|report|log|data|code)"
_TEXT = (
    r"(?:article|passage|paragraph|text|sentence|sentences|story|poem|e-?mail|review|tweet|table|data ?set|data|list|"
    r"words|numbers|code|snippet|function|program|document|excerpt|essay|quote|conversation|dialogue|document)"
)
SHOWN = (
    rf"(?i)(?-u:\b)((?:in|from|of|at|with|on|to|describe|see|use|using|view) (?:the|this|that) (?:attached|enclosed|"
    rf"uploaded|following|given|provided|above|below) {_PICTURE}|(?:the|this) {_PICTURE} (?:above|below|attached|"
    rf"shown here|provided)|(?:the|this|an?) (?:attached|enclosed|uploaded) {_FILE}|"
    rf"what (?:is|do you see) (?:shown |visible )?in (?:the|this) {_PICTURE}\?|"
    rf"(?:describe|caption) (?:the|this) {_PICTURE}(?-u:\b)|"
    rf"(?:is|in|of) this (?:painting|photo|photograph|image|screenshot)(?-u:\b)|"
    rf"(?:at|from|in|open|visit) (?:the|this) (?:link|url)(?-u:\b)|"
    rf"(?:the|this) (?:table|chart|graph|map|figure) (?:below|above)|the (?:following|below) (?:table|chart|graph|map))"
)
SHOWN_KOREAN = (
    r"(?:^|\P{Hangul})(첨부(?:된|한|하신) ?\p{Hangul}{1,6}(?: 파일)?|"
    r"(?:첨부|다음|아래|위)의? ?(?:이미지|사진|그림|동영상|영상|"
    r"음성|파일|스크린샷)(?:에서|을|를|에|은|는|이|가|의)?|"
    r"이 (?:이미지|사진|그림)(?:을|를|에서|은|는|에))"
)
ANNOUNCED = (
    rf"(?i)(?-u:\b)((?:the )?(?:following|below) {_TEXT}|(?:this|the) {_TEXT} below)"
    r"(?: [^\n:\"“”'‘’`<>\[\]()?]{0,80})?[.:]?\s*$"
)
ANNOUNCED_KOREAN = (
    r"((?:다음|아래)의? ?(?:글|기사|문장|문단|지문|텍스트|문서|이야기|표|목록|코드|대화|단락)(?:을|를|에서|의|에)?)"
    r"[^\n:\"“”'‘’`<>\[\]()]{0,60}[.:]?\s*$"
)
EARLIER = (
    r"(?i)(?-u:\b)((?:as|like) (?:we|you|i) (?:discussed|mentioned|said|talked about) "
    r"(?:earlier|before|previously|last time)|(?:in|from) (?:our|your|my) (?:previous|last|earlier) "
    r"(?:conversation|chat|message|answer|response|reply|discussion)|"
    r"your (?:previous|last|earlier) (?:answer|response|reply|message))(?-u:\b)"
)
EARLIER_KOREAN = (
    r"((?:아까|방금|이전에|앞서|지난번에) ?(?:말씀하신|말한|말했던|대답한|답변한|보내 ?주신|얘기한|이야기한)|"
    r"(?:이전|지난|앞선) (?:대화|답변|메시지)(?:에서|를|을|의))"
)
ANSWER_SEES = (
    rf"(?i)(?-u:\b)(as (?:you can see|can be seen|shown|seen|depicted|illustrated) in the (?:attached |above )?"
    rf"(?:{_PICTURE}|table|chart|graph)(?: (?:above|below))?|"
    rf"(?:see|refer to) the (?:attached|above|below) {_PICTURE}|"
    rf"(?:article|page|{_FILE}) (?:that )?you (?:have )?(?:linked(?: to)?|attached|uploaded))(?-u:\b)"
)
ANSWER_SEES_KOREAN = r"(첨부(?:하신|해 ?주신|된) ?\p{Hangul}{1,6})"

HELD = r"(?i)https?://|www\.|!\[|<img|```|data:image"
"""Where one of these stands, what is spoken of may be there."""
TO_WRITE = (
    rf"(?i)(?-u:\b)(?:write|draft|compose|say|phrase)(?-u:\b).{{0,60}}(?-u:\b)(?:e-?mail|letter|message|note|reply)(?-u:\b)|"
    rf"(?-u:\b)(?:following|below) {_TEXT} (?:should|must|shall|will|is|are|was|were|has|have)(?-u:\b)|"
    r"(?:메일|편지|메시지|문자|공지)(?:을|를)? ?\p{Hangul}{0,4} ?(?:써|쓰|작성|적어)"
)
"""A prompt that asks for a letter, or that sets out a text to be written, speaks of what the answer holds."""


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """References to what is not in the row, which teach a model to make it up; English and Korean.

    In a conversation only the first prompt is looked at; one that carries parts other than text (images) is left alone.
    """

    version = 2
    per_row = True
    reads = ("prompt", "response", "messages")

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        prompt, response = pl.col("prompt"), pl.col("response")
        turns = pl.col("messages").list.len()
        asked_again = pl.col("messages").list.get(1, null_on_oob=True).struct.field("role") == "user"
        alone = (
            (turns <= 2)
            & ~asked_again.fill_null(False)
            & ~pl.col("messages").list.first().struct.field("extra").is_not_null().fill_null(False)
        )
        shown = pl.coalesce(prompt.str.extract(SHOWN), prompt.str.extract(SHOWN_KOREAN))
        in_lines = prompt.str.contains("[\n|]")  # a table or a text may be there
        announced = pl.coalesce(prompt.str.extract(ANNOUNCED), prompt.str.extract(ANNOUNCED_KOREAN))
        earlier = pl.coalesce(prompt.str.extract(EARLIER), prompt.str.extract(EARLIER_KOREAN))
        sees = pl.coalesce(response.str.extract(ANSWER_SEES), response.str.extract(ANSWER_SEES_KOREAN))
        said = (
            pl.when(
                shown.is_not_null() & ~(in_lines & shown.str.contains("(?i)table|chart|graph|map|figure|code|data|표"))
            )
            .then(pl.format('the prompt speaks of "{}", which is not there', shown))
            .when(announced.is_not_null() & ~in_lines)
            .then(pl.format('the prompt announces "{}" and ends', announced))
            .when(earlier.is_not_null())
            .then(pl.format('the prompt recalls "{}", of which there is nothing', earlier))
            .when(sees.is_not_null() & (prompt != ""))
            .then(pl.format('the response says "{}", where there is none', sees))
        )
        elsewhere = prompt.str.contains(HELD) | prompt.str.contains(TO_WRITE)
        return rows.select(unseen=pl.when(alone & ~elsewhere).then(said))

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        return unless_found(measures, "unseen")
