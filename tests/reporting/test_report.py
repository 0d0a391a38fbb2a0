"""`report.html`: right numbers, readable in a real browser at any width, and inert whatever the rows hold."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLE, Filtered, write_rows

import curate
from curate.ledger import RunDirectory
from curate.pool import Pool
from curate.reporting import charts
from curate.reporting.facts import facts_of
from curate.reporting.report import visible

BASIC = ({"length": {"min_chars": 5}}, "turns", "exact-dup")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync", "--no-first-run"]


def report_of(result: Any) -> Path:
    path: Path = result.run.path / "report.html"
    return path


ROWS = [
    {"instruction": "a?", "output": "long enough"},
    {"instruction": "a?", "output": "long enough"},
    {"instruction": "b?", "output": "no"},
    {"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": "y"}]},
    {"messages": [{"role": "assistant", "content": "hm"}]},
    {"instruction": "한국어?", "output": "네, 한국어로 대답합니다."},
]


def test_it_tells_what_each_step_drops_alone_and_with_others(filtered: Filtered) -> None:
    result = filtered(ROWS, *BASIC)
    length, turns, exact = facts_of(result.run, result.pool).steps
    assert (length.summary["reached"], length.summary["dropped"], length.alone, length.shared) == (6, 2, 1, [2, 1, 0])
    assert (turns.summary["reached"], turns.summary["dropped"], turns.alone, turns.shared) == (4, 1, 1, [1, 2, 0])
    assert (exact.summary["reached"], exact.summary["dropped"], exact.alone, exact.shared) == (3, 1, 1, [0, 0, 1])
    assert length.reasons == [("response has N characters, fewer than N", 2)]
    assert exact.random[0].rival == "raw.jsonl:1"
    assert {sign for sign, _ in exact.random[0].diff} == {" "}


def test_histogram_and_curve_count_every_row_that_has_a_measure(filtered: Filtered) -> None:
    result = filtered([(f"{n}?", "x" * n) for n in range(1, 101)], {"length": {"min_chars": 31}})
    (step,) = facts_of(result.run, result.pool).steps
    assert (sum(bin[2] for bin in step.bins), sum(bin[3] for bin in step.bins)) == (70, 30)
    assert step.threshold == 31
    assert all(left == sum(n >= at for n in range(1, 101)) for at, left in step.curve)
    assert [example.value for example in step.nearest_kept] == list(range(31, 41))
    assert [example.value for example in step.nearest_dropped] == list(range(30, 20, -1))
    assert len(step.random) == 10


def test_a_few_rows_dropped_far_from_the_others_stand_beyond_the_threshold(filtered: Filtered) -> None:
    rows = [(f"{n}?", " ".join(f"w{n}x{k}" for k in range(40))) for n in range(1000)] + [("loop?", "again and " * 400)]
    result = filtered(rows, {"repetition": {}})
    (step,) = facts_of(result.run, result.pool).steps
    assert step.threshold is not None
    assert next(start for start, _, _, dropped in step.bins if dropped) >= step.threshold
    assert "square-root scale" in charts.histogram(step.bins, step.threshold, "repetition")
    assert charts.is_crowded(0, 0.01, 1) is False  # a share needs no logarithm


def test_before_and_after_are_shares_of_all_rows_and_of_those_kept(filtered: Filtered) -> None:
    result = filtered(ROWS, *BASIC)
    length, language, turns = facts_of(result.run, result.pool).shares
    for share in (length, language, turns):
        assert sum(share.before) == pytest.approx(1)
        assert sum(share.after) == pytest.approx(1)
    assert dict(zip(turns.groups, turns.after, strict=True))["2"] == 1
    assert dict(zip(language.groups, language.after, strict=True))["ko"] == 0.5


def test_topics_before_and_after_are_those_of_the_step_that_names_them(filtered: Filtered) -> None:
    bread = [
        (f"How long do I bake bread {n}?", "Put the bread into a hot oven and bake it. " * (n + 1)) for n in range(6)
    ]
    cats = [
        (f"고양이가 왜 사료를 안 먹나요? {n}", "고양이는 사료에 질렸어요. 고양이의 그릇도 보세요.") for n in range(6)
    ]
    result = filtered([*bread, *cats, ("", "")], {"cluster": {"topics": 2}}, {"length": {"max_chars": 60}})
    *_, topics = facts_of(result.run, result.pool).shares
    of = dict(zip(topics.groups, zip(topics.before, topics.after, strict=True), strict=True))
    (baking,) = (name for name in of if "bread" in name)
    (feeding,) = (name for name in of if "고양이" in name)
    assert (topics.name, len(of)) == ("topic, by cluster", 2)
    assert of[baking] == pytest.approx((1 / 2, 1 / 7))  # of bread one answer is short enough, of cats all are
    assert of[feeding] == pytest.approx((1 / 2, 6 / 7))
    page = report_of(result).read_text()
    assert "Topic, by cluster" in page
    assert f'<th scope="row"><bdi>{feeding}</bdi></th><td>50.0 %</td><td>85.7 %</td>' in page


def test_the_same_run_gives_the_same_page_but_for_times(here: Path, filtered: Filtered) -> None:
    def page(work_dir: str) -> str:
        result = filtered(ROWS, *BASIC, work_dir=work_dir)
        return re.sub(r"\d{8}T\d{6}|\d+\.\d\d?\d?\d?|[\d,]+ MB", "", report_of(result).read_text())

    assert page("one") == page("two")


def test_restored_rows_are_in_the_report(here: Path, filtered: Filtered, cli: Any) -> None:
    result = filtered(ROWS, *BASIC)
    assert "2 of 6 rows kept" in report_of(result).read_text()
    cli("restore", "--step", "exact-dup")
    assert "3 of 6 rows kept" in report_of(result).read_text()


def test_a_report_of_many_rows_stays_small(here: Path, filtered: Filtered) -> None:
    rows = [(f"Question {n}?", f"Answer {n} " + "word " * (n % 400)) for n in range(20_000)]
    result = filtered(rows, {"length": {"max_chars": 1500}}, "turns", "exact-dup", "near-dup")
    assert report_of(result).stat().st_size < 2_000_000


def test_the_map_shows_drawn_rows_with_their_first_words_and_what_dropped_them(filtered: Filtered) -> None:
    rows = [(f"Which river is number {n}?", "water " * n) for n in range(40)]
    rows += [(f"소수 {n}은 무엇인가요?", f"<b>{n}</b>번째 소수입니다.") for n in range(40)]
    result = filtered(rows, {"length": {"min_chars": 20}}, "turns")
    points = facts_of(result.run, result.pool).points
    assert len(points) == 80
    assert sum(point.step is None for point in points) == result.summary.kept
    assert {point.step for point in points} == {None, "length"}
    assert all(0 <= point.x <= 1 and 0 <= point.y <= 1 for point in points)
    korean = [point.x for point in points if "소수" in point.words]
    rivers = [point.x for point in points if "river" in point.words]
    assert max(korean) < min(rivers) or max(rivers) < min(korean)  # other words, another side
    page = report_of(result).read_text()
    assert page.count("<circle ") == 80
    assert "<title>length: Which river is number 1? water</title>" in page
    assert "&lt;b&gt;" in page


def test_few_rows_have_no_map(filtered: Filtered) -> None:
    result = filtered(ROWS, *BASIC)
    assert facts_of(result.run, result.pool).points == []
    assert 'id="map"' not in report_of(result).read_text()


def test_what_shows_nothing_or_turns_text_round_is_shown_as_its_number() -> None:
    assert visible("a\u202eb\x00c\u200dd\n\te") == "a‹U+202E›b‹U+0000›c‹U+200D›d\n\te"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, headless."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed: in CI these tests must run")
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def sample_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        "steps: [length: {min_chars: 20}, turns, broken, exact-dup, keep-top: {n: 200, by: length.chars}]"
    )
    result = curate.filter(SAMPLE, folder / "curated.jsonl", recipe=recipe, work_dir=folder / "work")
    return report_of(result)


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_charts_are_seen_and_nothing_is_wider_than_the_page(
    browser: Any, sample_report: Path, width: int, scheme: str, scripts: bool
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
    )
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(sample_report.as_uri())
    charts = page.locator("figure svg").all()
    assert len(charts) >= 6
    for chart in charts:
        box = chart.bounding_box()
        assert box["width"] > 200
        assert box["height"] > 80
        assert box["x"] + box["width"] <= width
    body = page.locator("body").bounding_box()
    assert body["width"] <= width
    assert asked == [sample_report.as_uri()]
    context.close()


def test_every_chart_has_a_name_and_its_numbers(browser: Any, sample_report: Path) -> None:
    page = browser.new_page()
    page.goto(sample_report.as_uri())
    for figure in page.locator("figure").all():
        assert figure.get_attribute("aria-label")
        assert figure.locator("details table tbody tr").count() > 0
    assert page.locator("main h2").count() == page.locator("main section").count()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#funnel"
    page.close()


def test_hostile_rows_are_inert(browser: Any, here: Path) -> None:
    evil = [
        "<script>document.title = 'owned'</script>",
        "<img src=x onerror=\"document.title = 'owned'\">",
        "</style></p></div></details><h1>owned</h1>",
        "{{ 7 * 7 }} {% raw %}",
        "\u202eright to left\u202c \x1b[31m",
        "<svg onload=alert(1)>" + "x" * 1_000_000,
        "javascript:alert(1)",
    ]
    name = "<img src=x onerror=alert(1)>.jsonl"
    write_rows(here / name, [(text, text) for text in evil for _ in range(2)] + [("q?", text) for text in evil])
    (here / "recipe.yaml").write_text("steps: [length: {max_chars: 60}, exact-dup]")
    report = report_of(curate.filter(name, recipe="recipe.yaml"))
    page = browser.new_page()
    heard: list[str] = []
    page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(report.absolute().as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert heard == [report.absolute().as_uri()]
    assert page.title().startswith("curate:")
    assert page.locator("h1").count() == 1
    assert page.locator("img, script").count() == 0
    shown = page.locator("main").inner_text()
    assert evil[0] in shown
    assert evil[3] in shown
    assert "‹U+202E›right to left‹U+202C› ‹U+001B›[31m" in shown
    assert report.stat().st_size < 300_000
    page.close()


def test_a_report_can_be_made_of_a_finished_run_alone(here: Path, filtered: Filtered) -> None:
    result = filtered(ROWS, *BASIC)
    run, pool = RunDirectory(result.run.path), Pool(result.pool.path, result.pool.sources, result.pool.work_dir)
    assert facts_of(run, pool).summary == json.loads((run.path / "run.json").read_text())["summary"]
