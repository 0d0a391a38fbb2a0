"""judge: a model's score by a rubric decides; what it could not score is said, counted, and never a number."""

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from aiohttp import web
from chat_server import Server, chat_answer, with_logprobs
from conftest import Command, Filtered, Reasons, write_rows

import curate
from curate.errors import StoppedError, UsageError
from curate.models import forget_model


def scores(**by_word: float | dict[str, float] | Any) -> Any:
    """A judge that gives the score of the first of these words that the row holds."""

    def answer(body: dict[str, Any], _: int) -> Any:
        text = body["messages"][-1]["content"]
        for word, score in by_word.items():
            if word in text:
                return score(body) if callable(score) else with_logprobs(score)
        return with_logprobs({"3": -0.01})

    return answer


def log(**shares: float) -> dict[str, float]:
    return {label.removeprefix("_"): math.log(share) for label, share in shares.items()}


ROWS = [
    ("What is a prime?", "good: a number with two divisors"),
    ("Buy!", "poor: buy now"),
    ("소수란?", "fair: 약수가 둘인 수"),
]


def test_rows_of_little_worth_go_with_their_score(server: Server, reasons: Reasons) -> None:
    server.answer = scores(good=log(_4=0.5, _5=0.5), poor=log(_0=0.5, _1=0.5), fair=log(_2=0.1, _3=0.9))
    said = reasons(ROWS, {"judge": {"model": server.model, "at_least": 2.9}})
    assert said == [None, "educational-value is 0.5, less than 2.9", None]


def test_the_rubric_says_from_which_score_a_row_is_kept(server: Server, reasons: Reasons) -> None:
    server.answer = scores(good=log(_3=1.0), poor=log(_2=0.2, _3=0.8))
    said = reasons(ROWS[:2], {"judge": {"model": server.model}})
    assert said == [None, "educational-value is 2.8, less than 3"]


def test_another_threshold_asks_nothing(server: Server, filtered: Filtered) -> None:
    server.answer = scores(good=log(_4=1.0), poor=log(_1=1.0))
    filtered(ROWS, {"judge": {"model": server.model}})
    asked = len(server.asked)
    assert filtered(None, {"judge": {"model": server.model, "at_least": 4.0}}).summary.kept == 1
    assert len(server.asked) == asked


def test_rows_revived_by_a_changed_threshold_are_asked_and_only_they(server: Server, filtered: Filtered) -> None:
    server.answer = scores()
    filtered(ROWS, {"length": {"min_chars": 20}}, {"judge": {"model": server.model}})
    asked = len(server.asked)
    filtered(None, {"length": {"min_chars": 1}}, {"judge": {"model": server.model}})
    assert len(server.asked) == asked + 2


def test_what_is_no_score_is_unscored_and_kept(server: Server, filtered: Filtered) -> None:
    server.answer = scores(good=log(_4=1.0), poor=log(The=0.9, _1=0.01))
    result = filtered(ROWS[:2], {"judge": {"model": server.model}})
    assert (result.summary.kept, result.summary.unscored) == (2, 1)
    row = result.ledger.filter(pl.col("row") == 1)
    assert row["verdict"][0] == "unscored" and row["value"][0] is None
    assert row["reason"][0] == 'the answer began with "The", not with a label'


def test_unscored_rows_go_where_the_step_says_so_and_never_take_a_place(server: Server, filtered: Filtered) -> None:
    server.answer = scores(good=log(_1=1.0), poor=log(The=0.9))
    judge = {"judge": {"model": server.model, "at_least": 0.0}}
    assert filtered(ROWS[:2], {**judge, "unscored": "drop"}).summary.kept == 1
    result = filtered(None, judge, {"keep-top": {"n": 2, "by": "judge.score"}})
    assert result.kept["row"].to_list() == [0]


def test_doubt_is_reported_and_can_be_bounded(server: Server, filtered: Filtered) -> None:
    server.answer = scores(good=log(_4=0.6, I=0.4))
    kept = filtered(ROWS[:1], {"judge": {"model": server.model}})
    assert '"doubt":0.4' in kept.ledger["evidence"][0]
    doubted = filtered(None, {"judge": {"model": server.model, "max_doubt": 0.3}})
    assert doubted.ledger["verdict"][0] == "unscored"
    assert doubted.ledger["reason"][0] == "0.4 of the judge's belief lies off the scale"


