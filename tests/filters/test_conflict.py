"""conflict: one prompt, different responses."""

from typing import Any

import pytest

ROWS = [
    ("Capital of Australia?", "Sydney."),
    ("capital of  australia?", "Canberra, since 1913."),
    ("Capital of Australia?", "sydney."),
    ("Capital of Peru?", "Lima."),
    ("Capital of Peru?", "LIMA."),
    ("호주의 수도는?", "시드니입니다."),
    ("호주의 수도는?", "캔버라입니다. 1913년에 정해졌습니다."),
    ("", "No prompt"),
    ("", "None either"),
]


def test_the_longest_response_stays_and_the_others_name_it(reasons: Any) -> None:
    said = reasons(ROWS, "conflict")
    assert said == [
        "another response to the prompt of row:1",
        None,
        "another response to the prompt of row:1",
        None,
        None,
        "another response to the prompt of row:6",
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("parameters", "gone"),
    [
        ({"best": 2}, []),
        ({"keep": "all"}, []),
        ({"keep": "none"}, [0, 1, 2, 5, 6]),
        ({"by": "line"}, [1, 5]),
    ],
)
def test_the_best_all_or_none_stay(filtered: Any, parameters: dict[str, Any], gone: list[int]) -> None:
    assert filtered(ROWS, {"conflict": parameters}).dropped["row"].to_list() == gone


def test_those_that_stay_are_told_of_each_other(filtered: Any) -> None:
    ledger = filtered(ROWS, {"conflict": {"keep": "all"}}).ledger
    said = {row: evidence for row, evidence in ledger.select("row", "evidence").rows() if evidence}
    assert said == {
        0: '{"other":"row:1"}',
        1: '{"other":"row:0"}',
        2: '{"other":"row:1"}',
        5: '{"other":"row:6"}',
        6: '{"other":"row:5"}',
    }


def test_best_must_be_one_or_more(filtered: Any) -> None:
    from curate.errors import UsageError

    with pytest.raises(UsageError, match="best must be 1 or more; `keep: none` drops all"):
        filtered(ROWS, {"conflict": {"best": 0}})


def test_copies_of_a_response_do_not_conflict_with_each_other(reasons: Any) -> None:
    rows = [("Capital?", "Canberra, of course."), ("Capital?", "Canberra, of  course."), ("Capital?", "Sydney.")]
    assert reasons(rows, "conflict") == [None, None, "another response to the prompt of row:1"]
