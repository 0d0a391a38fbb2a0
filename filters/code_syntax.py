"""Drop a row whose response shows Python or JSON, in a block marked as such, that does not parse.

A block of ```python with "def f(:" in it is dropped: `the python block does not parse: line 1: invalid syntax`.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import orjson
import polars as pl

from curate.code.parsing import parse
from curate.pool import Pool
from curate.protocol import unless_found

BLOCK = re.compile(r"(?m)^([ \t]*)```[ \t]*(python3?|py|json)[ \t]*\n(.*?)^[ \t]*```", re.DOTALL)
_OTHER_PYTHON = re.compile(
    r"(?m)^[ \t]*(?:>>>|\.\.\. |In \[\d|[!%]\w|print [\"'\w]|exec [\"'\w]|\$ |[\w.-]+@[\w.-]+:)|"
    r"^[ \t]*(?:pip|python|conda) |except [\w., ()]+, \w+:|raise \w+, |<[\w ]+>|\?\?\?|"
    r"Traceback \(most|(?m:^\s*\.\.\.\s*$)|(?m:^(?:@@|\+\+\+|---|[-+])[ \t])|"
    r"(?m:^[ \t]*(?:type \w+ ?[=\[]|(?:async )?def \w+\[|class \w+\[))|(?<![\"'\w])t[\"']"
)
"""Sessions, shell commands, Python 2, diffs, slots to be filled in, and what Python came to know after 3.11, are
something else, and may be right.
"""
_OTHER_JSON = re.compile(r"//|/\*|\.\.\.|…|<[\w ]+>|^\s*$|\}\s*\{")
FAULT_MEANT = (
    r"(?i)syntax ?error|syntax mistake|invalid (?:syntax|json|python|code)|pseudo-?code|"
    r"구문 ?오류|문법 ?오류|의사 ?코드"
)
"""A prompt with one of these may want, or show, code that does not parse."""
LARGEST = 100_000
"""Characters of a block that are parsed; a larger one is left alone."""


@dataclass(frozen=True, kw_only=True)
class CodeSyntax:
    """Code blocks of the response that say they are Python or JSON and can't be parsed as that.

    Other languages have no light parser that is right about snippets, and blocks without a language may be anything.
    """

    version = 3
    per_row = True
    reads = ("prompt", "response")

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        response = rows["response"].fill_null("")
        shown = response.str.contains(r"(?m)^[ \t]*```[ \t]*(?:python3?|py|json)[ \t]*$")
        may = (shown & ~rows["prompt"].fill_null("").str.contains(FAULT_MEANT)).arg_true()
        said = pl.Series([next(_faults(text), None) for text in response.gather(may)], dtype=pl.String)
        nothing = pl.Series("fault", [None], dtype=pl.String).new_from_index(0, len(rows))
        return nothing.scatter(may, said).to_frame()

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        return unless_found(measures, "fault")


def _faults(text: str) -> Iterator[str]:
    for _, language, code in BLOCK.findall(text):
        fault = None
        if len(code) <= LARGEST:
            fault = _of_json(code) if language == "json" else _of_python(code)
        if fault:
            yield f"the {language} block does not parse: {fault}"


def _of_python(code: str) -> str | None:
    if _OTHER_PYTHON.search(code):
        return None
    first = _parsed(textwrap.dedent(code))
    inside = f"async def _():\n for _ in ():\n{textwrap.indent(textwrap.dedent(code), '  ')}"
    return first if first and _parsed(inside) else None  # a snippet may stand within a function or a loop


def _parsed(code: str) -> str | None:
    try:
        parse(code)
    except SyntaxError as error:
        if error.msg.startswith("f-string"):  # up to Python 3.11 quotes within one could not be its own
            return None
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError):
        return None
    return None


def _of_json(code: str) -> str | None:
    if _OTHER_JSON.search(code):
        return None
    try:
        orjson.loads(code)
    except orjson.JSONDecodeError as error:
        return f"line {error.lineno}: {error.msg.split(':')[0]}"
    return None
