"""Personal data in a text: e-mail addresses, phone numbers, payment cards, Korean resident numbers.

"Write to kim@shop.co.kr or call 010-2345-6781." is redacted to "Write to [EMAIL] or call [PHONE].". What documentation
writes (user@example.com, 010-1234-5678, 555-0123, 4242 4242 4242 4242) is nobody's.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, NamedTuple

KINDS = ("rrn", "card", "phone", "email")

_FORMS = {
    "rrn": r"(?<![\d-])\d{6} ?- ?[1-8]\d{6}(?![\d-])",
    "card": (
        r"(?<![\d.,-])(?<![+*/^×] )(?:(?:\d{4}[ -]){3}\d{1,7}|\d{13,19}|3\d{3}[ -]\d{6}[ -]\d{5})"
        r"(?![\d-]| ?[+*/^×])"
    ),
    "phone": (
        r"(?<![\d-])(?<!\d\.)(?:\+82[ -]?|0)1[016789][-. ]?\d{3,4}[-. ]?\d{4}(?![\d-])|"
        r"(?<![\d-])0(?:2|[3-6]\d)[-)] ?\d{3,4}-\d{4}(?![\d-])|"
        r"(?<![\d-])(?:\+?1[-. ])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-.])[2-9]\d{2}[-.]\d{4}(?![\d-])|"
        r"(?<![\d\w])\+[1-9]\d{0,2}[ .-]\(?\d{1,4}\)?(?:[ .-]\d{2,4}){2,4}(?![\d-])"
    ),
    "email": (
        r"(?<![A-Za-z0-9_.%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@"
        r"(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24}(?![A-Za-z0-9_-])"
    ),
}
_COMPILED = {kind: re.compile(form) for kind, form in _FORMS.items()}
MAY_HOLD = (
    r"@[A-Za-z0-9-]+\.[A-Za-z]|[0-9][ .)-]{0,2}[0-9]{3,4}[ .-]?[0-9]{4}|[0-9]{6} ?- ?[1-8][0-9]{6}|[0-9]{13}|"
    r"\+[1-9][0-9 .()-]{8}"
)
"""What every form contains, for an engine whose time is linear: a text without it holds none."""

_NOBODYS = re.compile(
    r"(?i)example|"
    r"@(?:.*\.)?(?:(?:your|my|some)?(?:domain|company|email|website|site|mail|host|server|sample|test|"
    r"organization|business|school|university)\.\w+|xyz\.com|abc\.com|\w+\.(?:test|invalid|local))$|"
    r"^(?:git|no-?reply|me|you|someone|somebody|nobody|foo|bar|alice|bob|(?:jane|john)[._-]?(?:doe|smith)?|"
    r"(?:your|my|some|test|sample|user|first|last|full|recipient|sender|customer)?[._-]?"
    r"(?:name|mail|e-?mail|address|user|username|account|test|recipient|sender)?[._-]?(?:name)?\d{0,4})@|"
    r"^(?:admin|alerts?|contact|customercare|enquiries|feedback|hello|help|helpdesk|hr|info|jobs|marketing|news|newsletter|office|"
    r"orders?|postmaster|press|privacy|sales|security|service|support|team|webmaster)@|"
    r"^[^@]{1,5}@gmail\.com$"
)
"""What documentation writes, the addresses of offices, and of Gmail, which gives no name of fewer than six letters."""
_CARDS_FOR_TESTS = {"4012888888881881", "5105105105105100", "5555555555554444", "6011111111111117", "378282246310005"}
_CARD_ISSUER = re.compile(r"4\d{12}(?:\d{3}){0,2}$|3[47]\d{13}$|(?=\d{16}$)(?:5[1-5]|2[2-7]|35|6011|62|65|9)")


class Span(NamedTuple):
    """Where a text holds something personal: `text[start:end]`, of a kind of KINDS."""

    kind: str
    start: int
    end: int


def personal(text: str, kinds: tuple[str, ...] = KINDS) -> Iterator[Span]:
    """What a text holds, kind by kind; none overlaps another."""
    taken: list[Span] = []
    for kind in (kind for kind in KINDS if kind in kinds):
        for found in _COMPILED[kind].finditer(text):
            apart = all(found.end() <= span.start or found.start() >= span.end for span in taken[-8:])
            if apart and _SOUND[kind](found[0]):
                taken.append(Span(kind, *found.span()))
    yield from sorted(taken, key=lambda span: span.start)


def redacted(value: Any, kinds: tuple[str, ...] = KINDS) -> tuple[Any, int]:
    """A text, or every text in lists and objects, with `[EMAIL]` or the like in place of what it holds; how often."""
    if isinstance(value, str):
        parts, at, count = [], 0, 0
        for kind, start, end in personal(value, kinds):
            parts += [value[at:start], f"[{kind.upper()}]"]
            at, count = end, count + 1
        return "".join([*parts, value[at:]]), count
    if isinstance(value, list):
        done = [redacted(item, kinds) for item in value]
        return [item for item, _ in done], sum(count for _, count in done)
    if isinstance(value, dict):
        items = {name: redacted(item, kinds) for name, item in value.items()}
        return {name: item for name, (item, _) in items.items()}, sum(count for _, count in items.values())
    return value, 0


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _is_rrn(text: str) -> bool:
    """Birth date and check digit of a Korean resident registration number (주민등록번호)."""
    digits = [int(digit) for digit in _digits(text)]
    year = (1900 if digits[6] in (1, 2, 5, 6) else 2000) + digits[0] * 10 + digits[1]
    try:
        date(year, digits[2] * 10 + digits[3], digits[4] * 10 + digits[5])
    except ValueError:
        return False
    weighed = sum(digit * weight for digit, weight in zip(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=False))
    return (11 - weighed % 11) % 10 == digits[12]


def _is_card(text: str) -> bool:
    """Issuer and Luhn's checksum (ISO/IEC 7812-1)."""
    digits = _digits(text)
    if not _CARD_ISSUER.match(digits):
        return False
    if digits in _CARDS_FOR_TESTS or len(set(digits)) < 4 or digits[:4] * 3 == digits[:12]:
        return False
    doubled = (int(digit) * (1 + odd % 2) for odd, digit in enumerate(reversed(digits)))
    return sum(number - 9 if number > 9 else number for number in doubled) % 10 == 0


def _is_phone(text: str) -> bool:
    digits = _digits(text)
    local = digits[-7:]
    made_up = local.startswith("555") or local in "01234567890 09876543210" or digits.endswith("12345678")
    return 9 <= len(digits) <= 15 and not made_up and len(set(digits[-8:])) > 2


def _is_email(text: str) -> bool:
    return not _NOBODYS.search(text)


_SOUND: dict[str, Callable[[str], bool]] = {"rrn": _is_rrn, "card": _is_card, "phone": _is_phone, "email": _is_email}
