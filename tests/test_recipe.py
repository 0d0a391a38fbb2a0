"""Recipes: every way to be wrong is refused before work, with what is known; a right one can be run again."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from conftest import left_behind

from curate.errors import UsageError

ROWS = [
    {"instruction": "a?", "output": "1", "votes": 3, "tag": "x"},
    {"instruction": "나?", "output": "둘", "votes": 1},
    {"instruction": "나?", "output": "둘", "votes": 2},
]


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        ("steps: [lenght]", "no filter is called lenght", "did you mean length? Known: "),
        ("steps: [zzz]", "no filter is called zzz", "judge, keep-top"),
        ("steps: [{length: {min_char: 2}}]", "length has no parameter min_char", "did you mean min_chars? Known: max_chars, max_tokens, min_chars, min_tokens, of"),  # noqa: E501
        ("steps: [{length: {1: 2}}]", "length has no parameter 1", "known: max_chars"),
        ("steps: [{length: {min_chars: two}}]", "length.min_chars is 'two', a whole number was expected", "`curate filters show length` explains its parameters"),  # noqa: E501
        ("steps: [{length: {min_chars: 2.5}}]", "length.min_chars is 2.5, a whole number was expected", ""),
        ("steps: [{length: {min_chars: true}}]", "length.min_chars is True, a whole number was expected", ""),
        ("steps: [{length: {min_chars: [1]}}]", "length.min_chars is [1], a whole number was expected", ""),
        ("steps: [{length: {min_chars: 9, max_chars: 5}}]", "length: min_chars is 9 and max_chars 5: nothing lies between them", ""),  # noqa: E501
        ("steps: [{turns: {min_turns: 3, max_turns: 2}}]", "turns: min_turns is 3 and max_turns 2: nothing", ""),
        ("steps: [{length: {of: answer}}]", "length.of is 'answer'", "known: response, prompt, both"),
        ("steps: [{exact-dup: {normalise: 1}}]", "exact-dup.normalise is 1, true or false was expected", ""),
        ("steps: [{sample: {share: half}}]", "sample.share is 'half', a number was expected", ""),
        ("steps: [{keep-top: {n: 1, by: 3}}]", "keep-top.by is 3, a column's name was expected", ""),
        ("steps: [keep-top]", "keep-top: KeepTop.__init__() missing 1 required keyword-only argument: 'by'", "`curate filters show keep-top` explains its parameters"),  # noqa: E501
        ("steps: [length, exact-dup, length]", "recipe.yaml: two steps are called length", "give one another name with `as:`"),  # noqa: E501
        ("steps: [length, {exact-dup: , as: length}]", "recipe.yaml: two steps are called length", "give one another"),
        ("steps: [{length: , as: ../../x}]", "recipe.yaml, step 1 is called '../../x'", "a name has at most 64 letters, digits, - and _"),  # noqa: E501
        ("steps: [{length: , as: restore}]", "recipe.yaml, step 1 is called 'restore'", "none of restore, meta, row"),
        ("steps: [{length: , as: meta}]", "recipe.yaml, step 1 is called 'meta'", "none of restore, meta, row"),
        ("steps: [{length: , as: ''}]", "recipe.yaml, step 1 is called ''", "a name has"),
        ("steps: [{length: , as: [a]}]", "recipe.yaml, step 1 is called \"['a']\"", "a name has"),
        (f"steps: [{{length: , as: {'x' * 65}}}]", "recipe.yaml, step 1 is called 'xxx", "a name has at most 64"),
        ("steps: [{length: , unscored: maybe}]", "length: unscored is 'maybe'", "known: keep, drop, fail"),
        ("steps: [{length: , side: left}]", "length: side is 'left'", "known: chosen, rejected"),
        ("steps: [{length: , turns: }]", "recipe.yaml, step 1 names 2 filters: length, turns", "one step, one filter"),
        ("steps: [{as: x}]", "recipe.yaml, step 1 names 0 filters: ", "one step, one filter"),
        ("steps: [length, {length: 5}]", "recipe.yaml, step 2: length has 5 for parameters", "write `name: {parameter: value}`"),  # noqa: E501
        ("steps: [[length]]", "recipe.yaml, step 1 is ['length']", "write the filter's name"),
        ("steps: [5]", "recipe.yaml, step 1 is 5", "write the filter's name"),
        ("steps: [{5: {}}]", "no filter is called 5", "known: "),
        ("steps: []", "recipe.yaml has no list of steps", "it should read like this:\nname: thousand\nsteps:\n  - length"),  # noqa: E501
        ("steps: length", "recipe.yaml has no list of steps", "it should read like this"),
        ("", "recipe.yaml has no list of steps", "it should read like this"),
        ("- length", "recipe.yaml has no list of steps", "it should read like this"),
        ("step: [length]\nsteps: [length]", "recipe.yaml has the unknown field step", "known: name, about, steps"),
        ("steps: [length", "recipe.yaml is not YAML: while parsing a flow sequence", ""),
        ("steps: !!python/object/apply:os.system [id]", "recipe.yaml is not YAML: could not determine a constructor", ""),  # noqa: E501
    ],
)  # fmt: skip
def test_a_recipe_that_can_not_be_is_refused(here: Path, filtered: Any, text: str, message: str, remedy: str) -> None:
    (here / "recipe.yaml").write_text(text)
    with pytest.raises(UsageError) as refused:
        filtered(ROWS, recipe="recipe.yaml")
    assert refused.value.message.startswith(message)
    assert remedy in refused.value.remedy
    assert sorted(file.name for file in here.iterdir()) == ["raw.jsonl", "recipe.yaml"]


@pytest.mark.parametrize(
    ("by", "message", "remedy"),
    [
        ("loss.mean", "keep-top.by is loss.mean, which no step before it makes", "known: length.MEASURE, meta.NAME, row, source, line, "),  # noqa: E501
        ("exact-dup.low", "keep-top.by is exact-dup.low, which no step before it makes", "known: length.MEASURE"),
        ("chars", "keep-top.by is chars, which no step before it makes", "known: length.MEASURE"),
        ("length.words", "keep-top.by is length.words, which length does not measure", "known: length.chars, length.tokens"),  # noqa: E501
        ("meta.vote", "keep-top.by is meta.vote, which no row has", "known: meta.tag, meta.votes"),
        ("meta", "rows can't be ranked by meta, whose values are not numbers", "name a column of numbers"),
    ],
)  # fmt: skip
def test_a_column_that_nothing_makes_is_refused_with_a_list_of_what_there_is(
    filtered: Any, by: str, message: str, remedy: str
) -> None:
    with pytest.raises(UsageError) as refused:
        filtered(ROWS, "length", {"keep-top": {"n": 1, "by": by}}, "exact-dup")
    assert refused.value.message == message
    assert refused.value.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("setting", "message", "remedy"),
    [
        ("length", "--set length is not STEP.PARAM=VALUE", "as in --set length.min_chars=20"),
        ("length.min_chars", "--set length.min_chars is not STEP.PARAM=VALUE", "as in"),
        ("min_chars=2", "--set min_chars=2 is not STEP.PARAM=VALUE", "as in"),
        (".min_chars=2", "--set .min_chars=2 is not STEP.PARAM=VALUE", "as in"),
        ("lengths.min_chars=2", "--set lengths.min_chars=2: no step is called lengths", "did you mean length?"),
        ("length.min_chars=[", "--set length.min_chars=[: [ is not a YAML value", ""),
        ("length.min_chars=x", "length.min_chars is 'x', a whole number was expected", ""),
        ("length.min_char=3", "length has no parameter min_char", "did you mean min_chars?"),
        ("length.unscored=no", "length: unscored is False", "known: keep, drop, fail"),
        ("length.as=short", "length has no parameter as", "known: "),
    ],
)
def test_a_setting_that_can_not_be_is_refused(filtered: Any, setting: str, message: str, remedy: str) -> None:
    with pytest.raises(UsageError) as refused:
        filtered(ROWS, "length", set=[setting])
    assert refused.value.message == message
    assert refused.value.remedy.startswith(remedy)


def test_set_changes_parameters_and_options_of_the_step_that_is_named(filtered: Any) -> None:
    steps = ("length", {"length": None, "as": "long-enough"}, {"exact-dup": {"exclude": ["x"]}})
    settings = ["long-enough.max_chars=9", "long-enough.min_chars=null", "exact-dup.exclude=[]", "length.unscored=drop"]
    settings += ["exact-dup.of=prompt", "exact-dup.by=meta.votes"]
    result = filtered(ROWS, *steps, set=settings)
    first, second, third = result.run.read_facts()["recipe"]["steps"]
    assert (first["length"]["max_chars"], first["length"]["min_chars"], first["unscored"]) == (None, 1, "drop")
    assert (second["length"]["max_chars"], second["length"]["min_chars"], second["as"]) == (9, None, "long-enough")
    assert (third["exact-dup"]["exclude"], third["exact-dup"]["of"], third["exact-dup"]["by"]) == (
        [],
        "prompt",
        "meta.votes",
    )
    assert result.dropped["reason"].to_list() == ["same prompt as row:2"]


def test_keep_needs_a_step_that_selects(filtered: Any) -> None:
    with pytest.raises(
        UsageError,
        match="recipe recipe has no step that selects N rows\nrecipes that do: default-small, deita, lima, longest",
    ):
        filtered(ROWS, "length", keep=1)
    with pytest.raises(UsageError, match="--keep must be 1 or more"):
        filtered(ROWS, {"sample": {"n": 1}}, keep=0)


def test_keep_sets_n_of_the_last_step_that_has_one(filtered: Any) -> None:
    result = filtered(ROWS, {"sample": {"n": 3}}, {"sample": {"share": 1.0}, "as": "again"}, "exact-dup", keep=1)
    assert [step.dropped for step in result.summary.by_step] == [0, 2, 0]


def test_exclude_needs_a_step_that_can(filtered: Any) -> None:
    with pytest.raises(UsageError, match=r"no step of .* can take --exclude\nfilters that can: .*exact-dup"):
        filtered(ROWS, "length", exclude=["raw.jsonl"])


def test_a_file_to_exclude_that_is_not_there_is_refused_before_anything_is_written(here: Path, filtered: Any) -> None:
    with pytest.raises(Exception, match=r"had\.jsonl does not exist") as refused:
        filtered(ROWS, "exact-dup", exclude=["had.jsonl"])
    assert refused.value.exit_status == 2  # type: ignore[attr-defined]
    assert not (here / ".curate" / "pools").exists()


@pytest.mark.parametrize("name", ["defalt", "nothing.yaml"])
def test_an_unknown_recipe_names_the_known(filtered: Any, name: str) -> None:
    with pytest.raises(
        UsageError,
        match=f"no recipe is called {name}\n.*default, default-small, deita, lima, longest, mig, phi, random",
    ):
        filtered(ROWS, recipe=name)


def test_a_filter_of_mutable_fields_is_refused(filtered: Any, plugin: Any) -> None:
    file = plugin("@dataclasses.dataclass\nclass Loose:\n    def decide(self, measures, pool): return measures\n")
    with pytest.raises(UsageError, match=r"filter loose is not a frozen dataclass\nwrite @dataclass\(frozen=True"):
        filtered(ROWS, "loose", plugins=[file])


def test_as_names_the_step_in_ledger_dropped_and_columns(filtered: Any) -> None:
    result = filtered(
        ROWS,
        {"length": None, "as": "size"},
        {"keep-top": {"n": 2, "by": "size.chars"}, "as": "두-줄"},
        {"keep-top": {"n": 1, "by": "meta.votes"}, "as": "7"},
    )
    assert result.ledger["step"].unique(maintain_order=True).to_list() == ["size", "두-줄", "7"]
    assert [part.name for part in result.run.parts()] == ["01-size.parquet", "02-두-줄.parquet", "03-7.parquet"]
    assert result.dropped.select("step", "reason").rows() == [
        ("7", "meta.votes is 1, rank 2, only 1 are kept"),
        ("두-줄", "size.chars is 1, rank 3, only 2 are kept"),
    ]


def test_a_step_whose_name_ends_like_restore_drops_like_any_other(filtered: Any) -> None:
    result = filtered(ROWS, {"exact-dup": None, "as": "pre-restore"})
    assert result.dropped.select("row", "step").rows() == [(2, "pre-restore")]


def test_side_rejected_gives_the_other_answer_under_the_same_names(filtered: Any) -> None:
    rows = [{"prompt": "1 + 1?", "chosen": "two", "rejected": r} for r in ("3", "", "네 개")]
    steps = ({"length": {"max_chars": 3}}, {"length": {"min_chars": 2}, "side": "rejected", "as": "other"})
    result = filtered([*rows, {"instruction": "no other side", "output": "yes"}], *steps)
    assert result.ledger.select("step", "row", "reason").rows() == [
        *[("length", row, None) for row in range(4)],
        ("other", 0, "response has 1 characters, fewer than 2"),
        ("other", 1, "response has 0 characters, fewer than 2"),
        ("other", 2, None),
        ("other", 3, None),
    ]


STEPS = (
    {"length": {"min_chars": 1}, "as": "size", "unscored": "fail"},
    {"exact-dup": {"by": "meta.votes", "exclude": ["had.jsonl"]}},
    {"sample": {"share": 0.9, "by": "meta.tag"}, "as": "drawn"},
)


@pytest.mark.parametrize("where", ["run.json", "card"])
def test_the_recipe_that_a_run_wrote_down_runs_again_to_the_same_bytes(here: Path, filtered: Any, where: str) -> None:
    (here / "had.jsonl").write_text('{"instruction": "z?", "output": "z"}\n')
    rows = [*ROWS, *[(f"{k}?", "네") for k in range(30)]]
    first = filtered(rows, *STEPS, seed=7)
    if where == "card":
        text = re.findall(r"```yaml\n(.*?)```", (here / "curated.card.md").read_text(), re.S)[0]
    else:
        text = yaml.safe_dump(orjson.loads((first.run.path / "run.json").read_bytes())["recipe"])
    (here / "again.yaml").write_text(text)
    again = filtered(rows, recipe="again.yaml", work_dir="other", output="again.jsonl")
    assert left_behind(again.run.path, here / "again.jsonl") == left_behind(first.run.path, here / "curated.jsonl")
    assert again.run.read_facts()["recipe"] == first.run.read_facts()["recipe"]


def test_a_recipe_spells_out_every_default(filtered: Any) -> None:
    facts = filtered(ROWS, recipe="default").run.read_facts()
    assert facts["recipe"]["steps"][0] == {
        "length": {"of": "response", "min_chars": 1, "max_chars": None, "min_tokens": None, "max_tokens": None},
        "as": "length",
        "unscored": "keep",
        "side": "chosen",
    }


def test_a_step_that_asks_a_model_may_be_left_out_where_none_is_named() -> None:
    from curate.recipe import load_recipe

    filters = [step.filter_name for step in load_recipe("phi").steps]
    assert "educational-code" in filters and "judge" not in filters
    judged = load_recipe("phi", judge="http://127.0.0.1:1/v1#m").steps[-2]
    assert (judged.filter_name, getattr(judged.filter, "rubric", None)) == ("judge", "educational-value-code")
    with pytest.raises(UsageError, match="name a model"):
        load_recipe("alpagasus")
