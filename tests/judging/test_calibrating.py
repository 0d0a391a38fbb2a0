"""A judge whose belief is known, calibrated against labels that are known."""

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from chat_server import Server
from conftest import write_rows
from known_judge import known_judge

from curate.errors import CurateError, StoppedError, UsageError
from curate.judging import agreement
from curate.judging.calibrating import Calibration, calibrated
from curate.judging.drawing import Drawn, draw
from curate.judging.labelling import read_labels, values_of
from curate.working import Working

Draw = Callable[..., Drawn]

WORTH = [1] * 60 + [2] * 25 + [3] * 8 + [4] * 5 + [5] * 2
"""What 100 rows are worth to the judge: as in a real pool, mostly little."""


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "RESAMPLES", 50)


@pytest.fixture
def drawn(here: Path, server: Server) -> Draw:
    """Rows, or what they are worth, drawn for the judge; `labels`: lines of a file."""
    server.answer = known_judge

    def run(records: list[Any], labels: list[Any] | None = None, **more: Any) -> Drawn:
        made = [
            (f"q{n}?", f"answer {n}, worth {row}") if isinstance(row, int) else row for n, row in enumerate(records)
        ]
        write_rows(here / "raw.jsonl", made)
        if labels is not None:
            write_rows(here / "labels.jsonl", labels)
            more["labels"] = "labels.jsonl"
        return draw("raw.jsonl", model=server.model, **more)

    return run


def report(drawn: Drawn) -> Calibration:
    return calibrated(drawn, read_labels(drawn.file, values_of(drawn.rubric)))


def labels(worth: list[int], value: Callable[[int], Any] = lambda worth: worth) -> list[dict[str, Any]]:
    return [{"row": row, "label": value(w)} for row, w in enumerate(worth)]


def test_rows_are_drawn_evenly_over_the_scale_as_far_as_it_has_them(drawn: Draw) -> None:
    found = drawn(WORTH, rows=35)
    assert Counter(found.rows["score"].round().cast(pl.Int64)) == {1: 10, 2: 10, 3: 8, 4: 5, 5: 2}
    assert len(found.judged) == 100
    assert found.rows["row"].to_list() != sorted(found.rows["row"])  # in no order that tells the score


def test_ten_rows_are_judged_for_each_that_is_drawn(drawn: Draw) -> None:
    assert len(drawn(WORTH * 3, rows=10).judged) == 100


def test_a_seed_draws_the_same_rows_and_asks_nothing_again(drawn: Draw) -> None:
    before, working = Working(), Working()
    first = drawn(WORTH, rows=30, working=before)
    again = drawn(WORTH, rows=30, working=working)
    assert again.rows.equals(first.rows)
    assert before.spending.answered > 0
    assert working.spending.answered == 0
    assert not drawn(WORTH, rows=30, seed=1).rows.equals(first.rows)


def test_copies_are_drawn_once(drawn: Draw) -> None:
    found = drawn([("q?", "worth 3")] * 50 + [(f"q{n}?", "worth 2") for n in range(3)], rows=20)
    assert len(found.rows) == 4


def test_what_the_report_says_of_a_judge_that_knows(drawn: Draw) -> None:
    worth = [0, 1, 2, 3, 4, 5] * 5
    found = report(drawn(worth, labels(worth)))
    assert (found.labelled, found.judged, found.parsed, found.unscored) == (30, 30, 1.0, {})
    for perfect in (found.kappa, found.spearman, found.auc):
        assert perfect.value == pytest.approx(1)
        assert (perfect.low, perfect.high) == pytest.approx((1, 1))
    assert found.threshold.value == pytest.approx(2.5)
    assert found.histogram == {str(n): 5 for n in range(6)}
    assert found.confusion == [[5 * (person == judge) for judge in range(6)] for person in range(6)]
    assert [(cut.at, cut.f1) for cut in found.cuts] == [(3.0, pytest.approx(1)), (pytest.approx(2.5), pytest.approx(1))]
    assert found.judge_retest is not None
    assert found.judge_retest.apart == pytest.approx(0.2 * 25 / 30)  # what reversed labels move, but for the 5s
    assert found.person_retest is None
    assert (found.differing, found.flip_rate, found.first_preferred) == ([], None, None)


def test_the_threshold_that_fits_the_labels_makes_up_for_a_generous_judge(drawn: Draw) -> None:
    worth = [0, 1, 2, 3, 4, 5] * 5
    found = report(drawn(worth, labels(worth, lambda w: max(w - 2, 0))))
    assert found.threshold.value == pytest.approx(4.5)
    ours, best = found.cuts
    assert (ours.precision, ours.recall) == (pytest.approx(1 / 3), 1)
    assert (best.precision, best.recall) == (1, 1)
    assert found.kappa.value is not None
    assert found.kappa.value < 0.7
    assert [row.place for row in found.differing[:2]] == ["raw.jsonl:3", "raw.jsonl:4"]


