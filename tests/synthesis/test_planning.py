"""The plan: variety from topics and axes, without repeats, the same on every machine."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import InputError
from curate.synthesis.planning import Plan, Seed, Topic, thinnest_first, topics_of

KINDS = ("exercises", "textbook", "instructions", "evolve")


def about(seed: Seed) -> tuple[str, ...]:
    return (seed.topic.name, seed.skill, seed.audience, seed.form, seed.constraint)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_combination_comes_twice_before_all_have_come(kind: str, language: str) -> None:
    plan = Plan.of(kind, language, 0, [Topic((name,)) for name in ("bread", "rivers", "locks")])
    seeds = [plan[k] for k in range(plan.size)]
    assert len(set(map(about, seeds))) == plan.size
    assert {seed.again for seed in seeds} == {0}
    assert plan[plan.size].again == 1
    assert len({seed.number for seed in seeds}) == plan.size


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 7), st.integers(1, 200))
def test_topics_come_equally_often(seed: int, topics: int, attempts: int) -> None:
    plan = Plan.of("textbook", "en", seed, [Topic((str(k),)) for k in range(topics)])
    counts = Counter(plan[k].topic.name for k in range(attempts * topics))
    assert set(counts.values()) == {attempts}


def test_a_seed_is_the_same_wherever_it_is_asked_for() -> None:
    plan = Plan.of("exercises", "en", 7)
    assert [plan[k] for k in (500, 3, 500)] == [Plan.of("exercises", "en", 7)[k] for k in (500, 3, 500)]
    assert about(plan[3]) != about(Plan.of("exercises", "en", 8)[3])


def test_korean_plans_are_in_korean() -> None:
    seed = Plan.of("instructions", "ko", 0)[0]
    assert all(any("가" <= letter <= "힣" for letter in text) for text in about(seed))


def test_users_name_topics_as_a_list_or_in_branches(tmp_path: Path) -> None:
    file = tmp_path / "topics.yaml"
    file.write_text("baking | 빵: [yeast | 효모, ovens]\nknots:\n  sailing: [bowline]\n", encoding="utf-8")
    assert [topic.name for topic in topics_of(file, "en")] == [
        "baking > yeast",
        "baking > ovens",
        "knots > sailing > bowline",
    ]
    assert topics_of(file, "ko")[0].name == "빵 > 효모"
    file.write_text("- one\n- two\n")
    assert [topic.name for topic in topics_of(file, "en")] == ["one", "two"]


@pytest.mark.parametrize("text", ["", "[]", "{a: []}", "a: [unclosed"])
def test_a_file_without_topics_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "topics.yaml").write_text(text)
    with pytest.raises(InputError, match=r"topics\.yaml"):
        topics_of(tmp_path / "topics.yaml", "en")


def test_thin_topics_come_more_often() -> None:
    topics = thinnest_first({"full": ["row"] * 100, "thin": ["row"] * 25, "single": ["row"]})
    assert [(topic.name, topic.share) for topic in topics] == [("full", 1), ("thin", 2), ("single", 4)]
    plan = Plan.of("instructions", "en", 0, topics)
    assert Counter(plan[k].topic.name for k in range(70)) == {"full": 10, "thin": 20, "single": 40}
