"""Filters of other people: a file named by --plugin, or an installed package."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from curate.errors import UsageError

CAPITALS = '''"""Drop a row whose response is mostly capitals.

"STOP" is dropped.
"""

import dataclasses
from pathlib import Path

import polars as pl

from curate.protocol import threshold, within


@dataclasses.dataclass(frozen=True, kw_only=True)
class Capitals:
    """Share of capitals among the characters."""

    per_row = True
    most: float | None = threshold(0.5)
    """Largest share to keep; None: off."""

    def measure(self, rows):
        with Path("measured").open("a") as file:
            file.write(f"{len(rows)} ")
        text = pl.col("response").str
        return rows.select(share=text.count_matches(r"\\p{Lu}") / text.len_chars())

    def decide(self, measures, pool):
        return within(measures, "share", high=self.most, what="share of capitals")
'''
RAW = '{"instruction": "Stop?", "output": "STOP"}\n{"instruction": "멈출까?", "output": "네."}\n'
SHOWN = """\
capitals

Drop a row whose response is mostly capitals.

"STOP" is dropped.

Share of capitals among the characters.

  most: float | None (default 0.5)
      Largest share to keep; None: off.
"""


@pytest.fixture
def rows(here: Path) -> Path:
    (here / "raw.jsonl").write_text(RAW)
    (here / "recipe.yaml").write_text("steps: [capitals, exact-dup]")
    return here


def measured(here: Path) -> list[int]:
    """Rows of each call of `measure` (with the empty one that names the columns left out) since the last look."""
    file = here / "measured"
    counts = [int(n) for n in file.read_text().split()] if file.exists() else []
    file.unlink(missing_ok=True)
    return [n for n in counts if n]


def test_a_file_is_shown_cached_recorded_and_explained(rows: Path, cli: Any) -> None:
    (rows / "capitals.py").write_text(CAPITALS)
    more = ["--plugin", "capitals.py"]
    assert cli("filters", "show", "capitals", *more).out == SHOWN
    cli("filter", "raw.jsonl", "--recipe", "recipe.yaml", *more)
    assert (rows / "curated.jsonl").read_text() == RAW.splitlines(True)[1]
    assert measured(rows) == [2]
    out = cli("why", "raw.jsonl:1").out
    assert "capitals: drop\n  share of capitals is 1.0, more than 0.5\n  measured  share 1\n" in out
    cli("filter", "raw.jsonl", "--recipe", "recipe.yaml", *more, "--set", "capitals.most=1")
    assert (rows / "curated.jsonl").read_text() == RAW
    assert measured(rows) == []
    # a file that is gone can't say how it measured; what it decided stands
    (rows / "capitals.py").unlink()
    out = cli("why", "raw.jsonl:1").out
    assert "capitals: keep" in out
    assert "measured" not in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "--plugin mine.py is not a Python file"),
        ("x = 1", "--plugin mine.py defines no filter"),
        ("import nothing_of_that_name", "--plugin mine.py does not import: ModuleNotFoundError: No module named"),
        ("def (", "--plugin mine.py does not import: SyntaxError: "),
        ("from filters.length import Length", "--plugin mine.py defines no filter"),
    ],
)
def test_a_file_that_is_no_filter_is_refused(rows: Path, filtered: Any, text: str | None, message: str) -> None:
    if text is not None:
        (rows / "mine.py").write_text(text)
    with pytest.raises(UsageError) as refused:
        filtered(None, "length", plugins=["mine.py"])
    assert refused.value.message.startswith(message)


def test_one_file_may_define_several_filters_and_take_the_place_of_a_built_in(filtered: Any, plugin: Any) -> None:
    file = plugin("""
        @frozen
        class Length:
            def decide(self, measures, pool):
                return measures.select("row", verdict=pl.lit("keep"), reason=pl.lit("mine"))
        @frozen
        class KoreanOnly:
            def measure(self, rows): return rows.select(hangul=pl.col("response").str.contains(r"\\p{Hangul}"))
            def decide(self, measures, pool):
                verdict = pl.when("hangul").then(pl.lit("keep")).otherwise(pl.lit("drop"))
                return measures.select(verdict=verdict, reason=pl.lit("no Hangul"))
    """)
    result = filtered([("a?", ""), ("b?", "네"), ("c?", "yes")], "length", "korean-only", plugins=[file])
    assert result.kept["prompt"].to_list() == ["b?"]
    assert result.ledger["reason"].unique(maintain_order=True).to_list() == ["mine", "no Hangul"]


PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "curate-capitals"
version = "0.1"
[project.entry-points."curate.filters"]
capitals = "curate_capitals.capitals:Capitals"
broken = "curate_capitals.broken:Broken"
[tool.hatch.build.targets.wheel]
packages = ["curate_capitals"]
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a built package with an entry point is installed."""
    source = tmp_path_factory.mktemp("package")
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "curate_capitals").mkdir()
    (source / "curate_capitals" / "__init__.py").touch()
    (source / "curate_capitals" / "capitals.py").write_text(CAPITALS)
    (source / "curate_capitals" / "broken.py").write_text("import nothing_of_that_name")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(source / "dist"), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (source / "dist").glob("*.whl")
    target = source / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*install, str(target), str(wheel)], check=True, capture_output=True)
    return target


def test_an_installed_filter_is_listed_shown_cached_resumed_and_explained(
    rows: Path, package: Path, curate_command: Any
) -> None:
    env = os.environ | {"PYTHONPATH": str(package)}
    run = ["filter", "raw.jsonl", "--recipe", "recipe.yaml", "--json"]
    listed = curate_command("filters", env=env).stdout
    assert "Share of capitals among the characters. (package curate-capitals)" in " ".join(listed.split())
    assert curate_command("filters", "show", "capitals", env=env).stdout == SHOWN
    # stopped in the step after it, by a fault: what it measured is not measured again
    (rows / "fault.py").write_text(
        "import dataclasses\n@dataclasses.dataclass(frozen=True)\nclass ExactDup:\n"
        "    def measure(self, rows): return 1 / 0\n"
    )
    curate_command(*run, "--plugin", "fault.py", env=env, status=1)
    assert measured(rows) == [2]
    summary = json.loads(curate_command(*run, env=env).stdout)
    assert measured(rows) == []
    assert [(step["filter"], step["dropped"]) for step in summary["by_step"]] == [("capitals", 1), ("exact-dup", 0)]
    assert "share of capitals is 1.0, more than 0.5" in curate_command("why", "raw.jsonl:1", env=env).stdout


def test_an_installed_filter_that_does_not_import_is_named_with_its_package(
    rows: Path, package: Path, curate_command: Any
) -> None:
    (rows / "recipe.yaml").write_text("steps: [broken]")
    env = os.environ | {"PYTHONPATH": str(package)}
    said = curate_command("filter", "raw.jsonl", "--recipe", "recipe.yaml", env=env, status=2).stderr
    assert "error: filter broken (curate_capitals.broken:Broken) does not import: No module named" in said
    assert "  -> mend or uninstall that package" in said
