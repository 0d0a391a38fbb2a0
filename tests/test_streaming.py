"""Filters that stream, as a model does: only the living, in any order, never asked twice, never a guess."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import left_behind

import curate
from curate.errors import StoppedError, UsageError

ROWS = [(f"{k}?", "가나다라마바사아자차"[: k + 1]) for k in range(10)]

JUDGE = """
import curate.measuring

@frozen
class Judge:
    '''Scores each row by its length, slowly; notes whom it was asked about, and can be told to fail.'''
    makes = ("score",)
    reads = ("response",)
    least: float | None = threshold(None)

    def stream(self, batches):
        curate.measuring.FLUSH_ROWS = 1
        refused = Path("refused").read_text().split() if Path("refused").exists() else []
        left = int(Path("left").read_text()) if Path("left").exists() else 1000
        for rows in batches:
            for row, response in reversed(list(rows.select("row", "response").iter_rows())):
                if left == 0:
                    if Path("kill").exists():
                        os.kill(os.getpid(), 9)
                    raise ConnectionError("the model is gone")
                left -= 1
                with open("asked", "a") as asked:
                    asked.write(f"{row} ")
                problem = "no score in the reply" if str(row) in refused else None
                score = None if problem else len(response)
                yield pl.DataFrame({"row": [row], "score": [score], "problem": [problem]})

    def decide(self, measures, pool):
        return within(measures, "score", low=self.least)
"""


@pytest.fixture
def judged(here: Path, filtered: Any, plugin: Any) -> Any:
    """As `filtered`, with a judge among the filters."""
    file = plugin(JUDGE)

    def run(*steps: Any, rows: Any = ROWS, **options: Any) -> curate.Result:
        result: curate.Result = filtered(rows, *steps, plugins=[file], **options)
        return result

    return run


def asked(here: Path) -> list[int]:
    """Whom the judge was asked about since the last call, sorted."""
    if not (here / "asked").exists():
        return []
    text = (here / "asked").read_text()
    (here / "asked").unlink()
    return sorted(map(int, text.split()))


def test_only_the_living_are_asked_about_and_answers_may_come_in_any_order(here: Path, judged: Any) -> None:
    result = judged({"length": {"min_chars": 4}}, {"judge": {"least": 6}})
    assert asked(here) == [3, 4, 5, 6, 7, 8, 9]
    assert result.ledger.filter(step="judge").select("row", "verdict", "reason").rows() == [
        (3, "drop", "score is 4, less than 6"),
        (4, "drop", "score is 5, less than 6"),
        *[(row, "keep", None) for row in range(5, 10)],
    ]
    assert result.summary.by_step[1].measured == 7


def test_a_changed_threshold_asks_about_nobody(here: Path, judged: Any) -> None:
    judged({"judge": {"least": 6}})
    asked(here)
    assert judged({"judge": {"least": 8}}).summary.kept == 3
    assert asked(here) == []


def test_a_revived_row_is_asked_about_and_only_it(here: Path, judged: Any) -> None:
    judged({"length": {"min_chars": 8}}, "judge")
    assert asked(here) == [7, 8, 9]
    result = judged({"length": {"min_chars": 6}}, "judge")
    assert asked(here) == [5, 6]
    assert result.summary.by_step[1].measured == 2
    assert judged({"length": {"min_chars": 7}}, "judge").summary.kept == 4
    assert asked(here) == []


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ({"judge": {"least": 6}}, [2, 5, 6, 7, 8, 9]),
        ({"judge": {"least": 6}, "unscored": "keep"}, [2, 5, 6, 7, 8, 9]),
        ({"judge": {"least": 6}, "unscored": "drop"}, [5, 6, 7, 8, 9]),
    ],
)
def test_an_unscored_row_is_kept_or_dropped_as_the_step_says_and_counted(
    here: Path, judged: Any, step: dict[str, Any], kept: list[int]
) -> None:
    (here / "refused").write_text("2")
    result = judged(step)
    assert result.kept["row"].to_list() == kept
    assert result.summary.unscored == result.summary.by_step[0].unscored == 1
    line = result.ledger.row(2, named=True)
    assert (line["verdict"], line["reason"], line["value"]) == ("unscored", "no score in the reply", None)
    assert line["kept"] == (2 in kept)
    if 2 not in kept:
        assert "no score in the reply" in (result.run.path / "dropped.jsonl").read_text()


def test_unscored_fail_stops_and_names_a_row(here: Path, judged: Any) -> None:
    (here / "refused").write_text("2 4")
    with pytest.raises(StoppedError) as stopped:
        judged({"judge": {"least": 6}, "unscored": "fail"})
    assert stopped.value.message == (
        "step judge could not score 2 rows, for example raw.jsonl:3: no score in the reply"
    )
    assert stopped.value.remedy == "let them pass or go with --set judge.unscored=keep or drop"
    (here / "refused").unlink()
    asked(here)
    assert judged({"judge": {"least": 6}, "unscored": "fail"}).summary.kept == 5
    assert asked(here) == [2, 4]


def test_unscored_fail_stops_at_what_decide_leaves_unscored_but_not_at_a_row_that_is_gone(
    here: Path, filtered: Any, plugin: Any
) -> None:
    file = plugin("""
