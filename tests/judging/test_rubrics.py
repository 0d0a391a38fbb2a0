"""Rubrics: what each says, what a model reads of a row, and what is wrong with a file that is none."""

import re
from pathlib import Path

import pytest
from conftest import REPOSITORY, Command

from curate.errors import UsageError
from curate.judging.rubrics import built_in_rubrics, load_rubric

NAMES = ["accuracy", "better-answer", "complexity", "educational-value", "educational-value-code", "quality"]


def test_these_rubrics_are_built_in_each_in_english_and_korean() -> None:
    assert {name: sorted(files) for name, files in built_in_rubrics().items()} == {name: ["en", "ko"] for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_of_a_rubric_ask_the_same(name: str) -> None:
    english, korean = load_rubric(name, "en"), load_rubric(name, "ko")
    for field in ("name", "version", "scale", "keep", "pairwise"):
        assert getattr(english, field) == getattr(korean, field)
    assert (english.name, english.language, korean.language) == (name, "en", "ko")
    assert english.text.count("\n") == korean.text.count("\n"), "a line for a line"
    letters = re.findall(r"\w", korean.text)
    assert sum("가" <= letter <= "힣" for letter in letters) > 0.8 * len(letters)
    assert english.about and korean.about and english.source and korean.source


@pytest.mark.parametrize(
    ("name", "scale", "keep"),
    [
        ("educational-value", range(6), 3),
        ("educational-value-code", range(6), 3),
        ("accuracy", range(6), 4.5),
        ("complexity", range(1, 7), None),
        ("quality", range(1, 7), None),
    ],
)
def test_the_scales_are_those_of_the_papers(name: str, scale: range, keep: float | None) -> None:
    rubric = load_rubric(name)
    assert rubric.scale == {str(k): float(k) for k in scale}
    assert rubric.keep == keep


@pytest.mark.parametrize(
    ("scale", "read"),
    [
        ("0-5", {"0": 0, "1": 1, "2": 2, "3": 3, "4": 4, "5": 5}),
        ("9-11", {"9": 9, "10": 10, "11": 11}),
        ("[1, 2, 4]", {"1": 1, "2": 2, "4": 4}),
        ("[bad, good]", {"bad": 0, "good": 1}),
        ("{나쁨: 0, 좋음: 10}", {"나쁨": 0, "좋음": 10}),
        ('["no", "yes"]', {"no": 0, "yes": 1}),
    ],
)
def test_a_scale_is_a_range_a_list_or_labels_with_their_values(scale: str, read: dict[str, float], here: Path) -> None:
    (here / "mine.md").write_text(f"---\nname: mine\nscale: {scale}\n---\nIs it?")
    assert load_rubric("mine.md").scale == read


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Is it polite?", "mine.md is no rubric: it does not begin with a front matter"),
        ("---\nname: [\n---\nIs it?", "mine.md is no rubric: its front matter is not YAML"),
        ("---\nname: mine\n---\nIs it?", "mine.md: its front matter has no scale"),
        ("---\nscale: 0-5\n---\nIs it?", "mine.md: its front matter has no name"),
        ("---\nname: mine\nscale: 0-5\n---\n\n", "mine.md is no rubric: below the front matter it says nothing"),
        ("---\nname: mine\nscale: 0-5\nkep: 3\n---\nIs it?", "mine.md: unknown field kep"),
        ("---\nname: mine\nscale: 5\n---\nIs it?", "mine.md: scale 5 is none\nas in scale: 0-5"),
        ("---\nname: mine\nscale: 5-0\n---\nIs it?", "mine.md: scale 5-0 is none\nthe lower number first"),
        ("---\nname: mine\nscale: 1-100000000\n---\nIs it?", "at most 1,000 labels"),
        ("---\nname: mine\nscale: [1]\n---\nIs it?", "mine.md: a scale has 2 to 1,000 labels, not 1"),
        ("---\nname: mine\nscale: [[a], b]\n---\nIs it?", "is no word\nas in scale: [bad, good]"),
        ("---\nname: mine\nscale: {a: .nan, b: 1}\n---\nIs it?", "is no finite number"),
        ("---\nname: mine\nscale: {a: 0, b: .inf}\n---\nIs it?", "is no finite number"),
        ("---\nname: mine\nscale: [no, yes]\n---\nIs it?", "mine.md: YAML reads yes, no, on, off and null as no words"),
        ("---\nname: mine\nscale: {a: x, b: y}\n---\nIs it?", "is no number"),
        ("---\nname: mine\nscale: {a: 1, b: 1}\n---\nIs it?", "can't tell rows apart"),
        (
            "---\nname: mine\nscale: 0-5\nkeep: 6\n---\nIs it?",
            "mine.md: keep 6 is not on the scale\na number from 0 to 5",
        ),
        ("---\nname: mine\nscale: 0-5\nkeep: high\n---\nIs it?", "mine.md: keep 'high' is not on the scale"),
        ("---\nname: mine\nscale: 0-5\nversion: a\n---\nIs it?", "mine.md: version 'a' is no whole number"),
        ("---\nname: mine\nscale: 0-5\nlanguage: fr\n---\nIs it?", "mine.md: there is no language 'fr'\nknown: en, ko"),
        ("---\nname: mine\nscale: 0-5\npairwise: true\n---\nIs it?", "mine.md: a pairwise rubric has two labels"),
        (
            "---\nname: mine\nscale: 0-5\n---\nIs {{ answer }}?",
            "mine.md: 'answer' is undefined\na rubric holds no variables",
        ),
        ("---\nname: mine\nscale: 0-5\n---\nIs {% it?", "mine.md is no rubric: "),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text: str, said: str, here: Path) -> None:
    (here / "mine.md").write_text(text)
    with pytest.raises(UsageError) as error:
        load_rubric("mine.md")
    assert said in str(error.value)


