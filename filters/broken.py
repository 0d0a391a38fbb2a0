"""Drop a row that was damaged on its way: no answer, cut off, template marks left over, merged or echoed texts.

"N/A"  is dropped: `the response says that there is none: "N/A"`; so is a response that ends in "thank you for the".
"""

from dataclasses import dataclass

import polars as pl

from curate.pool import Pool
from curate.protocol import threshold, unless_found

NO_ANSWER = (
    r"(?i)^\W*(n/?a|nan|undefined|no ?(?:output|response|answer|input)|(?:output|response) ?: ?none|not available|"
    r"해당 ?(?:사항 ?)?없음|(?:출력|응답|답변|입력) ?없음|무응답)\W*$"
)
NO_ANSWER_MEANT = r"(?i)(?-u:\b)(?:n/a|nan)(?-u:\b)|undefined|not available|해당 ?(?:사항 ?)?없음"
"""A prompt with one of these asks about it, or has it as one of the answers to choose from."""
SIGNS_MEANT = (
    r"(?i)(?-u:\b)(?:draw|symbols?|signs?|operators?|punctuation|underscores?|asterisks?|dash(?:es)?|hyphens?|"
    r"dots?|ellips[ie]s|ascii|morse|patterns?|pyramid|markdown)(?-u:\b)|기호|연산자|문자|부호|그려|그리는|밑줄|패턴|별표|모스"
)
"""A prompt with one of these may be answered by signs alone: "*" multiplies in Python."""
MARKS = (
    r"<\|(?:endoftext|im_start|im_end|eot_id|end_of_text|begin_of_text|assistant|user|system|end|start_header_id|pad)"
    r"\|>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|\[(?:PAD|UNK|SEP|CLS|EOS|BOS)\]\s*$|"
    r"<(?:pad|unk|eos|bos)>|(?:^|\n)### ?(?:Instruction|Response|Input|명령어|응답|입력):|"
    r"\{(?:instruction|input|output|response|completion|prompt)\}\s*$"
)
"""What templates and tokenizers put around a text, and slots that nobody filled."""
CLOSED_BLOCK = r"(?s)```.*?```"
INPUT = r"[.?!] ?(?:#+ ?)?(?:Input|입력) ?: ?\S"
"""An input within a line of its instruction. One on a line of its own is how many prompts are laid out."""
SLOTS = r"\{\{ ?\p{L}[\p{L}\d_ ]* ?\}\}|\[(?i:insert) [^\]\n]{2,40}\]"
ANOTHER_ROW = (
    r"(?:^|\n)((?:Instruction|Task|명령어|지시)(?: ?\d{1,3})?: ?\S[^\n]{5,}\n(?:[^\n]*\n){0,5}?"
    r"(?:Output|Response|출력|응답)(?: ?\d{1,3})?:)"
)
STOPS_AT = (
    r"((?:[^\n]{30},| (?:the|and|or|because|its|their|your|my|our|whose|such as|including|"
    r"than|is|are|was|were|an|to|of|from|into|which|e\.g\.|i\.e\.)|"
    r"\p{Hangul}(?:을|를|에서는)| (?:그리고|하지만|그러나|또한|및|또는)))$"
)
"""Ends of texts after which something must follow, in English and Korean."""

ECHO_MEANT = (
    r"(?i)^(?:repeat|say |echo|copy|good (?:morning|afternoon|evening|night)|happy |merry |season|"
    r"새해|메리|생일|안녕|즐거운|좋은|따라|그대로)"
)
"""A prompt that begins so may be answered by itself: greetings, and what is to be repeated."""