def test_rows_are_named_by_id_number_or_place_and_a_second_label_is_a_retest(drawn: Draw) -> None:
    worth = [1, 4] * 6
    ids = dict(drawn(worth, rows=12).rows.select("row", "id").iter_rows())
    given = [
        {"id": ids[0], "label": 1},
        {"row": "row:1", "label": "4"},
        {"row": "raw.jsonl:3", "label": 1.0},
        {"source": "raw.jsonl", "line": 4, "label": 4},
        *labels(worth)[4:],
        {"row": 0, "label": 4},
        {"row": 5, "label": None},
    ]
    found = report(drawn(worth, given))
    assert found.labelled == 12
    assert found.kappa.value == pytest.approx(1)


def test_a_person_who_changes_their_mind_is_told_so(drawn: Draw) -> None:
    worth = [1, 4] * 6
    given = [*labels(worth), {"row": 0, "label": 1}, {"row": 1, "label": 2}]
    found = report(drawn(worth, given))
    assert found.person_retest == agreement.Retest(rows=2, same=0.5, apart=1.0, crossed=0.5)
    assert found.kappa.value == pytest.approx(1)  # told from the first label


def test_rows_without_a_score_are_counted_by_cause_and_never_drawn(drawn: Draw) -> None:
    rows = (
        [(f"q{n}?", f"worth {n % 5}") for n in range(15)] + [(f"m{n}?", "mumble") for n in range(4)] + [{"prompt": "?"}]
    )
    found = drawn(rows, [{"row": n, "label": 3 * (n % 2)} for n in range(20)])
    result = report(found)
    assert (result.judged, result.labelled, result.parsed) == (20, 15, 0.75)
    assert result.unscored == {
        'the answer began with "…", not with a label': 4,
        "there is no response to judge": 1,
    }


def test_a_judge_that_gives_all_rows_one_score_is_warned_of(drawn: Draw) -> None:
    # deita#36: every row scored 3
    found = report(drawn([3] * 40, labels([1, 5] * 20)))
    assert found.warnings == [
        "40 of 40 rows score about 3: this judge hardly tells rows apart; try another model, a rubric in the language "
        "of the rows, or --mode text"
    ]
    assert (found.spearman.value, found.threshold.value, len(found.cuts)) == (None, None, 1)
    assert found.auc.value == pytest.approx(0.5)


def test_labels_all_on_one_side_of_the_cut_and_few_are_warned_of(drawn: Draw) -> None:
    found = report(drawn([0, 1, 2] * 4, labels([0, 1, 2] * 4)))
    assert [warning.partition(":")[0] for warning in found.warnings] == [
        "every label is on the same side of 3",
        "12 rows tell little",
    ]
    assert found.auc.value is None


def test_fewer_than_ten_labels_tell_nothing_and_nobody_is_asked(drawn: Draw, server: Server) -> None:
    with pytest.raises(StoppedError, match="9 rows have both a label and a score; fewer than 10 tell nothing"):
        drawn([1, 4] * 10, [*labels([1, 4] * 10)[:9], {"row": 3, "label": 4}, {"row": 12, "label": None}])
    assert server.asked == []


def test_rows_that_are_labelled_and_have_no_score_do_not_count(drawn: Draw) -> None:
    rows = [*[1, 4] * 4, ("q?", "mumble"), ("r?", "mumble")]
    with pytest.raises(StoppedError, match="8 rows have both a label and a score, 2 had no score"):
        report(drawn(rows, labels([1, 4] * 5)))


@pytest.mark.parametrize("own", [str, lambda n: f"q-{n}", lambda n: 9_007_199_254_740_993 + n])
def test_a_label_names_a_row_by_its_own_id(own: Callable[[int], Any], drawn: Draw) -> None:
    rows = [{"id": own(n), "instruction": f"q{n}?", "output": f"a{n}, worth {[1, 4][n % 2]}"} for n in range(12)]
    given = [{"id": own(n), "label": [1, 5][n % 2]} for n in range(12)]
    found = report(drawn(rows, given))
    assert (found.labelled, found.auc.value) == (12, 1.0)


def test_an_own_id_of_several_rows_names_none(drawn: Draw) -> None:
    rows = [{"id": "same", "instruction": f"q{n}?", "output": f"a{n}, worth 3"} for n in range(2)]
    with pytest.raises(UsageError, match='same holds several rows\nname one by its "row" number'):
        drawn(rows, [{"id": "same", "label": 3}])


def test_position_bias_of_a_pairwise_judge(here: Path, drawn: Draw) -> None:
    # it believes 0.7 in whatever stands first, 0.94 if that is `better`: in the chosen 0.94 then 0.3, or 0.7 then 0.06
    (here / "pairs.md").write_text("---\nname: pairs\nscale: [A, B]\npairwise: true\n---\nWhich answer is right?\n")
    pairs = [
        {
            "prompt": f"q{n}?",
            "chosen": "a better one" if n % 2 else "one",
            "rejected": "another" if n % 2 else "a better",
        }
        for n in range(20)
    ]
    given = [{"row": n, "label": "chosen" if n % 2 else "rejected"} for n in range(20)]
    found = report(drawn(pairs, given, rubric="pairs.md"))
    assert found.flip_rate == 1.0
    assert found.first_preferred is not None
    assert found.first_preferred.value == pytest.approx(0.82)
    assert found.auc.value == pytest.approx(1)
    assert found.judge_retest == agreement.Retest(rows=20, same=1.0, apart=pytest.approx(0), crossed=0.0)
    assert found.labels == ["rejected", "chosen"]
    assert found.histogram == {"0.0-0.2": 0, "0.2-0.4": 10, "0.4-0.6": 0, "0.6-0.8": 10, "0.8-1.0": 0}


