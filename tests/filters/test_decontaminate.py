"""decontaminate: planted test rows are found with evidence, an exact oracle agrees, and real rows are left alone."""

import json
import random
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import REPOSITORY, left_behind, write_rows
from hypothesis import given, settings
from hypothesis import strategies as st

import curate
from curate.contamination import COMMON, FEW, Index, Sides, built_in, grams_of, texts_in
from curate.errors import InputError, UsageError
from curate.kernels.ngrams import GRAM, LEAST, SHORT

QUESTION = (
    "A farmer keeps seventeen goats in the north meadow and twice as many sheep in the south meadow behind the old "
    "mill. When the river floods he sells nine of the sheep and buys four more goats. How many animals does the farmer "
    "keep then?"
)
ANSWER = (
    "There are thirty four sheep before the flood, so twenty five remain, and the goats become twenty one afterwards, "
    "all told."
)
KOREAN = (
    "민수는 아침마다 공원에서 자전거를 타고 저녁에는 동생과 함께 강가를 걷습니다. "
    "일주일 동안 두 사람이 함께 걸은 거리는 모두 몇 킬로미터입니까?"
)
EXAM = [{"question": QUESTION, "answer": ANSWER}, {"question": KOREAN, "answer": "모두 열네 킬로미터"}]
OWN = {"decontaminate": {"against": ["exam.jsonl"], "benchmarks": []}}
CLEAN = ("Why is the sky blue?", "Short waves of light are scattered more by the air than long ones are.")


@pytest.fixture
def exam(here: Path) -> Path:
    write_rows(here / "exam.jsonl", EXAM)
    return here / "exam.jsonl"


def test_a_copy_is_dropped_with_the_test_row_the_passage_and_the_score(exam: Path, filtered: Any) -> None:
    rows = [CLEAN, (QUESTION.upper().replace(".", " ;"), "42"), ("Solve it.", "Sure! " + ANSWER)]
    result = filtered(rows, OWN)
    said = result.dropped.select("row", "reason", "rival", "value", "threshold").rows()
    assert said == [
        (1, "the prompt holds 100 % of exam.jsonl:1 (question)", "exam.jsonl:1", 1.0, 0.5),
        (2, "the response holds 100 % of exam.jsonl:1 (answer)", "exam.jsonl:1", 1.0, 0.5),
    ]
    evidence = json.loads(result.ledger.filter(row=2)["evidence"][0])
    assert evidence == {
        "side": "response",
        "of": "exam.jsonl:1 answer",
        "spans": [ANSWER],
        "text": ANSWER,
    }


def test_edited_parts_are_found_and_chance_phrases_are_not(exam: Path, reasons: Any) -> None:
    words = QUESTION.split()
    wanted = [
        (QUESTION.replace("goats", "cows").replace("mill", "barn"), "the prompt holds 85 % of exam.jsonl:1 (question)"),
        (
            "Ein Bauer. " + " ".join(words[12:26]),
            "the prompt has 14 words in a row of exam.jsonl:1 (question)",
        ),
        (" ".join(words[12:24]), None),
        ("수학 문제: " + KOREAN.replace("민수는", "철수는"), "the prompt holds 98 % of exam.jsonl:2 (question)"),
        (KOREAN[:20], None),
        ("모두 열네 킬로미터", None),
    ]
    assert reasons([(prompt, "Yes.") for prompt, _ in wanted], OWN) == [reason for _, reason in wanted]


def test_sides_are_looked_at_apart(exam: Path, reasons: Any) -> None:
    rows = [(QUESTION, "?"), ("?", QUESTION)]
    in_prompt, in_response = "the prompt holds 100 %", "the response holds 100 %"
    for of, wanted in (("prompt", [in_prompt, None]), ("response", [None, in_response])):
        said = reasons(rows, {"decontaminate": {"against": ["exam.jsonl"], "benchmarks": [], "of": of}})
        assert [s and s[: len(in_response)].rstrip(" o") for s in said] == wanted


