"""What the tests of models share."""

from pathlib import Path

import pytest

from curate.working import Working


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty work directory."""
    return tmp_path


@pytest.fixture
def working() -> Working:
    return Working()