LONG, FEW = 60, 12
"""Characters from which a response can be cut off and an input be found again; and a prompt. Shorter may be meant."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """Answers that are none, texts cut off in mid-sentence or mid-code, and what generators leave behind.

    A mark that the prompt speaks of as well, or that a code block shows, is a subject, not damage.
    """

    version = 3
    per_row = True
    reads = ("prompt", "response")
    cut_off: bool = threshold(True)
    """Also drop responses that stop in mid-sentence or within a code block."""

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        rows = rows.select(pl.col(self.reads).fill_null("").str.strip_chars())
        prompt, response = pl.col("prompt"), pl.col("response")
        start, end = response.str.head(200), response.str.tail(200)
        # within a text, as in "was <s>9</s> 8", these strike it through: that is HTML
        opens, closes = response.str.starts_with("<s>"), response.str.ends_with("</s>")
        opened, closed = (response.str.count_matches(mark, literal=True) for mark in ("<s>", "</s>"))
        ends = (
            pl.when(opens & (closed <= closes))
            .then(pl.lit("<s>"))
            .when(closes & (opened <= opens))
            .then(pl.lit("</s>"))
        )
        marks = pl.coalesce(_marks(rows["response"]), ends)
        parts = prompt.str.splitn("\n\n", 2).struct
        instruction, given = parts.field("field_0"), parts.field("field_1").str.strip_chars_start()
        twice = (given.str.len_chars() >= LONG) & _holds(instruction, given)
        merged = (instruction.str.count_matches(INPUT) == 1) & ~prompt.str.contains(
            r"(?i)example|예시|예:|예제|(?-u:\b)output ?:|출력 ?:"
        )
        echo = (prompt.str.len_chars() >= FEW) & (_plain(prompt) == _plain(response)) & ~prompt.str.contains(ECHO_MEANT)
        # shorter may be a name, which stays as it is
        untranslated = (
            (given.str.len_chars() >= FEW)
            & instruction.str.contains("(?i)translat|번역")
            & (_plain(given) == _plain(response))
        )
        slots = _unless_quoted(response, SLOTS)
        meant = prompt.str.contains(
            r"(?i)template|placeholder|fill in|letter|e-?mail|jinja|handlebars|mustache|angular|liquid|django|"
            r"(?-u:\b)vue(?-u:\b)|ansible|helm|workflow|템플릿|양식|빈칸|편지|메일"
        ) | response.str.contains("[<`%]")
        is_long = response.str.len_chars() >= LONG
        fences = response.str.count_matches(r"(?m)^[ \t]*```")
        # one that ends with its fence, or in prose, went on with a block of the prompt
        open_fence = (fences % 2 == 1) & ~end.str.contains(r"```$|(?:^|\n)\p{L}[^\n]*(?: [^\n ]+){3,}[.!?][\"')]?$")
        return rows.select(
            broken=pl.coalesce(
                pl.format(
                    'the response says that there is none: "{}"',
                    pl.when(~prompt.str.contains(NO_ANSWER_MEANT)).then(start.str.extract(NO_ANSWER)),
                ),
                pl.format('"{}" is left of a template', pl.when(~_holds(prompt, marks)).then(marks)),
                pl.when(start.str.contains(r"^[\s.…·_*#-]+$") & ~prompt.str.contains(SIGNS_MEANT)).then(
                    pl.lit("the response has no word in it")
                ),
                pl.when(response.str.contains(ANOTHER_ROW)).then(pl.lit("another row stands within the response")),
                pl.when(twice).then(pl.lit("the input stands in the instruction already")),
                pl.when(merged).then(pl.lit("the input is merged into the instruction")),
                pl.when(echo).then(pl.lit("the response is the prompt again")),
                pl.when(untranslated).then(pl.lit("the response is the input again, not translated")),
                pl.format('"{}" was never filled in', pl.when(~meant).then(slots)),
            ),
            cut_off=pl.coalesce(
                pl.when(open_fence).then(pl.lit("the response is cut off: a code block is left open")),
                pl.format(
                    'the response is cut off: it ends in "{}"',
                    pl.when(is_long).then(end.str.extract(STOPS_AT)).str.strip_chars(),
                ),
            ),
        )

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        names = ["broken", "cut_off"] if self.cut_off else ["broken"]
        return unless_found(measures, pl.coalesce(names))


def _marks(responses: pl.Series) -> pl.Series:
    """The first mark of each response outside its code blocks."""
    found = responses.to_frame("text").select(_unless_quoted(pl.col("text"), MARKS).str.strip_chars()).to_series()
    shown = (found.is_not_null() & responses.str.contains("```", literal=True)).arg_true()
    prose = responses.gather(shown).str.replace_all(CLOSED_BLOCK, " ").to_frame("text")
    return found.scatter(shown, prose.select(_unless_quoted(pl.col("text"), MARKS).str.strip_chars()).to_series())


def _unless_quoted(text: pl.Expr, form: str) -> pl.Expr:
    """The first mark of a form; null where that stands in quotation marks, as what a text, or code, speaks of."""
    return text.str.extract(f"[\"'`](?:{form})[\"'`]|({form})")


def _holds(text: pl.Expr, part: pl.Expr) -> pl.Expr:
    """Whether each text holds the other; Polars would make a regular expression of each, up to a limit of size."""

    def find(pairs: pl.Series) -> pl.Series:
        texts, parts = pairs.struct.unnest()
        may = (parts.str.len_bytes() <= texts.str.len_bytes()).arg_true()
        held = [part in text for text, part in zip(texts.gather(may), parts.gather(may), strict=True)]
        return pl.repeat(False, len(pairs), eager=True).scatter(may, pl.Series(held, dtype=pl.Boolean))

    return pl.struct(text.alias("text"), part.alias("part")).map_batches(find, return_dtype=pl.Boolean)


def _plain(text: pl.Expr) -> pl.Expr:
    return text.str.strip_chars(" \t\r\n.?!\"'").str.to_lowercase()