def test_a_server_without_log_probabilities_is_asked_for_a_reason_and_a_score(server: Server, reasons: Reasons) -> None:
    def answer(body: dict[str, Any], _: int) -> Any:
        return chat_answer(
            "It sells something.\nScore: 1" if "poor" in body["messages"][-1]["content"] else "It is clear.\nScore: 4"
        )

    server.answer = answer
    said = reasons(ROWS[:2], {"judge": {"model": server.model}})
    assert said == [None, "educational-value is 1.0, less than 3"]


def test_a_choice_is_asked_for_by_structured_output(server: Server, reasons: Reasons) -> None:
    server.answer = lambda body, _: chat_answer(
        body["structured_outputs"]["choice"]["good" in body["messages"][-1]["content"]]
    )
    said = reasons(ROWS[:2], {"judge": {"model": server.model, "mode": "choice", "at_least": 1}})
    assert said == [None, "educational-value is 0.0, less than 1"]


def test_long_rows_are_cut_in_the_middle_where_all_can_see_it_or_unscored(server: Server, filtered: Filtered) -> None:
    server.answer = scores()
    row = [("Why?", "first " + "x" * 5000 + " last")]
    result = filtered(row, {"judge": {"model": server.model, "max_chars": 200}})
    shown = server.asked[-1]["messages"][-1]["content"]
    assert "first x" in shown and "x last" in shown and "characters left out here" in shown and len(shown) < 600
    assert '"cut":true' in result.ledger["evidence"][0]
    whole = filtered(None, {"judge": {"model": server.model, "max_chars": 200, "long": "unscored"}})
    assert whole.ledger["reason"][0] == "longer than the 200 characters that max_chars allows"


def test_pairs_are_judged_in_both_orders_and_flips_are_counted(server: Server, filtered: Filtered) -> None:
    pairs = [
        {"prompt": "Name a colour", "chosen": "blue it is", "rejected": "no"},
        {"prompt": "Name a fruit", "chosen": "pear", "rejected": "apple"},
    ]

    def answer(body: dict[str, Any], _: int) -> Any:
        text = body["messages"][-1]["content"]
        first_is_blue = "blue" in text and text.index("blue") < text.index("no\n")
        likes_first = first_is_blue or "fruit" in text  # of fruit, whatever stands first
        return with_logprobs(log(A=0.9, B=0.1) if likes_first else log(A=0.1, B=0.9))

    server.answer = answer
    result = filtered(pairs, {"judge": {"model": server.model, "rubric": "better-answer", "at_least": 0.6}})
    assert result.ledger["value"].to_list() == pytest.approx([0.9, 0.5])
    assert "in the other order in 50.0% of the pairs" in " ".join(result.summary.by_step[0].notes)


def test_several_judges_combine(server: Server, reasons: Reasons) -> None:
    server.answer = scores(good=log(_4=1.0), poor=log(_1=1.0))
    judges = [
        {"judge": {"model": server.model, "at_least": 0.0}, "as": "value"},
        {"judge": {"model": server.model, "rubric": "accuracy", "at_least": 0.0}, "as": "accuracy"},
    ]
    both = ["value.score", "accuracy.score"]
    assert reasons(ROWS[:2], *judges, {"combine": {"of": both, "at_least": 2}}) == [
        None,
        "mean of value.score, accuracy.score is 1.0, less than 2",
    ]
    assert reasons(None, *judges, {"combine": {"of": both, "how": "all", "at_least": [0.5, 3.5]}}) == [
        None,
        "accuracy.score is 1.0, less than 3.5",
    ]


def test_without_a_model_there_are_three_ways_to_go_on(reasons: Reasons) -> None:
    with pytest.raises(UsageError, match=r"(?s)name a model.*vllm:.*http://.*hf:"):
        reasons(ROWS, "judge")


def test_the_flag_adds_a_judge_before_what_selects(server: Server, here: Any) -> None:
    server.answer = scores()
    write_rows(here / "raw.jsonl", ROWS)
    result = curate.filter("raw.jsonl", recipe="longest", judge=server.model, keep=1)
    assert [step.step for step in result.summary.by_step] == ["length", "exact-dup", "judge", "keep-top"]


def test_what_it_will_take_is_said_first(server: Server, cli: Command, here: Any) -> None:
    server.answer = scores()
    write_rows(here / "raw.jsonl", ROWS)
    (here / "curate.toml").write_text("[prices.tiny]\nin = 1000.0\nout = 1000.0\n")
    said = cli("filter", "raw.jsonl", "--judge", server.model, "--budget", "1000").err
    assert "judge: 3 rows, about " in said and "the cache has 0% of the replies" in said
    assert "to pay" in said and "at the rate of the first 3 answers" in said
    assert "models: 4 answers" in said  # the probe for log-probabilities is one


