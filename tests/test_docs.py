"""What the documents say is what the program does."""

import html
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parent.parent
CURATE = [sys.executable, "-c", "from curate.cli import main; main()"]


def test_the_command_reference_is_what_the_commands_say() -> None:
    page = runpy.run_path(str(REPOSITORY / "docs" / "make_commands.py"))["page"]()
    assert page == (REPOSITORY / "docs" / "commands.md").read_text(), "run `make docs`"


def test_the_filter_of_contributing_works_as_it_is_printed(tmp_path: Path) -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    (tmp_path / "shouting.py").write_text(re.findall(r"```python\n(.*?)```", text, re.S)[0])
    (tmp_path / "recipe.yaml").write_text("steps: [shouting]")
    (tmp_path / "raw.jsonl").write_text(
        '{"instruction": "Stop?", "output": "STOP IT NOW"}\n'
        '{"instruction": "Stop?", "output": "Please stop."}\n'
        '{"instruction": "멈출까요?", "output": "네."}\n'
        '{"instruction": "1 + 1?", "output": "2"}\n'
    )
    command = [*CURATE, "filter", "raw.jsonl", "--recipe", "recipe.yaml", "--plugin", "shouting.py"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "curated.jsonl").read_text() == "".join(
        (tmp_path / "raw.jsonl").read_text().splitlines(keepends=True)[1:]
    )
    (dropped,) = tmp_path.glob(".curate/runs/*/dropped.jsonl")
    assert "share of capitals is 1.0, more than 0.5" in dropped.read_text()


def test_each_command_that_the_readme_shows_runs(here: Path, cli: Any) -> None:
    readme = (REPOSITORY / "README.md").read_text()
    table = re.findall(r"^\| `(curate .*?)` \|", readme, re.M)
    assert len(table) == 8
    shutil.copy(REPOSITORY / "data" / "sample.jsonl", here / "raw.jsonl")
    for command in ["curate filter raw.jsonl", *table]:
        cli(*command.split()[1:], *(["--keep", "100"] if command.endswith("--keep 1000") else []))


def test_the_python_of_the_readme_runs(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.S)[0]
    shutil.copy(REPOSITORY / "data" / "sample.jsonl", tmp_path / "raw.jsonl")
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_the_korean_readme_shows_the_same_commands() -> None:
    english, korean = (
        re.findall(r"^\| `(curate .*?)` \||^(curate \S+)|^(python3 .*)$", (REPOSITORY / name).read_text(), re.M)
        for name in ("README.md", "README.ko.md")
    )
    assert english == korean


def test_the_picture_of_the_readme_shows_what_the_sample_gives(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "data", tmp_path / "data")
    ran = subprocess.run(
        [*CURATE, "filter", "data/sample.jsonl"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    kept = next(line for line in ran.stderr.splitlines() if line.startswith("kept "))
    picture = html.unescape((REPOSITORY / "docs" / "filter.svg").read_text()).replace("\xa0", " ")
    assert kept in picture, "run docs/make_picture.py"
