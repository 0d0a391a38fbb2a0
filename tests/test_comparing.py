"""compare: curated sets side by side."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLE, write_rows

import curate
from curate.errors import UsageError


def sets(here: Path) -> tuple[str, str]:
    """A set of many topics, and one that says the same over and over."""
    various = [json.loads(line) for line in SAMPLE.read_text().splitlines()[:60]]
    alike = [
        {"instruction": f"Write a poem about rain, number {n}.", "output": "Rain falls on roofs."} for n in range(40)
    ]
    write_rows(here / "various.jsonl", various)
    write_rows(here / "alike.jsonl", [*alike, *various[:10], alike[0], {"instruction": "Empty?", "output": ""}])
    return "various.jsonl", "alike.jsonl"


def test_sizes_overlap_and_rows_that_only_one_has(here: Path) -> None:
    various, alike = curate.compare(sets(here)).sets
    found = curate.compare(sets(here))
    distinct = len(set((here / "various.jsonl").read_text().splitlines()))
    assert (various.rows, alike.rows) == (60, 52)
    assert alike.distinct == 51
    assert found.shared == [[various.distinct, 10], [10, 51]]
    assert (various.only, alike.only) == (various.distinct - 10, 41)
    assert various.distinct <= distinct
    assert alike.examples[0]["prompt"] == "Write a poem about rain, number 0."
    assert alike.examples[0]["source"] == "alike.jsonl"
    assert alike.defective >= 1 / 52
    assert alike.chars == 20


def test_a_set_that_says_the_same_is_less_diverse(here: Path) -> None:
    various, alike = curate.compare(sets(here)).sets
    assert various.vendi > 2 * alike.vendi
    assert various.even_topics > 2 * alike.even_topics
    assert (various.nearest or 0) > 1.5 * (alike.nearest or 0)
    assert various.topics > alike.topics


def test_the_vendi_score_is_that_of_the_similarity_matrix() -> None:
    from curate.comparing import _vendi

    vectors = np.random.default_rng(0).normal(size=(40, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    eigenvalues = np.linalg.eigvalsh(vectors.astype(np.float64) @ vectors.T / 40).clip(1e-12)
    assert _vendi(vectors) == pytest.approx(np.exp(-(eigenvalues * np.log(eigenvalues)).sum()), rel=1e-4)
    assert _vendi(np.eye(8, dtype=np.float32)) == pytest.approx(8)
    assert _vendi(np.tile(vectors[:1], (9, 1))) == pytest.approx(1)


def test_a_set_is_like_itself(here: Path) -> None:
    write_rows(here / "a.jsonl", [(f"Question {n}?", f"Answer {n * n}.") for n in range(30)])
    (here / "b.jsonl").write_text((here / "a.jsonl").read_text())
    one, other = curate.compare(["a.jsonl", "b.jsonl"]).sets
    assert (one.only, one.examples) == (0, [])
    assert one.tokens == other.tokens


def test_on_a_terminal_as_json_and_on_a_page(here: Path, cli: Any) -> None:
    names = sets(here)
    said = cli("compare", *names, "--report", "compared.html").out
    assert "various.jsonl  alike.jsonl" in said.splitlines()[0]
    assert "only in alike.jsonl:" in said
    found = json.loads(cli("compare", *names, "--json").out)
    assert [one["rows"] for one in found["sets"]] == [60, 52]
    page = (here / "compared.html").read_text()
    assert "2 sets compared" in page
    assert "Vendi score" in page


def test_what_can_not_be_compared_is_said(here: Path) -> None:
    write_rows(here / "a.jsonl", [("q?", "a")])
    (here / "bad.jsonl").write_text("no JSON\n")
    with pytest.raises(UsageError, match="needs two sets"):
        curate.compare(["a.jsonl"])
    with pytest.raises(UsageError, match=r"no row of bad\.jsonl could be read"):
        curate.compare(["a.jsonl", "bad.jsonl"])
    write_rows(here / "one.jsonl", [("", "")])
    found = curate.compare(["a.jsonl", "one.jsonl"]).sets
    assert found[0].nearest is None


def test_hostile_rows_are_inert_on_the_page(here: Path) -> None:
    from curate.comparing import write_comparison

    write_rows(here / "a.jsonl", [("<script>alert(1)</script>", "{{ 7 * 7 }}\u202e")])
    write_rows(here / "<b>.jsonl", [("q?", "a")])
    write_comparison(here / "page.html", curate.compare(["a.jsonl", "<b>.jsonl"]))
    page = (here / "page.html").read_text()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "‹U+202E›" in page
