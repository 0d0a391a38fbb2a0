"""docs/report.png: the report of a run over the sample, as Debian's Chromium shows it. `make docs` runs it."""

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import curate

HERE = Path(__file__).parent.absolute()
STEPS = """steps: [length: {min_chars: 20}, turns, broken, language, repetition, unseen, exact-dup, near-dup,
  keep-top: {n: 200, by: length.chars}]"""


def main() -> None:
    """Run the recipe over the sample, and take the picture."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        os.chdir(name)
        Path("mine.yaml").write_text(STEPS)
        shutil.copy(HERE.parent / "data" / "sample.jsonl", "raw.jsonl")
        curate.filter("raw.jsonl", recipe="mine.yaml", work_dir="warm")  # compiles what is compiled
        result = curate.filter("raw.jsonl", recipe="mine.yaml")
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1100, "height": 1750})
        page.goto((result.run.path / "report.html").absolute().as_uri())
        page.screenshot(path=HERE / "report.png")


if __name__ == "__main__":
    main()