def test_a_benchmark_of_any_shape_is_read(here: Path, reasons: Any) -> None:
    shapes = [
        {"messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]},
        {"conversations": [{"from": "human", "value": QUESTION}]},
        {"id": "x", "data": {"stem": QUESTION, "choices": {"text": ["a", "b"], "label": ["A", "B"]}}},
        [QUESTION],
    ]
    fields = ["user.content", "human.value", "stem", "text"]
    for k, shape in enumerate(shapes):  # the order of files decides which of equal test rows is named
        (here / f"{k}.jsonl").write_text(json.dumps(shape).replace("farmer", f"farmer{k}"))
    pl.DataFrame({"q": [QUESTION]}).write_csv(here / "exam.csv")
    files = ["0.jsonl", "1.jsonl", "2.jsonl", "3.jsonl", "exam.csv"]
    rows = [(QUESTION.replace("farmer", f"farmer{k}" if k < 4 else "farmer"), "?") for k in range(5)]
    said = reasons([CLEAN, *rows], {"decontaminate": {"against": files, "benchmarks": []}})
    of_json = [f"the prompt holds 100 % of {k}.jsonl:1 ({field})" for k, field in enumerate(fields)]
    assert said == [None, *of_json, "the prompt holds 100 % of exam.csv:2 (q)"]


def test_a_template_that_many_test_rows_share_is_no_evidence(here: Path, reasons: Any) -> None:
    template = (
        "Read the following question with care and answer it with one of the letters A, B, C or D and nothing else: "
    )
    write_rows(here / "exam.jsonl", [{"q": template + f"what is number {k} of {QUESTION[k:]}"} for k in range(12)])
    assert reasons([(template + "Which planet is the largest one?", "B")], OWN) == [None]


def test_marks_of_a_calculator_hide_nothing(here: Path, reasons: Any) -> None:
    answer = "She sold 48/2 = <<48/2=24>>24 clips in the month of May to her neighbours and to the old school friends."
    write_rows(here / "exam.jsonl", [{"answer": answer}])
    said = reasons([CLEAN, ("?", answer.replace("<<48/2=24>>", ""))], OWN)
    assert said == [None, "the response holds 92 % of exam.jsonl:1 (answer)"]  # of 20 words


def test_against_works_with_any_recipe_and_before_what_selects(exam: Path, filtered: Any) -> None:
    result = filtered([CLEAN, (QUESTION, "?" * 30)], recipe="longest", keep=1, against=["exam.jsonl"])
    assert result.kept["row"].to_list() == [0]
    steps = [step.filter for step in result.summary.by_step]
    assert steps.index("decontaminate") < steps.index("keep-top")


def test_thresholds_measure_nothing_anew(exam: Path, filtered: Any) -> None:
    half = " ".join(QUESTION.split()[:20])
    rows = [CLEAN, (half, "?")]
    step = {"decontaminate": {"against": ["exam.jsonl"], "benchmarks": [], "overlap": 0.9, "run": None}}
    assert filtered(rows, step).summary.kept == 2
    step["decontaminate"] |= {"overlap": 0.3}
    again = filtered(None, step).summary
    assert (again.kept, again.by_step[0].measured) == (1, 0)


def test_what_can_not_be_looked_for_is_said(here: Path, filtered: Any) -> None:
    (here / "exam.jsonl").write_text('{"answer": "B"}\n')
    with pytest.raises(InputError, match="no text of 5 words or more"):
        filtered([CLEAN], OWN)
    with pytest.raises(InputError, match="does not exist"):
        filtered([CLEAN], {"decontaminate": {"against": ["none.jsonl"]}})
    with pytest.raises(UsageError, match="known: humaneval, mbpp, gsm8k"):
        filtered([CLEAN], {"decontaminate": {"benchmarks": ["mmlu"]}})


def test_rows_without_text_and_threads_and_order_change_nothing(exam: Path, filtered: Any) -> None:
    chance = random.Random(3)
    rows: list[Any] = [CLEAN, ("", ""), {"instruction": "No answer"}, {"text": QUESTION}, (KOREAN, ANSWER)] * 7
    first = filtered(rows, OWN, output="a.jsonl")
    with_one = curate.filter("raw.jsonl", "b.jsonl", recipe="recipe.yaml", work_dir="other", fresh=True)
    assert left_behind(first.run.path, Path("a.jsonl")) == left_behind(with_one.run.path, Path("b.jsonl"))
    chance.shuffle(rows)
    assert sorted(filtered(rows, OWN).kept["prompt"]) == sorted(first.kept["prompt"])


SOLUTION = '''
def busiest_hours(visits: list[int], limit: int = 3) -> list[int]:
    """The hours with most visits, busiest first."""
    counts = {}
    for hour in visits:
        counts[hour] = counts.get(hour, 0) + 1
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [hour for hour, number in ranked[:limit] if number > 1]
'''
RENAMED = """
def top(values, n=3):
    seen = {}
    for value in values:  # count them
        seen[value] = seen.get(value, 0) + 1
    order = sorted(seen.items(), key=lambda item: (-item[1], item[0]))
    return [value for value, times in order[:n] if times > 1]
"""
OTHER = """
def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
"""


def test_a_function_under_other_names_is_found_by_its_form(here: Path, reasons: Any, filtered: Any) -> None:
    head, _, body = SOLUTION.partition("    counts")  # as HumanEval has them: a prompt, and a body apart
    write_rows(here / "exam.jsonl", [{"task": "t", "prompt": head, "canonical_solution": "    counts" + body}])
    edited = RENAMED.replace("n=3", "n=5").replace("> 1]", ">= 2]")
    rows = [(f"Write {k}", f"```python\n{code}```") for k, code in enumerate((RENAMED, edited, OTHER))]
    rows += [("?", RENAMED), ("?", "def f(x:\n  broken")]
    of = "% one of exam.jsonl:1 (canonical_solution)"
    said = reasons(rows, OWN)
    assert said[0] == said[3] == f"the response has a function that is by 100 {of}"
    assert said[1] and said[1].startswith("the response has a function that is by 9") and said[1].endswith(of)
    assert said[2] is said[4] is None
    strict = {"decontaminate": {"against": ["exam.jsonl"], "benchmarks": [], "code": 1.0}}
    assert [row is None for row in reasons(rows, strict)] == [False, True, True, False, True]
    off = {"decontaminate": {"against": ["exam.jsonl"], "benchmarks": [], "functions": False}}
    assert reasons(rows, off) == [None] * 5
    with pytest.raises(UsageError, match=r"code must lie between 0\.8 and 1"):
        filtered(rows, {"decontaminate": {"code": 0.5}})


def test_paraphrases_are_found_by_an_embedder_with_both_texts_shown(exam: Path, filtered: Any) -> None:
    paraphrase = " ".join(sorted(QUESTION.split()))  # no run of words is the same, the words are
    rows = [CLEAN, (paraphrase, "?"), ("What is a river?", "Water that flows.")] * 3
    assert filtered(rows, OWN).summary.kept == 9
    by_meaning = {"decontaminate": {"against": ["exam.jsonl"], "benchmarks": [], "embedder": "default", "cosine": 0.8}}
    result = filtered(None, by_meaning)
    assert result.dropped["row"].to_list() == [1, 4, 7]
    assert result.dropped["reason"][0].startswith("the prompt is in meaning by ")
    assert result.dropped["rival"][0] == "exam.jsonl:1"
    evidence = json.loads(result.ledger.filter(row=1)["evidence"][0])
    assert (evidence["own"], evidence["text"]) == (paraphrase, QUESTION)
    with pytest.raises(UsageError, match="no texts to embed"):
        filtered(None, {"decontaminate": {"embedder": "default", "benchmarks": ["mbpp"]}})


# The built-in benchmarks


def test_the_fingerprints_are_what_the_script_makes(real_data: Path, tmp_path: Path) -> None:
    script = runpy.run_path(str(REPOSITORY / "data" / "make_fingerprints.py"))
    files = ("eval_humaneval/HumanEval.jsonl", "eval_mbpp/mbpp.jsonl", "eval_gsm8k/test.jsonl")
    script["main"]([str(real_data / file) for file in files], tmp_path / "made.npz")
    made, shipped = Sides.open(tmp_path / "made.npz"), built_in()
    assert (made.rows, made.fields) == (shipped.rows, shipped.fields)
    for name in ("grams", "at", "until", "bounds"):
        assert np.array_equal(getattr(made, name), getattr(shipped, name))
    for name in ("labels", "bounds", "side"):
        assert np.array_equal(getattr(made.functions, name), getattr(shipped.functions, name))
    assert len({row for row in shipped.rows if row.startswith("humaneval:")}) == 164


def test_real_test_rows_are_found_among_real_rows_and_nothing_else(real_data: Path, here: Path, filtered: Any) -> None:
    def rows_of(file: str, prompt: str, response: str) -> list[tuple[str, str]]:
        records = map(json.loads, (real_data / file).read_text().splitlines())
        return [(record[prompt], record[response]) for record in records]

    clean = rows_of("alpaca_dolly3k/dolly_3k.jsonl", "instruction", "output")
    clean += rows_of("ko_chatbot/ChatbotData.jsonl", "Q", "A")
    planted = {
        "humaneval": rows_of("eval_humaneval/HumanEval.jsonl", "prompt", "canonical_solution"),
        "mbpp": rows_of("eval_mbpp/mbpp.jsonl", "text", "code"),
        "gsm8k": rows_of("eval_gsm8k/test.jsonl", "question", "answer"),
    }
    result = filtered(clean + [row for rows in planted.values() for row in rows], "decontaminate")
    dropped = result.dropped
    assert dropped["row"].min() == len(clean) and len(dropped) == sum(map(len, planted.values()))
    start = len(clean)
    for name, rows in planted.items():
        first = 1 if name == "mbpp" else 0
        own = dict(dropped.select("row", "rival").iter_rows())
        right = [own[start + k] == f"{name}:{k + first}" for k in range(len(rows))]
        assert np.mean(right) > 0.98, name  # MBPP asks some things twice
        start += len(rows)


def test_the_example_of_the_help_is_so(reasons: Any) -> None:
    prompt = "Check if in given list of numbers, are any two numbers closer to each other than given threshold."
    said = reasons([CLEAN, (prompt, "?")], "decontaminate")
    assert said == [None, "the prompt has 18 words in a row of humaneval:0 (prompt)"]


# Kernels and index against plain twins

WORDS = st.text(st.sampled_from("ab1 é가나漢., "), max_size=60)


def tokens(text: str) -> list[tuple[str, int]]:
    """Words and dense letters with their half words."""
    found: list[tuple[str, int]] = []
    word = ""
    for letter in [*text.lower(), " "]:
        if letter.isalnum() and letter not in "가나漢":
            word += letter
            continue
        if word:
            found.append((word, 1 if sum(not c.isdigit() for c in word) < 2 else 2))
            word = ""
        if letter in "가나漢":
            found.append((letter, 1))
    return found


def plain_grams(parts: list[tuple[str, int]]) -> list[tuple[tuple[str, ...], int, int]]:
    """Each gram, where it begins and ends, straight from the definition."""
    places = np.cumsum([0, *(size for _, size in parts)]).tolist()
    if places[-1] < LEAST:
        return []
    if places[-1] <= SHORT:
        return [(("all", *(word for word, _ in parts)), 0, places[-1])]
    found = []
    for start in range(len(parts)):
        end = next((e for e in range(start, len(parts) + 1) if places[e] - places[start] >= GRAM), None)
        if end is not None:
            found.append((tuple(word for word, _ in parts[start:end]), places[start], places[end]))
    return found


@given(st.lists(WORDS, min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_grams_are_those_of_the_definition(texts: list[str]) -> None:
    found, at, until, counts = grams_of(pl.Series(texts, dtype=pl.String))
    plain = [gram for text in texts for gram in plain_grams(tokens(text))]
    assert [(a, b) for _, a, b in plain] == list(zip(at.tolist(), until.tolist(), strict=True))
    assert counts.tolist() == [len(plain_grams(tokens(text))) for text in texts]
    known: dict[int, Any] = {}
    assert all(known.setdefault(key, gram) == gram for key, (gram, _, _) in zip(found.tolist(), plain, strict=True))
    assert len(known) == len({gram for gram, _, _ in plain})


def oracle(text: str, sides: list[str]) -> tuple[float, float]:
    """The largest overlap and the longest run of a text with any side, by marking every half word."""
    rows: dict[Any, set[int]] = {}
    for number, side in enumerate(sides):
        for gram, _, _ in plain_grams(tokens(side)):
            rows.setdefault(gram, set()).add(number)
    best = longest = 0.0
    own = plain_grams(tokens(text))
    for side in sides:
        grams = {}
        for gram, at, until in plain_grams(tokens(side)):
            if len(rows[gram]) <= COMMON:
                grams.setdefault(gram, (at, until))
        whole = {k for at, until in grams.values() for k in range(at, until)}
        shared = {gram: grams[gram] for gram, _, _ in own if gram in grams}
        covered = {k for at, until in shared.values() for k in range(at, until)}
        needed = max(len(whole), 1 if len(grams) == 1 else FEW)
        best = max(best, len(covered) / needed)
        lines: dict[int, list[tuple[int, int]]] = {}
        for gram, at, _ in own:
            if gram in grams:
                lines.setdefault(at - grams[gram][0], []).append(grams[gram])
        for stretch in lines.values():
            start = reached = -1
            for at, until in sorted(stretch):
                start, reached = (start if at < reached else at), until
                longest = max(longest, (reached - start) / 2)
    return best, longest


@pytest.mark.parametrize("seeds", [range(k, k + 50) for k in range(0, 300, 50)])
def test_overlap_and_run_are_those_of_brute_force(seeds: range) -> None:
    for seed in seeds:
        check_against_oracle(random.Random(seed))


def check_against_oracle(chance: random.Random) -> None:
    vocabulary = ["alpha", "beta", "x", "7", "가", "나", "gamma", "delta"][: chance.randint(3, 8)]
    sides = [" ".join(chance.choices(vocabulary, k=chance.randint(0, 40))) for _ in range(chance.randint(1, 14))]
    texts = [" ".join(chance.choices(vocabulary, k=chance.randint(0, 60))) for _ in range(4)]
    for _ in range(4):
        words = chance.choice(sides).split()
        cut = chance.randint(0, len(words))
        texts.append(" ".join([*words[cut:], *chance.choices(vocabulary, k=4), *words[:cut]]))
    index = Index(Sides.of([str(k) for k in range(len(sides))], ["text"] * len(sides), sides))
    found = index.matches(pl.Series(texts))
    for text, overlap, run in zip(texts, found["overlap"], found["run"], strict=True):
        assert (overlap or 0.0, run or 0.0) == pytest.approx(oracle(text, sides)), text


def test_texts_of_a_record_are_named_by_their_fields() -> None:
    record = {"id": 3, "turns": ["a", "b"], "ctx": {"deep": "c"}, "messages": [{"role": "user", "content": "d"}]}
    assert list(texts_in(record)) == [
        ("turns", "a\nb"),
        ("deep", "c"),
        ("user.role", "user"),
        ("user.content", "d"),
    ]
