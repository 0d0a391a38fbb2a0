"""Statistics of agreement, against published and hand-worked values."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from curate.judging.agreement import (
    Estimate,
    area_under_curve,
    best_threshold,
    cut_at,
    estimates,
    length_bias,
    nearest,
    rank_correlation,
    retest,
    weighted_kappa,
)

SCALE = np.arange(6.0)


def values(*numbers: float) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    return np.array(numbers, dtype=np.float64)


# raters 1 and 2 of the data set `anxiety` of the R package irr, whose kappa2(..., "squared") is 0.297
ANXIETY = (
    values(3, 3, 3, 4, 5, 5, 2, 3, 5, 2, 2, 6, 1, 5, 2, 2, 1, 2, 4, 3),
    values(3, 6, 4, 6, 2, 4, 2, 4, 3, 3, 2, 3, 3, 3, 2, 2, 1, 3, 3, 4),
)


def test_weighted_kappa_is_that_of_the_r_package_irr() -> None:
    assert weighted_kappa(*ANXIETY, np.arange(1.0, 7.0)) == pytest.approx(0.297, abs=0.0005)


def test_kappa_is_one_for_the_same_labels_and_below_zero_for_opposite_ones() -> None:
    assert weighted_kappa(values(0, 1, 4, 5), values(0, 1, 4, 5), SCALE) == 1
    assert weighted_kappa(values(5, 4, 1, 0), values(0, 1, 4, 5), SCALE) < -0.9


def test_steps_of_the_scale_that_nobody_used_count_as_distance() -> None:
    # by hand, distances 1, 4 and 5: 1 - mean((s - l)²) / (var s + var l + (mean s - mean l)²)
    scores, labels = values(0, 1, 5, 5), values(0, 1, 1, 5)
    assert weighted_kappa(scores, labels, SCALE) == pytest.approx(1 - 4 / (5.1875 + 3.6875 + 1.0))


def test_a_score_between_two_labels_counts_as_the_nearest() -> None:
    assert nearest(values(0.4, 0.6, 2.5, 7, -1), SCALE).tolist() == [0, 1, 2, 5, 0]


def test_rank_correlation_is_that_of_a_published_example() -> None:
    # IQ and hours of television: -29/165
    iq = values(106, 100, 86, 101, 99, 103, 97, 113, 112, 110)
    hours = values(7, 27, 2, 50, 28, 29, 20, 12, 6, 17)
    assert rank_correlation(iq, hours) == pytest.approx(-29 / 165)


def test_auc_is_that_of_hanley_and_mcneil() -> None:
    # Radiology 143 (1982), table I: 58 normal and 51 abnormal scans rated 1 to 5; area 0.893
    scores = np.repeat(values(1, 2, 3, 4, 5, 1, 2, 3, 4, 5), [33, 6, 6, 11, 2, 3, 2, 2, 11, 33])
    labels = np.repeat(values(0, 5), [58, 51])
    assert area_under_curve(scores, labels, 3) == pytest.approx(0.893, abs=0.0005)


def test_the_best_threshold_lies_halfway_between_what_it_parts() -> None:
    scores, labels = values(1.0, 1.5, 2.0, 4.0, 4.5), values(0, 1, 2, 3, 5)
    assert best_threshold(scores, labels, 3) == 3.0
    assert cut_at(scores, labels, 3, 3.0).f1 == 1


def test_the_best_threshold_has_the_largest_youden_index() -> None:
    scores, labels = values(1, 2, 3, 4, 5), values(0, 5, 0, 5, 5)
    # recall + specificity - 1 at 2, 3, 4 and 5: 0.5, 1/6, 2/3, 1/3
    assert best_threshold(scores, labels, 3) == 3.5


def test_a_judge_that_is_never_better_than_chance_has_no_threshold() -> None:
    assert np.isnan(best_threshold(values(1, 2, 3, 4), values(5, 5, 0, 0), 3))


def test_precision_recall_and_f1_of_a_cut() -> None:
    found = cut_at(values(1, 3, 3, 4, 5), values(0, 0, 5, 5, 0), 3, 3)
    assert (found.kept, found.precision, found.recall) == (0.8, 0.5, 1.0)
    assert found.f1 == pytest.approx(2 / 3)
    assert cut_at(values(1, 2), values(0, 5), 3, 3).f1 == 0


def test_length_bias_by_hand() -> None:
    # ranks of score and length 1-4, of labels 1.5, 1.5, 3.5, 3.5 and lengths swapped in pairs: r = 0.6, 0.8944, 0.8944
    scores, labels, lengths = values(1, 2, 3, 4), values(0, 0, 5, 5), values(20, 10, 40, 30)
    assert length_bias(scores, labels, lengths) == pytest.approx((0.6 - 0.8) / 0.2)


def test_length_bias_is_what_remains_when_the_label_is_taken_out_of_both() -> None:
    chance = np.random.default_rng(0)
    labels = chance.permutation(60).astype(np.float64)  # each its own rank, so that a straight line takes it out
    lengths = labels + chance.normal(0, 20, 60)
    scores = labels + 0.5 * lengths + chance.normal(0, 20, 60)
    ranks = [np.argsort(np.argsort(column)).astype(np.float64) for column in (scores, lengths, labels)]
    left = [column - np.polyval(np.polyfit(ranks[2], column, 1), ranks[2]) for column in ranks[:2]]
    assert length_bias(scores, labels, lengths) == pytest.approx(np.corrcoef(left)[0, 1])


def test_a_judge_that_rewards_length_alone_is_found_out() -> None:
    chance = np.random.default_rng(1)
    labels, lengths = chance.integers(0, 6, 200).astype(np.float64), chance.permutation(200).astype(np.float64)
    assert length_bias(lengths, labels, lengths) == pytest.approx(1)
    assert abs(length_bias(labels + chance.normal(0, 0.1, 200), labels, lengths)) < 0.2


@pytest.mark.parametrize(
    ("scores", "labels"),
    [((3, 3, 3, 3), (0, 1, 4, 5)), ((0, 1, 4, 5), (3, 3, 3, 3))],
    ids=["all rows score alike", "all labels are alike"],
)
def test_what_cannot_be_told_is_none_and_no_number(scores: tuple[float, ...], labels: tuple[float, ...]) -> None:
    statistics = {"r": rank_correlation, "t": lambda score, label: best_threshold(score, label, 3)}
    found = estimates(statistics, [values(*scores), values(*labels)], 0)
    assert found == {"r": Estimate(None, None, None), "t": Estimate(None, None, None)}
    assert np.isnan(weighted_kappa(values(3, 3), values(3, 3), SCALE))


def test_the_interval_is_that_of_scipy_where_scipy_has_one() -> None:
    found = estimates({"r": rank_correlation}, ANXIETY, 0)["r"]
    theirs = bootstrap(ANXIETY, rank_correlation, paired=True, vectorized=False, method="percentile", n_resamples=2000)
    low, high = theirs.confidence_interval
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.08)


def test_the_same_seed_gives_the_same_interval() -> None:
    one, same, other = (estimates({"r": rank_correlation}, ANXIETY, seed)["r"] for seed in (1, 1, 2))
    assert one == same
    assert one.value == other.value
    assert one != other


def test_an_interval_is_told_though_some_draws_hold_one_label_alone() -> None:
    scores, labels = values(1, 2, 3, 4, 5, 6), values(0, 5, 5, 5, 5, 5)
    found = estimates({"auc": lambda score, label: area_under_curve(score, label, 3)}, [scores, labels], 0)
    assert found["auc"] == Estimate(1.0, 1.0, 1.0)


def test_retest_tells_how_often_and_how_far_two_answers_differ() -> None:
    found = retest(values(1, 2, 3, 4), values(1, 3, 3.2, 1), SCALE, 3)
    assert found is not None
    assert (found.rows, found.same, found.crossed) == (4, 0.5, 0.5)
    assert found.apart == pytest.approx((0 + 1 + 0.2 + 3) / 4)
    assert retest(values(), values(), SCALE, 3) is None
