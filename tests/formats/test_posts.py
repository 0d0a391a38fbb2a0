"""StackExchange's Posts.xml: a row per question, with its best answer; damage costs the element it hits."""

import gzip
import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

import curate
from curate.errors import InputError
from curate.pool import Pool, ReadOptions, read_pool
from curate.shapes.reading import Reading

HEAD, END = '\ufeff<?xml version="1.0" encoding="utf-8"?>\n<posts>\n', "</posts>\n"


def post(number: int, kind: int, body: str, **more: object) -> str:
    fields = {"Id": number, "PostTypeId": kind, "Body": body, **more}
    said = " ".join(f"{name}={quoteattr(str(value), {chr(10): '&#xA;'})}" for name, value in fields.items())
    return f"  <row {said} />\n"


def question(number: int, title: str = "How?", body: str = "<p>Body.</p>", **more: object) -> str:
    return post(number, 1, body, Title=title, **{"Score": 3, "Tags": "<python><list>", **more})


def answer(number: int, to: int, score: int, body: str = "<p>So.</p>") -> str:
    return post(number, 2, body, ParentId=to, Score=score)


def pool_of(here: Path, text: str, name: str = "Posts.xml", **options: Any) -> Pool:
    (here / name).write_text(text, encoding="utf-8")
    return read_pool([name], here / ".curate", ReadOptions(**options))


def rows_of(pool: Pool) -> list[dict[str, Any]]:
    found = [row for frame in pool.batches(["line", "prompt", "response", "meta"]) for row in frame.to_dicts()]
    return [row | {"meta": json.loads(row["meta"])} for row in found]


def causes(pool: Pool) -> list[tuple[int, str]]:
    return [(record["line"], record["cause"]) for record in pool.rejected()]


def test_a_question_and_its_best_answer_are_a_row(here: Path) -> None:
    text = HEAD + question(1, "Lists &c?", "<p>Why <code>x</code>?</p>", OwnerUserId=9, ContentLicense="CC BY-SA 4.0")
    text += answer(2, 1, 4) + answer(3, 1, 12, "<p>Because:</p><pre><code>y</code></pre>") + END
    pool = pool_of(here, text)
    (row,) = rows_of(pool)
    assert row["prompt"] == "Lists &c?\n\nWhy `x`?"
    assert row["response"] == "Because:\n\n```\ny\n```"
    assert row["line"] == 3
    assert row["meta"] == {
        "title": "Lists &c?",
        "tags": ["python", "list"],
        "question_id": 1,
        "question_score": 3,
        "question_author": "9",
        "question_licence": "CC BY-SA 4.0",
        "answer_id": 3,
        "answer_score": 12,
        "accepted": False,
        "answer_count": 2,
    }
    assert pool.facts["sources"][0]["shapes"] == {"stackexchange": 1}


def test_the_highest_score_is_best_then_the_accepted_then_the_earlier(here: Path) -> None:
    text = HEAD + question(1, AcceptedAnswerId=4) + answer(3, 1, 7) + answer(4, 1, 7) + answer(5, 1, 2)
    text += answer(11, 10, 5) + answer(12, 10, 5) + question(10) + question(20) + END  # answers may come first
    rows = rows_of(pool_of(here, text))
    assert [row["meta"].get("answer_id") for row in rows] == [4, 11, None]
    assert [row["meta"]["answer_count"] for row in rows] == [3, 2, 0]
    assert rows[0]["meta"]["accepted"] is True
    assert rows[2]["response"] is None


def test_damage_costs_the_element_that_it_hits(here: Path) -> None:
    text = HEAD + question(1) + '  <row Id="2" PostTypeId="2" Body="never closed\n' + answer(3, 1, 5)
    text += post(4, 5, "a tag's wiki") + answer(5, 99, 1) + '<row Id="x" PostTypeId="1" />\n' + "<oops>\n"
    text += '<row Id="7" PostTypeId="1" Title="a&bogus;b" />\n' + question(8) + '<row Id="9" PostTy'
    pool = pool_of(here, text)
    assert [row["meta"]["question_id"] for row in rows_of(pool)] == [1, 8]
    assert rows_of(pool)[0]["response"] == "So."
    assert sorted(causes(pool)) == [
        (4, "damaged XML: unclosed token"),
        (6, "a post of type 5, neither a question nor an answer"),
        (7, "an answer to question 99, which is not in the file"),
        (8, "Id, ParentId, Score or AcceptedAnswerId is no whole number"),
        (9, "<oops> is no <row> of StackExchange's Posts.xml; turn other XML into .jsonl or .csv"),
        (10, "damaged XML: undefined entity"),
        (12, "damaged XML: unclosed token"),
    ]
    assert pool.records == 2 + 7


