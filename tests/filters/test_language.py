"""`language`: what a text is written in, and whether the answer is in the language of the question."""

import json
from pathlib import Path

import polars as pl
import pytest
from conftest import Filtered, Reasons

from curate.texts.languages import languages

SAID = {
    "Why is the sky blue? It scatters light.": "en",
    "Der Himmel ist blau, weil das Licht an der Luft gestreut wird.": "de",
    "Le ciel est bleu parce que l'air diffuse la lumière bleue.": "fr",
    "El cielo es azul porque el aire dispersa la luz azul del sol.": "es",
    "Небо голубое, потому что воздух рассеивает свет.": "ru",
    "네.": "ko",
    "하늘이 파란 이유는?": "ko",
    "Python 리스트를 정렬하려면?": "ko",
    "空はなぜ青いのですか。": "ja",
    "天空为什么是蓝色的？": "zh",
    "def add(a, b):\n    return a + b": "code",
    "```python\nprint(1)\n```": "code",
    "SELECT name FROM people WHERE age > 3;": "code",
    "Paris.": None,
    "42": None,
    "": None,
}


@pytest.mark.parametrize(("text", "language"), SAID.items())
def test_a_text_tells_its_language_or_nothing(text: str, language: str | None) -> None:
    assert languages(pl.Series([text]))["language"].to_list() == [language]


def test_a_language_does_not_depend_on_the_texts_beside_it() -> None:
    assert languages(pl.Series(list(SAID)))["language"].to_list() == list(SAID.values())
    assert len(languages(pl.Series([], dtype=pl.String))) == 0


GERMAN = "Der Himmel ist blau, weil das Licht an der Luft gestreut wird, das blaue mehr als das rote."
ENGLISH = "Because the air scatters blue light more than it does red light."
KOREAN = "공기가 파란 빛을 더 많이 산란시키기 때문이에요."
ELSEWHERE = [
    ("하늘은 왜 파래요?", ENGLISH, "asked in ko, answered in en"),
    ("Why is the sky blue? Please tell me.", KOREAN, "asked in en, answered in ko"),
    ("Tell me why it is that the sky is blue, please.", GERMAN, "asked in en, answered in de"),
]
SAME = [
    ("다음을 영작해 줘: 하늘은 왜 파래요?", ENGLISH),
    ("깃 커밋 메시지를 써 줘: 로그인 수정", "Fix the login that failed as the session of the user was expired"),
    ("Bonjour! Comment allez-vous aujourd'hui? Répondez en anglais.", ENGLISH),
    ("하늘은 왜 파래요?", KOREAN),
    ("하늘이 왜 파란지 영어로 말해 줘", ENGLISH),
    ("Translate: why is the sky blue?", KOREAN),
    (f"What does this mean?\n\n{KOREAN}", ENGLISH),
    (f"Summarize this.\n\n{KOREAN}", KOREAN),
    ("파이썬으로 더하는 함수를 써 줘", "def add(a, b):\n    return a + b"),
    ("프랑스의 수도는?", "Paris"),
    ("Name three dishes of that country.", "- Ragu alla Bolognese\n- Risotto alla Milanese\n- Ossobuco\n- Gelato"),
]  # fmt: skip


def test_an_answer_in_another_language_goes_unless_it_was_asked_for(reasons: Reasons) -> None:
    said = reasons([(prompt, response) for prompt, response, _ in ELSEWHERE] + SAME, "language")
    assert said == [reason for *_, reason in ELSEWHERE] + [None] * len(SAME)


def test_only_the_languages_that_are_wanted_stay_with_code_and_what_none_can_tell(reasons: Reasons) -> None:
    rows = [("?", GERMAN), ("?", ENGLISH), ("?", KOREAN), ("?", "def add(a, b):\n    return a + b"), ("?", "42")]
    assert reasons(rows, {"language": {"only": ["en", "ko"]}}) == [
        "response is in de, not in en, ko", None, None, None, None,
    ]  # fmt: skip


def test_a_language_is_a_measure_that_other_steps_can_use(filtered: Filtered) -> None:
    rows = [("?", KOREAN), ("?", ENGLISH), ("?", ENGLISH + " So it is.")]
    kept = filtered(rows, "language", {"sample": {"n": 2, "by": "language.answered"}})
    assert sorted(kept.kept["row"].to_list())[0] == 0


def test_real_texts_are_in_their_language(here: Path, real_data: Path) -> None:
    def share(name: str, field: str, language: str) -> float:
        lines = (real_data / name).read_text().splitlines()
        said = languages(pl.Series([json.loads(line)[field] for line in lines]))["language"]
        told = said.drop_nulls()
        return float((told == language).mean() or 0)

    assert share("dup_korsts/sts-dev.jsonl", "sentence1", "ko") == 1
    assert share("alpaca_gpteacher/roleplay.jsonl", "response", "en") > 0.998
    assert share("alpaca_dolly3k/dolly_3k.jsonl", "output", "en") > 0.998
    assert share("alpaca_gpteacher/codegen.jsonl", "response", "code") > 0.88


def test_real_questions_with_answers_of_the_other_language_go(here: Path, real_data: Path, filtered: Filtered) -> None:
    """Questions of one language, of twenty characters and more, each with an answer of the other."""

    def texts(name: str, field: str) -> list[str]:
        lines = (real_data / name).read_text().splitlines()
        return [text for line in lines if len(text := json.loads(line)[field]) >= 20]

    asked, said = (texts("ko_chatbot/ChatbotData.jsonl", field) for field in "QA")
    english, answers = (texts("alpaca_dolly3k/dolly_3k.jsonl", field) for field in ("instruction", "output"))
    to_korean = [(question, answer) for question, answer in zip(asked, answers, strict=False) if len(answer) > 60][:800]
    to_english = list(zip(english, said, strict=False))[:800]
    assert filtered(to_korean, "language").summary.dropped > 0.85 * len(to_korean)
    assert filtered(to_english, "language").summary.dropped > 0.7 * len(to_english)
