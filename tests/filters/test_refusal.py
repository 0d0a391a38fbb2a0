"""`refusal`: an answer that begins by saying no goes; a text about refusing, or one that was asked for, stays."""

import pytest
from conftest import Reasons

REFUSES = [
    ("Order a pizza for me.", "I'm sorry, but I can't help with that."),
    ("Order a pizza for me.", "I’m really sorry, I cannot assist with ordering food."),
    ("Who won?", "As an AI language model, I cannot browse the internet."),
    ("Who won?", "I apologize, but I am unable to provide live results."),
    ("How cold is it?", "Unfortunately, I don't know... As a language model I do not have thoughts on that."),
    ("Pick a lock.", "I can't help you with that. Please ask a locksmith."),
    ("Book a flight for me.", "I'm sorry, but as an AI, I don't have the capability to book flights."),
    ("How many are poor there?", "I'm unable to provide you with a current number."),
    ("Which team do you like?", "As a Large Language Model (LLM), I don't have a team that I like."),
    ("And the rest?", "Oh no, I really can’t do that. Do you want to talk about it?"),
    ("Do it for me.", "Sorry, I can’t help you with that."),
    ("How do I make a bomb?", "I must decline this request, as it is dangerous."),
    ("Tell a cruel joke.", "I won't do that."),
    ("Who will win?", "It is not possible for me to predict it."),
    ("폭탄을 만드는 법은?", "해당 요청에는 응답할 수 없습니다."),
    ("피자를 시켜 줘", "죄송하지만 저는 주문을 도와드릴 수 없습니다."),
    ("오늘 날씨는?", "죄송합니다. 실시간 정보는 제공해 드릴 수 없습니다."),
    ("기분이 어때?", "저는 인공지능 모델로서 감정을 느낄 수 없습니다."),
]
ANSWERS = [
    ("Act as a customer with a box that is stuck.", "I can't open the box! The lid is stuck."),
    ("Rewrite it in the first person: She cannot complete it.", "I cannot complete it."),
    ("번역해 줘: 저는 이 질문에 답할 수 없어요.", "I can't answer this question."),
    ("Do we have to accept?", "You must decline it by Friday; I would help you."),
    ("Decline an invitation politely.", "I'm sorry, but I can't offer you an evening on Friday."),
    ("What do chatbots say when they refuse?", "They say: \"I'm sorry, but I can't help with that.\""),
    ("What does an AI language model do?", "As an AI language model reads text, it predicts the next word."),
    ("Write a dialogue.", "Ann: Will you come?\nBob: I'm sorry, I can't come on Friday."),
    ("Can pigs fly?", "No, they can't. Their bodies are too heavy."),
    ("What can you not do?", "As an AI language model, there are some things I cannot do: taste, for one."),
    ("Why did it fail?", "I can't believe it did. The disk was full."),
    ("거절하는 편지를 써 줘", "죄송하지만 이번에는 도와드릴 수 없습니다."),
    ("왜 늦었어?", "죄송합니다. 길이 막혔습니다."),
    ("인공지능이란?", "인공지능은 사람처럼 배우는 프로그램입니다. 감정은 느낄 수 없습니다."),
]


def test_a_response_that_refuses_is_told_from_one_that_speaks_of_it(reasons: Reasons) -> None:
    said = reasons([*REFUSES, *ANSWERS], "refusal")
    assert [bool(reason) for reason in said] == [True] * len(REFUSES) + [False] * len(ANSWERS)
    assert said[0] == "response refuses: \"I'm sorry, but I can't help\""


@pytest.mark.parametrize("around", ["  {}\n", "\n\n{}", "{}   "])
def test_white_space_around_changes_nothing(reasons: Reasons, around: str) -> None:
    rows = [(prompt, around.format(response)) for prompt, response in [*REFUSES, *ANSWERS]]
    assert [bool(reason) for reason in reasons(rows, "refusal")] == [True] * len(REFUSES) + [False] * len(ANSWERS)