def test_a_name_that_is_not_known_brings_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no rubric is called acuracy\n.*did you mean accuracy\?.*or name a file"):
        load_rubric("acuracy")


def test_the_rubric_of_the_documentation_works_as_it_is_printed(here: Path) -> None:
    printed = re.findall(r"```markdown\n(.*?)```", (REPOSITORY / "docs" / "judge.md").read_text(), re.S)[0]
    assert printed.count("\n") <= 10
    (here / "polite.md").write_text(printed)
    rubric = load_rubric("polite.md")
    assert (rubric.name, rubric.scale, rubric.keep) == ("polite", {"1": 1, "2": 2, "3": 3}, 2)


def test_a_model_reads_rubric_row_and_way_to_answer_in_this_order() -> None:
    system, user = load_rubric("quality").turns("expected", prompt="Why?", response="Because.")
    assert (system.role, user.role) == ("system", "user")
    assert load_rubric("quality").text in system.content
    mark = user.content.split()[1]
    assert re.fullmatch("[0-9a-f]{4}", mark)
    assert user.content == (
        f"ROW {mark}\n[prompt] {mark}\nWhy?\n\n[response] {mark}\nBecause.\n\nEND OF ROW {mark}\n\n"
        "By the rubric, answer with one of 1, 2, 3, 4, 5, 6 alone.\n\nScore:"
    )


def test_the_same_in_korean() -> None:
    system, user = load_rubric("quality", "ko").turns("text", prompt="왜?", response="그래서.")
    assert load_rubric("quality", "ko").text in system.content
    mark = user.content.split()[2]
    assert user.content == (
        f"행 시작 {mark}\n[프롬프트] {mark}\n왜?\n\n[응답] {mark}\n그래서.\n\n행 끝 {mark}\n\n"
        "위의 행을 기준에 따라 평가하세요. 이유를 쓰고, 마지막 줄에 `점수: `와 1, 2, 3, 4, 5, 6 중 하나를 쓰세요."
    )


@pytest.mark.parametrize(
    ("language", "titles", "said"),
    [
        ("en", ["[first answer: A]", "[second answer: B]"], "A stands for the first answer, B for the second."),
        ("ko", ["[첫째 답변: A]", "[둘째 답변: B]"], "(첫째 답변: A, 둘째 답변: B)"),
    ],
)
def test_of_a_pair_each_answer_bears_its_label(language: str, titles: list[str], said: str) -> None:
    rubric = load_rubric("better-answer", language)  # type: ignore[arg-type]
    system, user = rubric.turns("expected", prompt="Which?", first="this one", second="that one")
    assert said in system.content
    first, second = (user.content.index(title) for title in titles)
    assert first < user.content.index("this one") < second < user.content.index("that one")


@pytest.mark.parametrize("mode", ["expected", "text", "choice"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_all_rows_share_what_stands_before_them(mode: str, language: str) -> None:
    rubric = load_rubric("accuracy", language)  # type: ignore[arg-type]
    first, second = (rubric.turns(mode, prompt=text, response=text * 2)[0] for text in ("a", "나"))  # type: ignore[arg-type]
    assert first == second


def test_what_looks_like_a_template_stays_as_it_is(here: Path) -> None:
    (here / "mine.md").write_text("---\nname: mine\nscale: 0-5\n---\nTitle\n=====\n\nIs it?")
    system, user = load_rubric("mine.md").turns("expected", prompt="{{ 7 * 7 }}", response="{% raw %}\n=====\n")
    assert "Title\n=====\n\nIs it?" in system.content
    assert "{{ 7 * 7 }}" in user.content and "{% raw %}\n=====\n" in user.content


@pytest.mark.parametrize("change", ["scale: 0-4", "scale: [0, 1]\npairwise: true", "scale: 0-5\nlanguage: ko"])
def test_whatever_changes_what_the_model_reads_changes_the_fingerprint(change: str, here: Path) -> None:
    prints = set()
    for n, fields in enumerate(["scale: 0-5", "scale: 0-5\nabout: for people", change]):
        (here / f"{n}.md").write_text(f"---\nname: mine\n{fields}\n---\nIs it?")
        prints.add(load_rubric(f"{n}.md").fingerprint)
    assert len(prints) == 2


def test_the_command_lists_and_shows_rubrics(cli: Command) -> None:
    said = cli("rubrics").out
    assert "accuracy\n  whether the response is right and does what was asked\n" in said
    assert "  scale: 0, 1, 2, 3, 4, 5, worth keeping from 4.5; languages: en, ko\n" in said
    shown = cli("rubrics", "show", "accuracy", "--language", "ko").out
    assert shown.rstrip() == (REPOSITORY / "prompts" / "judge" / "accuracy.ko.md").read_text().rstrip()
    assert "did you mean accuracy?" in cli("rubrics", "show", "acuracy", status=2).err