@frozen
class Unsure:
    '''Can't say anything of a response of five letters.'''
    per_row = True

    def measure(self, rows):
        return rows.select(size=pl.col("response").str.len_chars())

    def decide(self, measures, pool):
        unsure = pl.col("size") == 5
        verdict = pl.when(unsure).then(pl.lit("unscored")).otherwise(pl.lit("keep"))
        return measures.select(verdict=verdict, reason=pl.when(unsure).then(pl.lit("five letters")))
""")
    unsure = {"unsure": {}, "unscored": "fail"}
    with pytest.raises(StoppedError, match=r"could not score 1 rows, for example raw\.jsonl:5: five letters"):
        filtered(ROWS, unsure, plugins=[file])
    assert filtered(ROWS, {"length": {"min_chars": 6}}, unsure, plugins=[file]).summary.kept == 5


def test_what_could_not_be_scored_is_asked_again_by_the_next_run(here: Path, judged: Any) -> None:
    (here / "refused").write_text("2 9")
    assert judged({"judge": {"least": 6}}).summary.unscored == 2
    asked(here)
    (here / "refused").write_text("2")
    assert judged({"judge": {"least": 6}}).summary.unscored == 1
    assert asked(here) == [2, 9]


def test_an_unscored_row_never_takes_a_place_in_a_step_that_selects(here: Path, judged: Any) -> None:
    (here / "refused").write_text("9 8")
    top = {"keep-top": {"n": 3, "by": "judge.score"}}
    result = judged("judge", top)
    assert result.kept["row"].to_list() == [5, 6, 7]
    last = result.ledger.filter(step="keep-top", row=9).row(0, named=True)
    assert (last["verdict"], last["reason"], last["kept"]) == ("unscored", "no score in the reply", False)
    assert result.summary.unscored == 2
    assert judged("judge", top | {"unscored": "keep"}).kept["row"].to_list() == [5, 6, 7, 8, 9]
    # a row that is kept unscored takes none of the n places either


def test_after_a_fault_midway_nobody_is_asked_twice(here: Path, judged: Any) -> None:
    steps = ({"length": {"min_chars": 3}}, {"judge": {"least": 6}}, "exact-dup")
    (here / "left").write_text("4")
    with pytest.raises(
        StoppedError, match=r"filter judge failed: ConnectionError: the model is gone \(plugged.py:\d+\)"
    ):
        judged(*steps)
    before = asked(here)
    assert len(before) == 4
    (here / "left").unlink()
    result = judged(*steps)
    assert sorted(before + asked(here)) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert len(list((here / ".curate" / "runs").iterdir())) == 1
    other = judged(*steps, work_dir="other", output="other.jsonl")
    assert left_behind(result.run.path, here / "curated.jsonl") == left_behind(other.run.path, here / "other.jsonl")


def test_after_kill_9_midway_nobody_is_asked_twice(here: Path, judged: Any, curate_command: Any) -> None:
    undisturbed = judged({"judge": {"least": 6}}, work_dir="other", output="other.jsonl")
    asked(here)
    command = [sys.executable, "-c", "from curate.cli import main; main()", "filter", "raw.jsonl"]
    command += ["--recipe", "recipe.yaml", "--plugin", "plugged.py"]
    (here / "kill").touch()
    for _ in range(3):
        (here / "left").write_text("3")
        assert subprocess.run(command, cwd=here, capture_output=True, check=False).returncode == -signal.SIGKILL
    (here / "left").unlink()
    subprocess.run(command, cwd=here, capture_output=True, check=True)
    assert asked(here) == list(range(10))
    (run,) = (here / ".curate" / "runs").iterdir()
    disturbed = left_behind(run, here / "curated.jsonl")
    assert disturbed == left_behind(undisturbed.run.path, here / "other.jsonl")


def test_fresh_asks_about_everyone_again(here: Path, judged: Any) -> None:
    judged("judge")
    asked(here)
    judged("judge", fresh=True)
    assert asked(here) == list(range(10))


LONGER = """
@frozen
class Longer:
    per_row = True
    than: Column | None = None
    reads = ("prompt",)
    def measure(self, rows):
        return rows.select(chars=pl.col("prompt").str.len_chars())
    def decide(self, measures, pool):
        return measures.select("row", verdict=pl.lit("keep"))
