"""`pii` and `curate convert --redact`: what is somebody's, and what documentation writes in its place."""

import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from conftest import Reasons, write_rows
from hypothesis import given
from hypothesis import strategies as st

from curate.texts.personal import personal, redacted

SOMEBODYS = [
    ("Write to hong.gildong@naver.com.", "Write to [EMAIL]."),
    ("메일은 kim@shop.co.kr로 보내 주세요.", "메일은 [EMAIL]로 보내 주세요."),
    ("Call 010-2345-6781 now", "Call [PHONE] now"),
    ("Ask kathy.miller@gmail.com or john.parker@shop.com.", "Ask [EMAIL] or [EMAIL]."),
    ("Author Min Kim(mailto:minkim95@gmail.com)", "Author Min Kim(mailto:[EMAIL])"),
    ("전화는 01023456781입니다.", "전화는 [PHONE]입니다."),
    ("Call +82 10-2345-6781.", "Call [PHONE]."),
    ("사무실: 02-345-6781", "사무실: [PHONE]"),
    ("Call (212) 736-5001 or 212-736-5002", "Call [PHONE] or [PHONE]"),
    ("Ring +44 20 7946 0958.", "Ring [PHONE]."),
    ("Card 4539 1488 0343 6467, please.", "Card [CARD], please."),
    ("card=4539148803436467", "card=[CARD]"),
    ("주민등록번호는 900101-1234568입니다.", "주민등록번호는 [RRN]입니다."),
]
NOBODYS = [
    "Write to user@example.com or admin@localhost.",
    "Clone git@github.com:kim/curate.git",
    "your_name@gmail.com",
    "010-1234-5678, 010-0000-0000",
    "Call 555-0123 or (212) 555-0187.",
    "4242 4242 4242 4242",
    "Dan,dan@gmail.com and 123@gmail.com",
    "server.login('you@gmail.com', 'x') for test@naver.com",
    "Write to support@shop.co.kr or alerts@bank.com.",
    '"odd-but@strange-example.com" is valid',
    "sin(1) is 0.0174524064, not 0.01045678903",
    "472547338 + 960397912423686 is large",
    "Add 4539148803436467 + 1.",
    "4539 1488 0343 6468 fails Luhn",
    "900101-1234567은 검증 번호가 틀리다",
    "901332-1234568 is no date",
    "1234567890123",
    "2024-01-15 10:30:00, 3.14159265358979, 192.168.0.1",
    "ISBN 978-89-01-23456-7",
    "The numbers 1000 2000 3000 4000",
    "def f(self): return self@other.T",
]


@pytest.mark.parametrize(("text", "clean"), SOMEBODYS)
def test_what_is_somebodys_is_found_and_replaced(text: str, clean: str) -> None:
    assert redacted(text)[0] == clean


def test_what_is_nobodys_stays() -> None:
    assert [redacted(text) for text in NOBODYS] == [(text, 0) for text in NOBODYS]


def test_a_row_with_personal_data_goes_and_its_reason_does_not_tell_it(reasons: Reasons) -> None:
    said = reasons([*[("?", text) for text, _ in SOMEBODYS], *[(text, "!") for text in NOBODYS]], "pii")
    assert [bool(reason) for reason in said] == [True] * len(SOMEBODYS) + [False] * len(NOBODYS)
    assert said[0] == 'email in the response: "ho…om"'
    only = reasons([("?", SOMEBODYS[0][0]), ("?", SOMEBODYS[2][0]), ("?", "!")], {"pii": {"kinds": ["phone"]}})
    assert [bool(reason) for reason in only] == [False, True, False]


def rrn(birth: str, rest: int) -> str:
    digits = f"{birth}{rest:06d}"
    weighed = sum(int(d) * w for d, w in zip(digits, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=True))
    return f"{birth}-{rest:06d}{(11 - weighed % 11) % 10}"


@given(st.dates(min_value=date(1930, 1, 1), max_value=date(1999, 12, 31)), st.integers(100000, 299999))
def test_only_the_right_check_digit_makes_a_resident_number(birth: Any, rest: int) -> None:
    number = rrn(birth.strftime("%y%m%d"), rest)
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert [span.kind for span in personal(number)] == ["rrn"]
    assert not list(personal(wrong))


def test_convert_redacts_every_text_of_a_record(here: Path, cli: Any) -> None:
    rows = [
        {
            "instruction": "Who is kim@shop.co.kr?",
            "output": "Call 010-2345-6781.",
            "contact": ["lee@shop.co.kr"],
            "n": 1.50,
        },
        {"instruction": "Name a prime.", "output": "7"},
    ]
    write_rows(here / "raw.jsonl", rows)
    said = cli("convert", "raw.jsonl", "-o", "clean.jsonl", "--to", "alpaca", "--redact")
    assert "3 addresses, numbers and cards redacted" in said.err
    first, second = (json.loads(line) for line in (here / "clean.jsonl").read_text().splitlines())
    assert (first["instruction"], first["output"], first["contact"]) == (
        "Who is [EMAIL]?",
        "Call [PHONE].",
        ["[EMAIL]"],
    )
    assert (first["n"], second["output"]) == (1.5, "7")


@pytest.mark.parametrize(
    "text", ["a@" * 500_000, "1" * 1_000_000, "010-" * 250_000, "1 " * 500_000, "a." * 500_000 + "@b"]
)
def test_a_million_characters_of_the_worst_hold_nothing(text: str) -> None:
    assert not list(personal(text))


def test_numbers_of_real_texts_are_hardly_ever_taken_for_cards_or_resident_numbers() -> None:
    chance = random.Random(5)
    texts = [f"{chance.randrange(10**6):06d}-{chance.randrange(10**7):07d}" for _ in range(2000)]
    assert sum(1 for text in texts for span in personal(text, ("card",))) == 0
