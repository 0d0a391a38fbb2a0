"""From a reply to a score: what the probabilities say, what the text says, and everything that is no score."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from curate.judging.rubrics import Rubric, load_rubric
from curate.judging.scoring import Further, Score, Unscored, expected, read_score, request_for
from curate.models import Reply, Turn

TURNS = (Turn("system", "s"), Turn("user", "u"))


@pytest.fixture
def rubric() -> Rubric:
    return load_rubric("educational-value")


Ruled = Callable[[str], Rubric]


@pytest.fixture
def ruled(here: Path) -> Ruled:
    """Makes a rubric with a scale."""

    def make(scale: str) -> Rubric:
        (here / "mine.md").write_text(f"---\nname: mine\nscale: {scale}\n---\nIs it?")
        return load_rubric("mine.md")

    return make


def log(shares: dict[str, float]) -> dict[str, float]:
    return {token: math.log(share) for token, share in shares.items()}


def scored(shares: dict[str, float], rubric: Rubric) -> Score | Unscored | Further:
    return read_score(Reply("", [log(shares)]), rubric, "expected")


def is_score(value: float, doubt: float) -> Score:
    return Score(pytest.approx(value, abs=1e-9), pytest.approx(doubt, abs=1e-9))  # type: ignore[arg-type]


# expected


def test_labels_count_by_their_probability_and_the_rest_is_doubt(rubric: Rubric) -> None:
    assert scored({"4": 0.6, "3": 0.3, "The": 0.1}, rubric) == is_score(3.3 / 0.9, 0.1)


def test_all_belief_on_one_label_is_that_label_without_doubt(rubric: Rubric) -> None:
    assert scored({"3": 1.0}, rubric) == Score(3.0, 0.0)


@pytest.mark.parametrize("token", ["4", " 4", "▁4", "Ġ4", "4 ", "\n4", "Ċ4"])
def test_a_label_may_stand_behind_what_a_tokenizer_writes_for_a_space(token: str, rubric: Rubric) -> None:
    assert scored({token: 0.5, "2": 0.5}, rubric) == is_score(3.0, 0.0)


def test_the_ways_to_write_a_label_add_up(rubric: Rubric) -> None:
    assert scored({"4": 0.2, " 4": 0.2, "▁4": 0.1, "1": 0.5}, rubric) == is_score(2.5, 0.0)


@pytest.mark.parametrize("token", ["6", "40", "four", "٤", "-4", "4.", "<|im_end|>"])
def test_what_is_not_exactly_a_label_is_doubt(token: str, rubric: Rubric) -> None:
    assert scored({"1": 0.6, token: 0.4}, rubric) == is_score(1.0, 0.4)


def test_with_the_twenty_likeliest_tokens_alone_what_is_not_seen_is_doubt(rubric: Rubric) -> None:
    many = {f"word{k}": 0.01 for k in range(18)}
    assert scored({"5": 0.5, "4": 0.1, **many}, rubric) == is_score(2.9 / 0.6, 0.4)


def test_a_model_that_hardly_believes_in_any_label_did_not_answer(rubric: Rubric) -> None:
    assert scored({"The": 0.9, "4": 0.04}, rubric) == Unscored('the answer began with "The", not with a label')
    assert scored({"The": 0.9, "4": 0.06}, rubric) == is_score(4.0, 0.94)


def test_a_model_that_thinks_first_is_told_from_one_that_chatters(rubric: Rubric) -> None:
    cause = 'the answer began with "<think>", not with a label; it thinks before it answers: use mode text'
    assert scored({"<think>": 1.0}, rubric) == Unscored(cause)


@pytest.mark.parametrize("logprobs", [None, []])
def test_without_log_probabilities_there_is_no_expected_score(
    logprobs: list[dict[str, float]] | None, rubric: Rubric
) -> None:
    cause = "the model gave no log-probabilities: use mode text"
    assert read_score(Reply("4", logprobs), rubric, "expected") == Unscored(cause)


def test_an_answer_without_any_token_is_no_score(rubric: Rubric) -> None:
    assert isinstance(read_score(Reply("", [{}]), rubric, "expected"), Unscored)


# labels of several tokens


def test_a_token_that_begins_a_longer_label_is_followed(ruled: Ruled) -> None:
    ten = ruled("1-10")
    first = log({"1": 0.5, "7": 0.4, "I": 0.1})
    assert expected({"": first}, ten) == Further(["1"])
    after = log({"0": 0.8, "<|im_end|>": 0.1, ".": 0.05})  # the 0.05 that are not seen end it too
    assert expected({"": first, "1": after}, ten) == is_score((10 * 0.4 + 1 * 0.1 + 7 * 0.4) / 0.9, 0.1)


def test_a_label_that_goes_on_in_kind_is_none(ruled: Ruled) -> None:
    places = {"": log({"1": 0.5, "2": 0.5}), "1": log({"0": 0.4, "7": 0.6})}
    assert expected(places, ruled("1-10")) == is_score((10 * 0.2 + 2 * 0.5) / 0.7, 0.3)


def test_korean_may_follow_a_number(ruled: Ruled) -> None:
    places = {"": log({"1": 1.0}), "1": log({"0": 0.5, "점": 0.5})}
    assert expected(places, ruled("1-10")) == is_score(5.5, 0.0)


def test_a_whole_label_beside_its_beginning_counts_too(ruled: Ruled) -> None:
    places = {"": log({"10": 0.5, "1": 0.5}), "1": log({"0": 0.5, "\n": 0.5})}
    assert expected(places, ruled("1-10")) == is_score(10 * 0.75 + 1 * 0.25, 0.0)


def test_a_beginning_with_next_to_no_belief_is_not_worth_a_request(ruled: Ruled) -> None:
    assert expected({"": log({"1": 0.0005, "7": 0.9995})}, ruled("1-10")) == is_score(7 - 6 * 0.0005, 0.0)


def test_labels_of_three_tokens_are_followed_to_their_end(ruled: Ruled) -> None:
    words = ruled("[poor, excellent]")
    places = {"": log({"ex": 0.9, "poor": 0.1})}
    assert expected(places, words) == Further(["ex"])
    places["ex"] = log({"cell": 1.0})
    assert expected(places, words) == Further(["excell"])
    places["excell"] = log({"ent": 0.5, "ing": 0.5})
    assert expected(places, words) == is_score(0.45 / 0.55, 0.45)


def test_labels_of_several_words_keep_their_spaces(ruled: Ruled) -> None:
    places = {"": log({"very": 0.5, "bad": 0.5}), "very": log({"Ġgood": 1.0})}
    assert expected(places, ruled("[bad, very good]")) == is_score(0.5, 0.0)


def test_white_space_before_the_label_is_followed_where_it_is_the_likeliest(rubric: Rubric) -> None:
    assert scored({"▁": 0.9, "4": 0.1}, rubric) == Further([" "])
    assert expected({"": log({"▁": 0.9, "4": 0.1}), " ": log({"2": 1.0})}, rubric) == is_score(0.9 * 2 + 0.1 * 4, 0.0)
    assert expected({"": log({"▁": 0.9}), " ": log({"▁": 1.0})}, rubric) == Unscored(
        'the answer began with "▁", not with a label'
    )
    assert scored({"\n": 0.3, "4": 0.7}, rubric) == is_score(4.0, 0.3)


# text


@pytest.mark.parametrize(
    "text",
    [
        "It explains well.\nScore: 4",
        "It explains well.\n\nScore: 4\n",
        "Good.\n**Score: 4**",
        "Good.\n**Score:** 4",
        "Good.\n**Score**: 4.",
        "Good.\n### Score: 4",
        "Good.\nscore : 4",
        "Score: 1 would be too low, 5 too high.\nScore: 4",
        "Score: 5\nOn reflection:\nScore: 4",
        "<think>Score: 5\nor 3?</think>Good.\nScore: 4",
        "설명이 좋습니다.\n점수: 4",
        "설명이 좋습니다.\n**점수: 4**",
        "설명이 좋습니다.\n점수： 4점.",
        "설명이 좋습니다.\nScore: 4。",
    ],
)
def test_the_last_line_is_the_score(text: str, rubric: Rubric) -> None:
    assert read_score(Reply(text), rubric, "text") == Score(4.0)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", 'the last line is no score: ""'),
        ("I can't rate it, sorry", 'the last line is no score: "I can\'t rate it, sorry"'),
        ("It is a 4", 'the last line is no score: "It is a 4"'),
        ("Score: 4\nThank you!", 'the last line is no score: "Thank you!"'),
        ("The row says Score: 4", 'the last line is no score: "The row says Score: 4"'),
        ("Score:", 'the last line is no score: "Score:"'),
        ("Score: high", '"high" is not on the scale 0, 1, 2, 3, 4, 5'),
        ("Score: 4/5", '"4/5" is not on the scale 0, 1, 2, 3, 4, 5'),
        ("Score: 4 or 5", '"4 or 5" is not on the scale 0, 1, 2, 3, 4, 5'),
        ("Score: 3.5", '"3.5" is not on the scale 0, 1, 2, 3, 4, 5'),
        ("Score: 6", '"6" is not on the scale 0, 1, 2, 3, 4, 5'),
        ("Score: -1", '"-1" is not on the scale 0, 1, 2, 3, 4, 5'),
        ("Score: ４", '"４" is not on the scale 0, 1, 2, 3, 4, 5'),
        ("점수: 높음", '"높음" is not on the scale 0, 1, 2, 3, 4, 5'),
        ('{"score": 4}', 'the last line is no score: "{"score": 4}"'),
        ("<think>Score: 4", 'the last line is no score: "<think>Score: 4"'),
    ],
)
def test_whatever_else_it_says_is_no_score(text: str, cause: str, rubric: Rubric) -> None:
    assert read_score(Reply(text), rubric, "text") == Unscored(cause)


def test_a_reason_that_was_cut_off_is_no_score_whatever_its_last_line(rubric: Rubric) -> None:
    reply = Reply("Much text.\nScore: 4", output_tokens=512, finish="length")
    assert read_score(reply, rubric, "text") == Unscored("the reason was cut off after 512 tokens, before any score")


# choice


def test_a_choice_is_a_label_and_nothing_else(rubric: Rubric) -> None:
    assert read_score(Reply(" 4\n"), rubric, "choice") == Score(4.0)
    assert read_score(Reply("4."), rubric, "choice") == Unscored('"4." is not on the scale 0, 1, 2, 3, 4, 5')
    assert read_score(Reply(""), rubric, "choice") == Unscored('"" is not on the scale 0, 1, 2, 3, 4, 5')


def test_log_probabilities_are_never_asked_for_behind_a_mask(rubric: Rubric) -> None:
    assert request_for(TURNS, rubric, "choice").top_logprobs is None
    assert request_for(TURNS, rubric, "expected").choices is None
    assert (request_for(TURNS, rubric, "expected").max_tokens, request_for(TURNS, rubric, "text").choices) == (1, None)


def test_a_choice_has_room_for_the_longest_label(ruled: Ruled) -> None:
    request = request_for(TURNS, ruled("[매우 나쁨, 매우 좋음]"), "choice")
    assert request.choices == ("매우 나쁨", "매우 좋음")
    assert request.max_tokens > len("매우 나쁨".encode())