"""


@pytest.mark.parametrize(
    ("parameters", "rows"),
    [({}, list(range(10))), ({"than": "length.chars"}, list(range(10))), ({"than": "judge.score"}, [7, 8, 9])],
)
def test_a_filter_per_row_decides_on_the_dead_unless_a_model_made_its_column(
    judged: Any, plugin: Any, parameters: dict[str, Any], rows: list[int]
) -> None:
    plugin(JUDGE + LONGER)
    result = judged({"length": {"min_chars": 8}}, "judge", {"longer": parameters})
    said = result.ledger.filter(step="longer")
    assert said["row"].to_list() == rows
    assert said.filter(alive=True)["row"].to_list() == [7, 8, 9]


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ("yield pl.DataFrame({'row': [0]})", "faulty.stream gave no column score"),
        ("yield pl.DataFrame({'score': [0]})", "faulty.stream gave no column row"),
        ("yield {'row': 1, 'score': 2}", "faulty.stream gave dict, a DataFrame was expected"),
        ("yield pl.DataFrame({'row': [99], 'score': [1]})", "faulty.stream gave row 99, which it was not asked for"),
        ("yield pl.DataFrame({'row': [0], 'score': [1]})", "faulty.stream gave row 0, which it was not asked for"),
        ("yield pl.DataFrame({'row': [1], 'score': [1 / 0]})", "filter faulty failed: ZeroDivisionError: division by zero (plugged.py:15)"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_stream_that_breaks_the_protocol_stops_the_run(filtered: Any, plugin: Any, stream: str, message: str) -> None:
    file = plugin(f"""
        @frozen
        class Faulty:
            makes = ("score",)
            def stream(self, batches):
                list(batches)
                {stream}
    """)
    with pytest.raises(StoppedError) as stopped:
        filtered(ROWS, {"length": {"min_chars": 2}}, "faulty", plugins=[file])
    assert stopped.value.message == message


def test_a_stream_must_say_what_it_makes(filtered: Any, plugin: Any) -> None:
    file = plugin("@frozen\nclass Silent:\n    def stream(self, batches):\n        yield from batches\n")
    with pytest.raises(UsageError, match="filter silent streams, but does not say what it makes"):
        filtered(ROWS, "silent", plugins=[file])


def test_a_row_that_gets_no_answer_is_unscored(filtered: Any, plugin: Any) -> None:
    file = plugin("""
        @frozen
        class Quiet:
            makes = ("score",)
            def stream(self, batches):
                for rows in batches:
                    yield rows.filter(pl.col("row") != 3).select("row", score=0.5)
    """)
    result = filtered(ROWS, {"quiet": None, "unscored": "drop"}, plugins=[file])
    assert result.dropped.select("row", "reason").rows() == [(3, "was not measured")]


def test_the_first_committed_answer_is_the_measure(filtered: Any, plugin: Any) -> None:
    file = plugin("""
        @frozen
        class Twice:
            makes = ("score",)
            def stream(self, batches):
                for rows in batches:
                    yield rows.select("row", score=1)
                    yield rows.select("row", score=2.5)
            def decide(self, measures, pool):
                return within(measures, "score", low=0)
    """)
    result = filtered(ROWS, "twice", plugins=[file])
    assert set(result.ledger["value"]) == {1.0}
