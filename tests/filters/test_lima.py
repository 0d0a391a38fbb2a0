"""lima: LIMA's rules for answers of a forum; other rows are left alone."""

from typing import Any

import pytest

LONG = "Sort the list first, since every later step needs it sorted. " * 25
KOREAN = "먼저 목록을 정렬합니다. 이후의 단계는 모두 정렬된 목록을 필요로 합니다. " * 18
TITLE = "How do I sort a list of tuples?"


def row(response: str = LONG, **meta: Any) -> dict[str, Any]:
    return {"question": "Q?", "answer": response, "answer_score": 12, "title": TITLE} | meta


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (row(), None),
        (row(KOREAN), None),
        (row(answer_score=9), "answer score is 9.0, less than 10"),
        (row("Sort it."), "response has 8 characters, fewer than 1,200"),
        (row(LONG * 3), "response has 4574 characters, more than 4,096"),
        (row(LONG + "I think it helps."), 'response speaks in the first person: "I think"'),
        (row(LONG + "In my tests it is fast."), 'response speaks in the first person: "my"'),
        (row(LONG + "`I am` and\n```\nmy = I + 1\n```\n> I said so"), None),
        (row(LONG + "A Type I error, the I/O of World War I and my_list."), None),
        (row(LONG + "As mentioned in another place."), 'response refers to another text: "As mentioned"'),
        (row(LONG + "See the accepted answer."), 'response refers to another text: "accepted answer"'),
        (row(LONG + "As Bob already said, no."), 'response refers to another text: "As Bob already said"'),
        (row(LONG + "The OP wants it."), 'response refers to another text: "The OP"'),
        (row(title="Sort it?"), "title has 8 characters, fewer than 15"),
        (row(title="What does this error mean?"), 'question has a title that points elsewhere: "this error"'),
        (row(KOREAN + "저는 그렇게 생각합니다."), 'response speaks in the first person: "저는"'),
        (row(KOREAN + "냄새가 나는 음식은 문제가 됩니다."), None),
        (row(KOREAN + "나는 그렇게 본다."), 'response speaks in the first person: "나는"'),
        (row(KOREAN + "위 답변을 참고하세요."), 'response refers to another text: "위 답변을"'),
        (row(KOREAN + "채택 부탁드려요."), 'response refers to another text: "채택 부탁드려요"'),
        (row(KOREAN, title="파이썬에서 리스트를 정렬하는 방법"), None),
        (row(KOREAN, title="이거 어떻게 하나요 알려주세요"), 'question has a title that points elsewhere: "이거"'),
    ],
)
def test_each_rule_of_the_paper(reasons: Any, given: dict[str, Any], reason: str | None) -> None:
    assert reasons([given, row()], "lima")[0] == reason


def test_rows_without_a_score_are_left_alone_unless_they_are_asked_for(reasons: Any) -> None:
    rows = [("Capital of Peru?", "I know: Lima."), row()]
    assert reasons(rows, "lima") == [None, None]
    assert reasons(rows, {"lima": {"of": "all"}})[0] == "response has 13 characters, fewer than 1,200"


def test_every_threshold_is_a_parameter(reasons: Any) -> None:
    off = dict.fromkeys(("min_score", "min_chars", "max_chars", "min_title_chars"))
    off |= dict.fromkeys(("first_person", "references", "titles"), "keep")
    worst = row("I said: see the accepted answer.", answer_score=-3, title="this one?")
    assert reasons([worst, row()], {"lima": off}) == [None, None]
    votes = {"question": "Q?", "answer": LONG, "likes": 3}
    assert reasons([votes, row()], {"lima": {"score": ["likes"]}})[0] == "answer score is 3.0, less than 10"
