"""Compiled kernels are kept where a place for them can be written, and work where there is none."""

import os
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLE


@pytest.mark.parametrize("writable", [True, False])
def test_a_user_without_a_home_whose_package_belongs_to_another_waits_at_every_run(
    here: Path, curate_command: Any, writable: bool
) -> None:
    """As in a container that runs as some number: of the places that numba knows none can be written."""
    (here / "recipe.yaml").write_text("steps: [repetition, language]")
    home = here if writable else Path("/proc/nobody")
    known = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserWideCacheLocator", "XDG_CACHE_HOME": str(home), "HOME": str(home)}
    said = [
        curate_command("filter", SAMPLE, "--recipe", "recipe.yaml", "--fresh", env=os.environ | known).stderr
        for _ in range(2 if writable else 1)
    ]
    first, every = "compiling kernels, as on every machine's first run", "compiling kernels, as at every run"
    assert [(first in text, every in text) for text in said] == (
        [(True, False), (False, False)] if writable else [(False, True)]
    )
    assert said[0].count("compiling kernels") == 1
    assert all("rows -> curated.jsonl" in text for text in said)
    assert writable or "set NUMBA_CACHE_DIR to a folder" in said[0]
