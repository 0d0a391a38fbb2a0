"""`unseen`: what a row speaks of must be in the row."""

from pathlib import Path

from conftest import Filtered, Reasons

MISSING = [
    ("Describe the image below.", "A cat on a mat.", 'the prompt speaks of "Describe the image", which is not there'),
    ("What is in this picture?", "A cat.", 'the prompt speaks of "What is in this picture?", which is not there'),
    ("Fix the attached spreadsheet.", "Done.", 'the prompt speaks of "the attached spreadsheet", which is not there'),
    (
        "What is shown in the picture?",
        "A house.",
        'the prompt speaks of "What is shown in the picture?", which is not there',
    ),
    ("What style is this painting?", "Baroque.", 'the prompt speaks of "is this painting", which is not there'),
    ("Read the article at the link.", "I did.", 'the prompt speaks of "at the link", which is not there'),
    (
        "According to the table below, who won?",
        "Ann.",
        'the prompt speaks of "the table below", which is not there',
    ),
    ("첨부한 엑셀 파일을 봐 줘.", "네.", 'the prompt speaks of "첨부한 엑셀 파일", which is not there'),
    ("첨부된 파일을 요약해 줘.", "네.", 'the prompt speaks of "첨부된 파일을", which is not there'),
    ("아래 사진에서 무엇이 보이나요?", "고양이요.", 'the prompt speaks of "아래 사진에서", which is not there'),
    ("Summarize the following article.", "It is long.", 'the prompt announces "the following article" and ends'),
    ("Correct the grammar of the sentence below", "He goes.", 'the prompt announces "the sentence below" and ends'),
    ("다음 글을 요약하세요.", "긴 글입니다.", 'the prompt announces "다음 글을" and ends'),
    (
        "Make it like your previous answer.",
        "Sure.",
        'the prompt recalls "your previous answer", of which there is nothing',
    ),
    ("아까 말한 책이 뭐였지?", "소설이요.", 'the prompt recalls "아까 말한", of which there is nothing'),
    (
        "What is a prime?",
        "As you can see in the table above, 7.",
        'the response says "As you can see in the table above", where there is none',
    ),
]
THERE = [
    ("Write an email that mentions the attached document.", "Dear all, please see it."),
    ("첨부된 파일을 언급하는 메일을 써 줘", "안녕하세요."),
    ("The following paragraph should have two sentences. Write about dogs.", "Dogs bark. They bite."),
    ("According to the table below, which is a prime?\n\n| n |\n| 7 |", "7"),
    ("What is a link?", "A pointer."),
    ("Summarize the following article.\n\nPrimes are numbers that ...", "Primes."),
    ('Correct the following sentence: "He go."', "He goes."),
    ("Summarize the following text (Primes are numbers)", "Primes."),
    ("Describe the image below. ![cat](cat.png)", "A cat."),
    ("Describe the picture at https://example.com/cat.png", "A cat."),
    ("Which of the following is a prime?\n\n7, 8", "7"),
    ("How do I attach a file to an e-mail?", "Click the clip."),
    ("What makes a good picture?", "Light."),
    ("다음 글을 요약하세요.\n\n소수는 ...", "소수요."),
    ("다음 달은 몇 월이야?", "5월이요."),
    ("사진을 잘 찍는 법은?", "빛을 보세요."),
    ("한 여성이 사진을 찍고 있다.", "한 남자가 노래한다."),
    {"text": "메일에 첨부된 파일 이름을 알려 줘"},
    {"turns": ["Write about a trip.", "Rewrite your previous answer as a poem."]},
    ("Write a story about an earlier conversation.", "Once ..."),
]


def test_what_is_spoken_of_must_be_there(reasons: Reasons) -> None:
    said = reasons([(prompt, response) for prompt, response, _ in MISSING] + THERE, "unseen")
    assert said == [reason for *_, reason in MISSING] + [None] * len(THERE)


def test_a_conversation_may_recall_what_was_said_and_a_message_may_hold_an_image(
    here: Path, filtered: Filtered
) -> None:
    def turns(*said: tuple[str, object]) -> dict[str, object]:
        return {"messages": [{"role": role, "content": content} for role, content in said]}

    image = [{"type": "text", "text": "Describe the image below."}, {"type": "image_url", "image_url": {"url": "x"}}]
    talk = turns(("user", "Hi"), ("assistant", "Hello."), ("user", "Repeat your last answer."), ("assistant", "Hello."))
    assert filtered([talk, turns(("user", image), ("assistant", "A cat."))], "unseen").summary.kept == 2
