"""`turns`: roles in order, no turn empty, an answer somewhere; and how many turns."""

from typing import Any

import pytest

ROLES = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}
KEPT = ("row that stays", "yes")


def conversation(turns: str) -> dict[str, Any]:
    """`"u a:"` is a user's turn and an empty answer."""
    messages = [
        {"role": ROLES[turn[0]], "content": "" if turn.endswith(":") else f"{turn} 말하다"} for turn in turns.split()
    ]
    return {"messages": messages}


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ("u a", None),
        ("s u a", None),
        ("u a u a", None),
        ("u a u", None),
        ("u a t a", None),
        ("u a t t a", None),
        ("u a t a u a", None),
        ("u a t", None),
        ("u u a", "turn 2 is user after user"),
        ("u a a", "turn 3 is assistant after assistant"),
        ("u t a", "turn 2 is tool after user"),
        ("u a t u a", "turn 4 is user after tool"),
        ("u a s", "turn 3 is system after assistant"),
        ("s s u a", "turn 2 is system after system"),
        ("s a", "turn 2 is assistant after system"),
        ("a", "turn 1 is assistant, user was expected"),
        ("a u a", "turn 1 is assistant, user was expected"),
        ("t u a", "turn 1 is tool, user was expected"),
        ("u", "no assistant turn"),
        ("s u", "no assistant turn"),
        ("s", "no assistant turn"),
        ("u a:", "turn 2 is empty"),
        ("u: a", "turn 1 is empty"),
        ("s: u a", "turn 1 is empty"),
        ("u a u: a", "turn 3 is empty"),
        ("u: u a", "turn 2 is user after user"),
    ],
)
def test_a_broken_conversation_is_dropped(reasons: Any, turns: str, reason: str | None) -> None:
    assert reasons([conversation(turns), KEPT], "turns") == [reason, None]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", None),
        ("。", None),
        ("\u200b", None),  # a zero-width space is no white space in Unicode
        (" ", "turn 2 is empty"),
        ("\n\t\u3000\u00a0", "turn 2 is empty"),
    ],
)
def test_white_space_is_no_answer(reasons: Any, text: str, reason: str | None) -> None:
    assert reasons([("Well?", text), KEPT], "turns") == [reason, None]


def test_a_turn_without_text_that_calls_a_tool_is_not_empty(reasons: Any) -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "weather", "arguments": "{}"}}]}
    told = [{"role": "user", "content": "서울 날씨?"}, call, {"role": "tool", "content": "맑음"}]
    answered = [*told, {"role": "assistant", "content": "맑습니다."}]
    assert reasons([{"messages": answered}, {"messages": told}], "turns") == [None, None]


def test_plain_text_is_one_turn_in_order(reasons: Any) -> None:
    assert reasons([{"text": "본문뿐인 글."}, {"text": "def f(): ..."}], "turns") == [None, None]


@pytest.mark.parametrize(
    ("turns", "parameters", "reason"),
    [
        ("u a", {"min_turns": 3}, "conversation has 2 turns, fewer than 3"),
        ("s u a", {"min_turns": 3}, "conversation has 2 turns, fewer than 3"),
        ("u a u", {"min_turns": 3}, None),
        ("u a u a", {"max_turns": 3}, "conversation has 4 turns, more than 3"),
        ("s u a u", {"max_turns": 3}, None),
        ("u u a", {"min_turns": 9}, "turn 2 is user after user"),
    ],
)
def test_turns_are_counted_without_the_system(
    reasons: Any, turns: str, parameters: dict[str, Any], reason: str | None
) -> None:
    stays = conversation("u a u a u a u a u" if parameters == {"min_turns": 9} else "u a u")
    assert reasons([conversation(turns), stays], {"turns": parameters}) == [reason, None]


def test_the_other_side_of_rows_that_have_none_is_not_judged(reasons: Any) -> None:
    pair = {
        "prompt": "1 + 1?",
        "chosen": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": "2"}],
        "rejected": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": ""}],
    }
    said = reasons([pair, ("Name a prime.", "7")], {"turns": None, "side": "rejected"})
    assert said == ["turn 2 is empty", None]