def test_a_budget_without_a_price_is_told_how_to_set_one(server: Server, cli: Command, here: Any) -> None:
    write_rows(here / "raw.jsonl", ROWS)
    said = cli("judge", "raw.jsonl", "--model", server.model, "--budget", "1", status=2).err
    assert said.startswith("error: --budget needs to know what the model costs per million tokens\n  -> ")


def test_an_output_that_can_not_be_written_is_said_before_anything_is_asked(server: Server, cli: Command) -> None:
    write_rows(Path("raw.jsonl"), ROWS)
    said = cli("judge", "raw.jsonl", "--model", server.model, "-o", "/proc/scored.jsonl", status=2).err
    assert "/proc" in said and "tmp" not in said
    assert server.asked == []


def test_a_spent_budget_ends_with_1_and_goes_on_later(server: Server, cli: Command, here: Any) -> None:
    server.answer = scores()
    write_rows(here / "raw.jsonl", [(f"Q{k}?", f"good {k}") for k in range(600)])
    said = cli("filter", "raw.jsonl", "--judge", server.model, "--max-tokens", "400", status=1).err
    assert "the 400 tokens that --max-tokens allows are used" in said
    assert not (here / "curated.jsonl").exists()
    asked = len(server.asked)
    assert asked < 400
    cli("filter", "raw.jsonl", "--judge", server.model)
    assert len(server.asked) <= 600 + 1  # and the probe for log-probabilities


def test_scoring_alone_keeps_to_the_limit_and_tells_what_it_asked(server: Server, cli: Command, here: Any) -> None:
    server.answer = scores()
    write_rows(here / "raw.jsonl", [(f"Q{k}?", f"good {k}") for k in range(600)])
    said = cli("judge", "raw.jsonl", "--model", server.model, "--max-tokens", "400", status=1).err
    assert "the 400 tokens that --max-tokens allows are used" in said
    assert len(server.asked) < 400
    assert "models: " in cli("judge", "raw.jsonl", "--model", server.model).err


def test_requests_that_finally_fail_are_unscored_and_end_with_1(server: Server, cli: Command, here: Any) -> None:
    write_rows(here / "raw.jsonl", ROWS)
    server.answer = scores(good=log(_4=1.0), poor=lambda body: web.Response(status=400, text="too long"))
    said = cli("filter", "raw.jsonl", "--judge", server.model, status=1).err
    assert "1 requests finally failed; their rows are unscored" in said
    assert (here / "curated.jsonl").read_text().count("\n") == 3


def test_a_dry_run_only_estimates(server: Server, cli: Command, here: Any) -> None:
    server.answer = scores()
    write_rows(here / "raw.jsonl", ROWS)
    said = cli("filter", "raw.jsonl", "--judge", server.model, "--dry-run").err
    assert "judge: left out of the dry run (3 rows, about" in said
    assert server.asked == []


def test_judging_drops_nothing_and_writes_scores_beside_the_row(server: Server, cli: Command, here: Any) -> None:
    write_rows(here / "raw.jsonl", ROWS)
    with (here / "raw.jsonl").open("a") as file:
        file.write("broken\n")
    server.answer = scores(good=log(_4=1.0), poor=log(The=1.0), fair=log(_2=0.5, _3=0.5))
    said = cli("judge", "raw.jsonl", "--model", server.model, "--json")
    assert "1 of 4 records could not be read; the first is raw.jsonl:4" in said.err
    summary = json.loads(said.out)
    assert (summary["records"], summary["rejected"], summary["rows"], summary["scored"]) == (4, 1, 3, 2)
    assert "0 from the cache" in said.err
    lines = pl.read_ndjson(here / "scored.jsonl")
    assert lines["_judge"].struct.field("score").to_list() == pytest.approx([4.0, None, 2.5])
    assert lines["_judge"].struct.field("unscored")[1] == 'the answer began with "The", not with a label'
    assert lines["output"].to_list() == [row[1] for row in ROWS]
    assert "scored 2 of 3 rows, mean 3.25" in said.err


def test_a_dead_server_stops_with_the_next_step(server: Server, reasons: Reasons, monkeypatch: Any) -> None:
    from curate.models import server as server_module

    monkeypatch.setattr(server_module, "PATIENCE", 0.5)
    monkeypatch.setattr(server_module, "FIRST_WAIT", 0.05)
    server.answer = lambda body, n: with_logprobs(log(_4=1.0)) if n < 3 else web.Response(status=500)
    with pytest.raises(StoppedError, match="has given no good answer"):
        reasons(ROWS, {"judge": {"model": server.model}})
    forget_model(server.model)
