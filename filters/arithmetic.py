"""Drop a row whose response states a computation that is wrong.

"48 × 7 = 326"  is dropped: `48 × 7 = 326, but it is 336`; "22 / 7 = 3.14" is right to the digits it states.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise

import polars as pl

from curate.pool import Pool
from curate.protocol import said_where, unless_found

MAY_COMPUTE = r"[0-9)] ?[-+*/×÷x^] ?[-$(]*[0-9.][^=\n]*= ?[-$(]*[0-9.]|[0-9] ?= ?[-$(]*[0-9][^=\n]*[-+*/×÷x^]"
FENCED = r"(?s)```.*?(?:```|$)"
_RUN = re.compile(r"[$\d(][\d.,+\-*/×÷x^()=$ ]{4,200}")
_TOKEN = re.compile(
    r"\$?((?!0\d)(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)|\.\d+)|(\*\*|[-+*/×÷^()]|x(?= ?[\d($]))|\s+"
)
"""Numbers, but for those such as 0730, which is a time, and operators."""
_ANOTHER_SYSTEM = re.compile(
    r"(?i)\bmod|\bbase\b|binary|hexadecimal|octal|≡|진법|진수|나머지|approx|약 |\bxor\b|clock|시계"
)
_NOT_CLAIMED = re.compile(
    r"(?i)\b(?:wrong|false|incorrect|untrue|mistaken?|not (?:true|correct|equal|right))\b|"
    r"틀[려렸리린립]|거짓|잘못|오답|아니(?!면)"
)
"""A line with one of these may show a computation that it calls wrong."""
_CENTS = re.compile(r"(?i)\s*(?:cent|per ?cent|퍼센트|센트)")
_GOES_ON = re.compile(r"(?:[-–−+*/×÷^%]|\bx|\bof|\d and)\s*$")
"""What a run of numbers continues, as "12 x 1 and 1/4 = 15" or "1 – 3/4 = 1/4"."""
_GOES_BEFORE, _GOES_AFTER = re.compile(r"[A-Za-z0-9\\:.,)\]}_'\"√]"), re.compile(r"[A-Za-z\\%:_^]")
"""What makes a run of numbers a part of something else: of "a + 2 * 3 = 9", of "9 = 3y"."""
_OPERATION = re.compile(r"\d\)? ?[-+*/×÷x^]")
_RANGE, _XOR = re.compile(r"(\d+)[-–](\d+)"), re.compile(r"(\d+) ?\^ ?(\d+)")
"""Pages or years from one to another, as "12-15 = 4 pages"; and what in code is no power, as "5 ^ 3 = 6"."""
_PLAIN, _FIRST = re.compile(r"-?[\d.,]+"), re.compile(r"\$?[\d.,]*\d")
NEARBY = 20
"""Characters around a computation that may change what it says."""
LARGEST_POWER, LONGEST = 64, 40
"""Bounds of an exponent, and of the parts of a computation that is worked out: "9^9^9^9" is left alone."""

Number = int | Fraction
"""Exact; whole numbers as such, which is quicker."""


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """Computations in the response, as "12 * 7 = 84", worked out exactly; a result may be rounded or cut off.

    Code blocks, equations with letters, other bases and remainders are left alone, and so is what the prompt states
    itself.
    """

    version = 3
    per_row = True
    reads = ("prompt", "response")

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        response = pl.col("response")
        equation = pl.when(response.str.contains("=", literal=True)).then(response)
        return said_where(rows, equation.str.contains(MAY_COMPUTE), _said).alias("wrong").to_frame()

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        return unless_found(measures, "wrong")


def _said(rows: pl.DataFrame) -> list[str | None]:
    prose = rows["response"].str.replace_all(FENCED, " ")
    return [_first_wrong(text, prompt) for text, prompt in zip(prose, rows["prompt"], strict=True)]


def _first_wrong(text: str, prompt: str) -> str | None:
    """The first computation of a text that is wrong; None: there is none, or one is wrong in the prompt already."""
    stated = list(islice(_wrong(text), LONGEST))
    if stated and any(True for _ in _wrong(prompt)):  # a riddle, or what the response sets right
        return None
    return next((f"{said}, but it is {_shown(value)}" for said, value in stated), None)


def _wrong(text: str) -> Iterator[tuple[str, Number]]:
    """Each computation of a text that is wrong, and what it comes to."""
    for line in text.splitlines():
        if "=" in line:
            for fault in _faults(line):
                if _ANOTHER_SYSTEM.search(line) or _NOT_CLAIMED.search(line):
                    break
                yield fault


def _faults(line: str) -> Iterator[tuple[str, Number]]:
    for run in _RUN.finditer(line):
        if "=" not in run[0]:
            continue
        before, after = line[max(run.start() - NEARBY, 0) : run.start()], line[run.end() : run.end() + NEARBY]
        if _GOES_ON.search(before) or _GOES_BEFORE.search(before[-1:]):
            continue
        parts = [part.strip(" $,").rstrip(".") for part in run[0].split("=")]
        if (_GOES_AFTER.match(after) and run[0][-1] != " ") or _CENTS.match(after):
            parts.pop()
        values = [_value(part) for part in parts]
        for at, (left, right) in enumerate(pairwise(parts)):
            a, b = values[at : at + 2]
            if a is None or b is None or not (_OPERATION.search(left) or _OPERATION.search(right)):
                continue
            first = _FIRST.match(right)
            if _is_range_or_bits(left, b) or a == 100 * b or b == 100 * a:  # "3/4 = 75 %", "40 + 60 = $1"
                continue
            runs_on = first and at + 2 < len(parts) and _value(first[0]) == a  # as in "2 + 3 = 5 + 1 = 6"
            if not runs_on and not _agree(a, b, left, right):
                yield f"{left} = {right}", b if _PLAIN.fullmatch(left) else a


def _is_range_or_bits(left: str, result: Number) -> bool:
    """Whether the left side is no difference, or no power."""
    if ends := _RANGE.fullmatch(left):
        return int(ends[1]) < int(ends[2]) and result > 0
    bits = _XOR.fullmatch(left)
    return bits is not None and int(bits[1]) ^ int(bits[2]) == result


def _agree(a: Number, b: Number, left: str, right: str) -> bool:
    """Whether two sides are equal, to the digits that the one that is a plain number states."""
    if a == b:
        return True
    for text in (right, left):
        if _PLAIN.fullmatch(text):
            digits = len(text.partition(".")[2])
            floats = abs(Fraction(a)) / 10**15 if digits > 14 else 0  # 0.1 + 0.2 = 0.30000000000000004
            return abs(Fraction(a - b)) < max(Fraction(1, 10**digits), floats)
    return abs(Fraction(a - b)) <= abs(Fraction(a, 100))  # both are worked out of rounded numbers


def _shown(value: Number) -> str:
    return f"{value.numerator:,}" if value.denominator == 1 else f"{float(value):,.6g}"


def _value(text: str) -> Number | None:
    """What an expression of + - * / ^ and brackets comes to; None: it is none, or too large."""
    if text.isdecimal() and text[0] != "0":  # what most results are
        return int(text)
    tokens: list[Number | str] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or len(tokens) > LONGEST:
            return None
        if found[1]:
            number = found[1].replace(",", "")
            tokens.append(int(number) if number.isdecimal() else Fraction(number))
        elif found[2]:
            tokens.append({"**": "^", "×": "*", "x": "*", "÷": "/"}.get(found[2], found[2]))
        at = found.end()
    try:
        value, rest = _sum(tokens)
    except (ZeroDivisionError, ValueError, IndexError):
        return None
    return value if not rest else None


def _sum(tokens: list[Number | str]) -> tuple[Number, list[Number | str]]:
    value, tokens = _product(tokens)
    while tokens and tokens[0] in ("+", "-"):
        more, rest = _product(tokens[1:])
        value, tokens = value + more if tokens[0] == "+" else value - more, rest
    return value, tokens


def _product(tokens: list[Number | str]) -> tuple[Number, list[Number | str]]:
    value, tokens = _power(tokens)
    while tokens and tokens[0] in ("*", "/"):
        more, rest = _power(tokens[1:])
        value, tokens = value * more if tokens[0] == "*" else Fraction(value, more), rest
    return value, tokens


def _power(tokens: list[Number | str]) -> tuple[Number, list[Number | str]]:
    sign, tokens = (-1, tokens[1:]) if tokens[0] == "-" else (1, tokens)
    head, rest = tokens[0], tokens[1:]
    if head == "(":
        value, rest = _sum(rest)
        if rest[0] != ")":
            raise ValueError("a bracket is open")
        rest = rest[1:]
    elif isinstance(head, Number):
        value = head
    else:
        raise ValueError("a number was expected")
    if rest and rest[0] == "^":
        exponent, rest = _power(rest[1:])
        small = -LARGEST_POWER <= exponent <= LARGEST_POWER and value.numerator.bit_length() <= LARGEST_POWER
        if exponent.denominator != 1 or not small:
            raise ValueError("too large")
        value = Fraction(value) ** exponent.numerator
    return sign * value, rest