def test_many_questions_across_blocks_are_all_found(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEAD + "".join(
        question(2 * n, f"Q{n}?") + answer(2 * n + 1, 2 * n, n, f"<p>A{n}</p>") for n in range(1, 3000)
    )
    monkeypatch.setattr("curate.formats.posts.BLOCK", 1000)
    rows = rows_of(pool_of(here, text + END))
    assert [row["response"] for row in rows] == [f"A{n}" for n in range(1, 3000)]
    assert [row["line"] for row in rows] == [2 * n + 1 for n in range(1, 3000)]


def test_rows_on_one_line_are_told_apart(here: Path) -> None:
    text = (HEAD + question(1, "a") + question(2, "b") + answer(3, 2, 1) + END).replace("\n", "")
    pool_of(here, text)
    result = curate.filter("Posts.xml", "out.jsonl", recipe=_recipe(here, "keep-top: {n: 1, by: meta.answer_score}"))
    assert result.kept["prompt"].to_list() == ["b\n\nBody."]
    assert json.loads((here / "out.jsonl").read_text())["question_id"] == 2


def _recipe(here: Path, step: str) -> Path:
    (here / "recipe.yaml").write_text(f"steps: [{step}]")
    return here / "recipe.yaml"


def test_what_is_kept_reads_as_the_same_rows_again(here: Path) -> None:
    text = HEAD + "".join(question(2 * n) + answer(2 * n + 1, 2 * n, n, f"<p>{'x' * n}</p>") for n in range(1, 1200))
    first = pool_of(here, text + END)
    curate.filter("Posts.xml", "out.jsonl", recipe=_recipe(here, "length: {min_chars: 1}"))
    again = read_pool(["out.jsonl"], here / ".curate")
    assert again.facts["sources"][0]["shapes"] == {"stackexchange": 1199}
    assert again.column("id").equals(first.column("id"))
    assert rows_of(again)[7]["meta"] == rows_of(first)[7]["meta"]


@pytest.mark.parametrize("cut", [False, True])
def test_a_compressed_file_is_read_as_far_as_it_goes(here: Path, cut: bool) -> None:
    text = HEAD + "".join(
        question(2 * n, body="<p>" + str(n) * 60) + answer(2 * n + 1, 2 * n, n) for n in range(1, 2000)
    )
    packed = gzip.compress((text + END).encode())
    (here / "Posts.xml.gz").write_bytes(packed[: len(packed) // 2] if cut else packed)
    pool = read_pool(["Posts.xml.gz"], here / ".curate")
    assert (len(pool) == 1999) == (not cut)
    assert len(pool) > 200
    assert [said for _, said in causes(pool) if "compressed" in said] == (
        ["the compressed file ends too early: it was cut off; make or download it again"] if cut else []
    )


def test_standard_input_and_other_names_are_seen_to_be_xml(here: Path) -> None:
    assert len(pool_of(here, HEAD + question(1) + END, "dump.txt")) == 1


def test_an_element_over_max_line_is_left_out_and_the_rest_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.formats.posts.BLOCK", 1000)
    text = HEAD + question(1) + answer(2, 1, 9, "x" * 50_000) + answer(3, 1, 1) + question(4) + END
    pool = pool_of(here, text, max_line=5000)
    assert [row["meta"].get("answer_id") for row in rows_of(pool)] == [3, None]
    assert causes(pool) == [(4, "over --max-line 5,000 bytes; raise it to read this record")]
    assert [row["line"] for row in rows_of(pool)] == [3, 6]


def test_other_xml_is_refused_by_name(here: Path) -> None:
    with pytest.raises(InputError, match=r"Users.xml:2  <users> is no <row> of StackExchange's Posts.xml"):
        pool_of(here, '<?xml version="1.0"?>\n<users>\n<row Id="1"/></users>', "Users.xml")
    with pytest.raises(InputError, match="no records in it"):
        pool_of(here, HEAD + END)


def test_xml_is_not_written(here: Path) -> None:
    pool_of(here, HEAD + question(1) + END)
    with pytest.raises(curate.errors.UsageError, match="names no format"):
        curate.filter("Posts.xml", "out.xml")


def test_wikihow_titles_ask_and_articles_answer(here: Path) -> None:
    (here / "wiki.csv").write_text('headline,title,text\n"\nPull.,\nTie.",How to Tie a Tie,"Pull it.\n\nTie it."\n')
    pool = read_pool(["wiki.csv"], here / ".curate")
    (row,) = rows_of(pool)
    assert (row["prompt"], row["response"]) == ("How to Tie a Tie", "Pull it.\n\nTie it.")
    assert row["meta"] == {"headline": "\nPull.,\nTie."}
    assert pool.facts["sources"][0]["shapes"] == {"wikihow": 1}
    (here / "wiki.jsonl").write_text(json.dumps({"title": "매듭 묶는 방법", "text": "당기세요.", "category": "취미"}))
    pool = read_pool(["wiki.jsonl"], here / ".curate", ReadOptions(Reading("wikihow")))
    assert rows_of(pool)[0]["meta"] == {"category": "취미"}
