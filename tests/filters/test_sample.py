"""`sample`: by chance, the same for the same seed; with `by`, each stratum keeps its share."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import UsageError
from filters.sample import Sample

TEN = [(f"{k}?", "답") for k in range(10)]


def topics(**counts: int) -> list[dict[str, Any]]:
    return [
        {"instruction": f"{topic} {k}?", "output": "."} | ({} if topic == "none" else {"topic": topic})
        for topic, count in counts.items()
        for k in range(count)
    ]


def test_n_rows_are_drawn_and_the_others_say_so(reasons: Any) -> None:
    said = reasons(TEN, {"sample": {"n": 4}})
    assert said.count(None) == 4
    assert set(said) == {None, "not drawn: 4 of 10 rows, seed 0"}


def test_the_same_seed_draws_the_same_and_another_others(filtered: Any) -> None:
    drawn = {s: tuple(filtered(TEN, {"sample": {"n": 5}}, seed=s).kept["row"]) for s in (0, 1, 2)}
    assert drawn[0] == tuple(filtered(TEN, {"sample": {"n": 5}}, seed=0, fresh=True).kept["row"])
    assert len(set(drawn.values())) == 3
    assert drawn[0] == (1, 3, 4, 5, 7)  # the same on every machine


def test_a_seed_of_the_recipe_wins_over_that_of_the_command(filtered: Any) -> None:
    rows = {s: tuple(filtered(TEN, {"sample": {"n": 5, "seed": 1}}, seed=s).kept["row"]) for s in (0, 2)}
    assert rows[0] == rows[2] == tuple(filtered(TEN, {"sample": {"n": 5}}, seed=1).kept["row"])


@pytest.mark.parametrize(
    ("parameters", "kept"),
    [({"n": 1}, 1), ({"n": 10}, 10), ({"n": 500}, 10), ({"share": 0.3}, 3), ({"share": 0.01}, 1), ({"share": 1}, 10)],
)
def test_how_many_are_kept(filtered: Any, parameters: dict[str, Any], kept: int) -> None:
    assert filtered(TEN, {"sample": parameters}).summary.kept == kept


@pytest.mark.parametrize(
    ("counts", "n", "quotas"),
    [
        ({"math": 6, "역사": 3, "code": 1}, 10, {"math": 6, "역사": 3, "code": 1}),
        ({"math": 60, "역사": 30, "code": 10}, 10, {"math": 6, "역사": 3, "code": 1}),
        ({"math": 5, "역사": 5, "code": 5}, 4, {"math": 2, "역사": 1, "code": 1}),
        ({"code": 5, "math": 5, "역사": 5}, 4, {"code": 2, "math": 1, "역사": 1}),
        ({"math": 97, "역사": 3}, 10, {"math": 10, "역사": 0}),
        ({"math": 6, "none": 6}, 4, {"math": 2, None: 2}),
    ],
)
def test_each_stratum_keeps_its_share_by_largest_remainder(
    filtered: Any, counts: dict[str, int], n: int, quotas: dict[str | None, int]
) -> None:
    kept = filtered(topics(**counts), {"sample": {"n": n, "by": "meta.topic"}}).kept
    found = dict(kept["meta"].str.json_path_match("$.topic").value_counts().iter_rows())
    assert found == {topic: quota for topic, quota in quotas.items() if quota}


def test_a_stratum_is_named_in_the_reason(reasons: Any) -> None:
    said = reasons(topics(math=3, none=1), {"sample": {"n": 2, "by": "meta.topic"}})
    assert sorted(s for s in said if s) == [
        "not drawn: 0 of 1 rows where meta.topic is absent, seed 0",
        "not drawn: 2 of 3 rows where meta.topic is math, seed 0",
    ]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "give one of n and share"),
        ({"n": 1, "share": 0.5}, "give one of n and share"),
        ({"n": -1}, "n must be 1 or more"),
        ({"share": 0.0}, "share must be above 0 and at most 1"),
        ({"n": 1, "seed": -1}, "seed must be 0 or more"),
    ],
)
def test_a_number_that_can_not_be_is_refused(reasons: Any, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"sample: {message}"):
        reasons(TEN, {"sample": parameters})


def drawn(rows: int, n: int, seed: int, strata: list[str | None] | None = None) -> set[int]:
    frame = pl.DataFrame({"row": pl.Series(range(rows), dtype=pl.UInt64)})
    if strata is not None:
        frame = frame.with_columns(by=pl.Series(strata, dtype=pl.String))
    filter = Sample(n=n, seed=seed, by="meta.topic" if strata is not None else None)  # type: ignore[arg-type]
    return set(frame.filter(filter.decide(frame, None)["verdict"] == "keep")["row"])  # type: ignore[arg-type]


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 5), st.integers(0, 20))
@settings(max_examples=80, deadline=None)
def test_a_larger_n_keeps_all_that_a_smaller_kept(rows: int, n: int, seed: int, more: int) -> None:
    assert len(drawn(rows, n, seed)) == min(n, rows)
    assert drawn(rows, n, seed) <= drawn(rows, n + more, seed)


@given(st.lists(st.sampled_from(["a", "b", "가", None]), min_size=1, max_size=40), st.integers(1, 50))
@settings(max_examples=80, deadline=None)
def test_strata_add_up_and_no_share_is_off_by_a_row(strata: list[str | None], n: int) -> None:
    kept = drawn(len(strata), n, 0, strata)
    assert len(kept) == min(n, len(strata))
    for stratum in set(strata):
        quota = sum(strata[row] == stratum for row in kept)
        assert abs(quota - strata.count(stratum) * min(1, n / len(strata))) < 1


@pytest.mark.parametrize(("temperature", "quotas"), [(1, [72, 7, 1]), (3, [51, 23, 6]), (1000, [37, 37, 6])])
def test_a_temperature_gives_small_strata_more(filtered: Any, temperature: float, quotas: list[int]) -> None:
    sizes = {"large": 600, "middle": 60, "small": 6}
    rows = [
        {"instruction": f"{kind} {n}?", "output": "a", "kind": kind}
        for kind, size in sizes.items()
        for n in range(size)
    ]
    given = {"n": 80, "by": "meta.kind", "temperature": temperature}
    kept = filtered(rows, {"sample": given}).kept["meta"].str.json_path_match("$.kind")
    assert [int((kept == kind).sum()) for kind in sizes] == quotas