GOOD = '{"row": 0, "label": 3}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "{row: 0}\n", "labels.jsonl:2 is not JSON: "),
        (GOOD + "\n\n3\n", "labels.jsonl:4 has no label\na line is one label, as in"),
        ('{"row": 0}\n', "labels.jsonl:1 has no label"),
        (GOOD + '{"row": 0, "label": 6}\n', "labels.jsonl:2: label 6 is not on the scale\nknown: 0, 1, 2, 3, 4, 5"),
        ('{"row": 0, "label": true}\n', "labels.jsonl:1: label True is not on the scale"),
        ('{"row": 0, "label": 2.5}\n', "labels.jsonl:1: label 2.5 is not on the scale"),
        ("", "the file of labels has no label"),
        ('{"label": 3}\n', 'labels.jsonl:1 names no row\ngive "id"'),
        ('{"row": -1, "label": 3}\n', "labels.jsonl:1 names no row"),
        ('{"row": 99, "label": 3}\n', "no label names a row of raw.jsonl; the first is labels.jsonl:1, row:99"),
        (
            '{"row": "raw.jsonl:2", "label": 3}\n',
            'labels.jsonl:1: raw.jsonl:2 holds several rows\nname one by its "row" number',
        ),
        (None, "labels.jsonl can't be read: No such file"),
    ],
)
def test_a_bad_file_of_labels_is_named_with_its_line(here: Path, text: str | None, message: str) -> None:
    write_rows(
        here / "raw.jsonl", [("a?", "b"), {"instruction": "c?", "instances": [{"output": "d"}, {"output": "e"}]}]
    )
    if text is not None:
        (here / "labels.jsonl").write_text(text)
    with pytest.raises(CurateError) as error:
        draw("raw.jsonl", model="http://127.0.0.1:9/v1#nobody", labels="labels.jsonl")
    assert str(error.value).startswith(message)
    assert error.value.exit_status == 2


def test_labels_of_other_rows_are_left_out_and_told(drawn: Draw) -> None:
    said: list[str] = []
    given = [*labels([1, 4] * 6), {"row": "other.jsonl:1", "label": 3}]
    found = report(drawn([1, 4] * 6, given, working=Working(notice=said.append)))
    assert found.labelled == 12
    assert "1 of 13 labels name no row of the input; the first is labels.jsonl:13, other.jsonl:1" in said


def test_an_unknown_rubric_names_the_known(here: Path, drawn: Draw) -> None:
    with pytest.raises(UsageError, match="no rubric is called educational-vlaue"):
        drawn([1], rubric="educational-vlaue")


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.found[tag] += 1
        assert not any(
            name.startswith("on") or (name in ("src", "href") and not v.startswith("#")) for name, v in attributes
        )


def test_the_page_holds_the_numbers_and_is_inert_whatever_the_rows_hold(here: Path, drawn: Draw) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)> {{ 7 * 7 }} \u202e worth "
    rows = [(f"<h1>owned {n}</h1>?", evil + str(n % 6)) for n in range(20)]
    found = report(drawn(rows, [{"row": n, "label": 5 - n % 6} for n in range(20)]))
    page = (here / found.report).read_text()
    assert found.report.startswith(".curate/calibrations/educational-value-")
    tags = _Tags(page).found
    assert (tags["h1"], tags["script"], tags["img"], tags["figure"], tags["table"]) == (1, 0, 0, 1, 4)
    assert "&lt;h1&gt;owned" in page
    assert "‹U+202E›" in page
    assert f"{found.kappa.value:.2f}" in page
    assert "{{ 7 * 7 }}" in page
    assert len(page) < 60_000


def test_what_was_found_is_json(drawn: Draw) -> None:
    found = report(drawn([1, 4] * 6, labels([1, 4] * 6)))
    read = json.loads(json.dumps(asdict(found)))
    assert read["kappa"]["value"] == pytest.approx(1)
    assert {"rubric", "model", "mode", "seed", "kappa", "spearman", "auc", "threshold", "length_bias"} <= set(read)


def test_the_text_fits_80_columns(drawn: Draw, capsys: pytest.CaptureFixture[str]) -> None:
    from curate.cli.judge_calibrate import _show

    _show(report(drawn([0, 1, 2, 3, 4, 5] * 5 + [("m?", "mumble")], labels([5, 0, 2, 3, 4, 4] * 5))))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(r"quadratic-weighted kappa +\d\.\d\d +-?\d\.\d\d to \d\.\d\d", text)
