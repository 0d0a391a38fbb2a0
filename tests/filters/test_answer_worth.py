"""answer-worth: which of several answers is best, and which is an advert; English and Korean."""

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("세탁기 필터를 먼저 청소해 보세요.", None),
        ("자세한 것은 카톡 상담 주세요. 무료 견적도 해 드립니다.", 'advert: "카톡 상담"'),
        ("저희 매장으로 010-2345-6781 전화 주세요.", 'advert: "010…81"'),
        ("대표번호 1588-1234 로 연락하세요.", 'advert: "1588-1234"'),
        ("010-1234-5678 은 예시 번호입니다.", None),
        ("제 블로그에 방문하세요.", None),
        ("Visit our shop and use the promo code SAVE.", 'advert: "Visit our shop"'),
        ("Click the gear, then choose a plan.", None),
        ("Released in 1588-1234 copies", 'advert: "1588-1234"'),
    ],
)
def test_two_signs_or_a_phone_number_make_an_advert(reasons: Any, text: str, reason: str | None) -> None:
    rows = [("세탁기가 멈췄어요. 어떻게 하죠?", text), ("1 + 1?", "2")]
    assert reasons(rows, "answer-worth") == [reason, None]


def test_an_advert_that_was_asked_for_is_none(reasons: Any) -> None:
    advert = "Call us today, use the promo code SAVE, visit our shop!"
    assert reasons([("Write an advert for a shop.", advert), ("A shop?", advert)], "answer-worth")[0] is None


def test_the_best_of_several_answers_in_korean(filtered: Any) -> None:
    answers = [
        {
            "text": "필터를 청소하고 다시 켜 보세요. 그래도 멈추면 배수 호스를 확인하세요.",
            "votes": 3,
            "accepted": False,
        },
        {"text": "필터를 청소하세요.", "votes": 1, "accepted": True},
        {"text": "무료 상담 받아 보세요 02-345-6781 최저가!", "votes": 90, "accepted": True},
        {"text": "모르겠네요.", "votes": 40},
        {"text": "블로그에 놀러 오세요. 필터를 청소하세요.", "votes": 70},
    ]
    best = ["answer-worth", {"conflict": {"by": "answer-worth.worth"}}]

    def chosen(given: list[dict[str, Any]]) -> str:
        result = filtered([{"title": "세탁기가 멈췄어요", "answers": given}, {"question": "1?", "answer": "2"}], *best)
        return str(result.kept["response"][0])

    assert chosen(answers) == answers[1]["text"]  # accepted, though with fewer votes
    assert chosen(answers[:1] + answers[2:]) == answers[3]["text"]  # votes
    assert chosen([answers[0] | {"votes": 40}, answers[3]]) == answers[0]["text"]  # as many: the longer
    assert chosen([answers[4], answers[0]]) == answers[0]["text"]  # one sign: last, and no advert
