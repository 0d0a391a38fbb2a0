"""`broken`: damage is told from short answers, code and texts that are about such marks."""

import pytest
from conftest import Reasons

LONG = "It has been a long day for everybody in the village, and the rain did not stop"
GIVEN = "The quick brown fox jumps over the lazy dog while the sun goes down behind the hills."

RAIN = "비가 그치지 않았고 길은 멀었습니다. " * 4

DAMAGED = [
    ("Name a prime.", "N/A", 'the response says that there is none: "N/A"'),
    ("Name a prime.", "<nooutput>", 'the response says that there is none: "nooutput"'),
    ("소수는?", "해당 없음", 'the response says that there is none: "해당 없음"'),
    ("Name a prime.", "...", "the response has no word in it"),
    ("Name a prime.", "7<|endoftext|>", '"<|endoftext|>" is left of a template'),
    ("Name a prime.", "7</s>", '"</s>" is left of a template'),
    ("Name a prime.", "<s>7</s>", '"<s>" is left of a template'),
    ("Name a prime.", "```\n7\n```<|im_end|>", '"<|im_end|>" is left of a template'),
    ("Name a prime.", "[INST] 7 [/INST]", '"[INST]" is left of a template'),
    ("Name a prime.", "7\n\n### Instruction:\nAnother?", '"### Instruction:" is left of a template'),
    ("소수는?", "7\n### 응답: 11", '"### 응답:" is left of a template'),
    ("Name a prime.", "The prime is {output}", '"{output}" is left of a template'),
    (
        "Name a prime.",
        "7\n\nInstruction: Name another prime.\nInput: none\nOutput: 11",
        "another row stands within the response",
    ),
    ("Find the mean. Input: 4, 8, 15", "9", "the input is merged into the instruction"),
    ("다음 문장을 영어로 번역하세요. 입력: 비가 와요.", "It rains.", "the input is merged into the instruction"),
    ("Translate into Spanish.\n\nGood morning.", "Good morning.", "the response is the input again, not translated"),
    ("Introduce yourself.", "My name is [INSERT NAME].", '"[INSERT NAME]" was never filled in'),
    ("예약을 확인해 주세요.", "{{날짜}}에 예약했습니다.", '"{{날짜}}" was never filled in'),
    (f"Translate: {GIVEN}\n\n{GIVEN}", "Bonjour.", "the input stands in the instruction already"),
    (GIVEN, f" {GIVEN.upper()} ", "the response is the prompt again"),
    ("Say it.", 'He said "no"<|endoftext|>', '"<|endoftext|>" is left of a template'),
    ("Go on.", "Red calms the mind.\n<|user|>\nAnd green?", '"<|user|>" is left of a template'),
    ("Count the b in it. Input: 'bubble'.\n\nword = 'bubble'", "3", "the input is merged into the instruction"),
    ("Who?", f"{LONG}, as Maia,", 'the response is cut off: it ends in "the rain did not stop, as Maia,"'),
    ("And then?", f"{LONG}. If you want it spicy and", 'the response is cut off: it ends in "and"'),
    ("Where is it?", f"{LONG}. That is where the iron is", 'the response is cut off: it ends in "is"'),
    ("Use it.", "```lua\nif z > 1 then cell[z] = cell[", "the response is cut off: a code block is left open"),
    ("Tell me more.", f"{LONG} and", 'the response is cut off: it ends in "and"'),
    ("Tell me more.", f"{LONG}. Dear Ann, thank you for your", 'the response is cut off: it ends in "your"'),
    ("더 말해 줘", f"{RAIN}그래서 사람들은 우산을", 'the response is cut off: it ends in "산을"'),
    ("Write code.", "```python\nprint(1)", "the response is cut off: a code block is left open"),
]  # fmt: skip
SOUND = [
    ("Which operator multiplies in Python?", "*"),
    ("파이썬에서 곱셈 연산자는?", "*"),
    ("Draw a tree of stars.", "*\n**\n***"),
    ("Is the field filled? Answer yes or N/A.", "N/A"),
    ("Show a variable in Vue.", "Write {{ message }} in the markup."),
    ("Write code for this. Input: two numbers. Output: their sum.", "a + b"),
    ("Translate into German.\n\nBerlin", "Berlin"),
    ("Capital of France?", "Paris"),
    ("True or false?", "None"),
    ("수도는?", "서울"),
    ("Which word comes first?", "the"),
    ("Is there a vitamin for that?", "Yes, vitamin A"),
    ("What does <|endoftext|> mean?", "<|endoftext|> marks the end of a text."),
    ("How do I strike out text in HTML?", "Use <s>text</s> around it."),
    ("Mark the old price.", "<s>90 €</s> 75 €"),
    ("Mark the old price.", "The price was <s>90 €</s>"),
    (
        "How are the rows of Alpaca written?",
        "So:\n\n```\n### Instruction:\nAdd.\n### Response:\n3\n```\n\nThat is all.",
    ),
    ("Merry Christmas!", "Merry Christmas!"),
    ("새해 복 많이 받으세요!", "새해 복 많이 받으세요!"),
    ("Repeat this sentence.", "Repeat this sentence."),
    ("Write a format string.", 'print(f"{output} rows")'),
    ("Write a template for a letter.", "Dear {{name}}, ..."),
    ("Render a name in Jinja.", "Write `{{ name }}` where it should stand."),
    ("Input: 1\nOutput: 2\nInput: 2\nOutput:", "3"),
    ("What is an input device?", "A keyboard."),
    ("Close a letter.", f"{LONG}.\n\nWith gratitude,"),
    ("List three fruits", "apple, pear, plum"),
    ("Write code.", "```python\nprint(1)\n```"),
    (f"Go on:\n```\n{GIVEN}", "print(2)\n```"),
    ("Fix it.\n\nHe go.", "He goes."),
    ("Repeat: hello", "hello"),
    ("더 말해 줘", RAIN),
    ("Reverse a word in Java.\n\nInput: 'level'\nExpected output: level", "new StringBuilder(word).reverse()"),
    ("Instructions: Give the antonym.\nInput: dark\nOutput:", "bright"),
    ("지시: 반대말을 쓰세요.\n입력: 어둡다", "밝다"),
    ("Read the end mark.", 'parser.add_argument("--end", default="<|endoftext|>")'),
    ("Write settings.", "SECRET = '{{ secret_key }}'"),
    ("```\nif (x\n```\ncontinue", "== 1) { go(); }\n```\nRun it as an administrator."),
    ("What is a heading?", "A line such as # Title"),
]


def test_damage_is_told_from_what_is_meant(reasons: Reasons) -> None:
    said = reasons([(prompt, response) for prompt, response, _ in DAMAGED] + SOUND, "broken")
    assert said == [reason for *_, reason in DAMAGED] + [None] * len(SOUND)


def test_cut_off_responses_stay_where_that_is_wanted(reasons: Reasons) -> None:
    rows = [("Write code.", "```python\nprint(1)"), ("Name a prime.", "N/A"), ("Name a prime.", "7")]
    assert reasons(rows, {"broken": {"cut_off": False}}) == [None, DAMAGED[0][2], None]


@pytest.mark.parametrize("around", ["  {}\n", "{}\n\n", "\n{}  "])
def test_white_space_around_a_row_changes_nothing(reasons: Reasons, around: str) -> None:
    rows = [(prompt, response) for prompt, response, _ in DAMAGED] + SOUND
    assert reasons([(prompt, around.format(response)) for prompt, response in rows], "broken") == reasons(
        rows, "broken"
    )
