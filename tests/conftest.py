"""What the tests share: real data from outside the repository, small files, runs of the command line."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from chat_server import server  # noqa: F401  a fixture

import curate

if TYPE_CHECKING:
    from curate import Result

REPOSITORY = Path(__file__).parent.parent
SAMPLE = REPOSITORY / "data" / "sample.jsonl"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data that CURATE_TEST_DATA names; skipped where it is not set, but never in CI."""
    folder = os.environ.get("CURATE_TEST_DATA")
    if folder:
        return Path(folder)
    if os.environ.get("CI"):
        pytest.fail("CURATE_TEST_DATA is not set: in CI these tests must run")
    pytest.skip("CURATE_TEST_DATA is not set: real data lies outside the repository")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The kernels are in numba's cache, so that no command says that it compiles them."""
    from curate.inspecting import inspect

    inspect(SAMPLE, work_dir=tmp_path_factory.mktemp("compiled"))


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def curate_command(here: Path) -> Run:
    """Runs `curate ARGUMENTS` in the current folder; `status` is what it must end with."""

    def run(*arguments: str, status: int = 0, **more: object) -> "subprocess.CompletedProcess[str]":
        code = "from curate.cli import main; main()"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=here, **more)  # type: ignore[call-overload]
        assert ran.returncode == status, f"curate {' '.join(map(str, arguments))}\n{ran.stdout}\n{ran.stderr}"
        assert "Traceback" not in ran.stderr
        return ran

    return run


Filtered = Callable[..., "Result"]


@pytest.fixture
def filtered(here: Path) -> Filtered:
    """Runs `curate.filter` over rows (records, or pairs of prompt and response) by the steps of a recipe."""

    def run(rows: Sequence[Any] | None, *steps: Any, **options: Any) -> "Result":
        if rows is not None:
            write_rows(here / "raw.jsonl", rows)
        recipe = options.pop("recipe", None)
        if recipe is None:
            recipe = here / "recipe.yaml"
            recipe.write_text(json.dumps({"name": "tested", "steps": list(steps)}))  # JSON is YAML
        return curate.filter("raw.jsonl", recipe=recipe, **options)

    return run


Reasons = Callable[..., "list[str | None]"]


@pytest.fixture
def reasons(filtered: Filtered) -> Reasons:
    """As `filtered`: for each row the reason that it was dropped, None where it was kept."""

    def run(rows: Sequence[Any], *steps: Any, **options: Any) -> "list[str | None]":
        result = filtered(rows, *steps, **options)
        said = dict(result.dropped.select("row", "reason").iter_rows())
        return [said.get(row) for row in range(result.summary.rows_in)]

    return run


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    records = [row if isinstance(row, dict) else {"instruction": row[0], "output": row[1]} for row in rows]
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))


Plugin = Callable[..., Path]

PLUGIN_HEAD = """
import dataclasses, os, time
from pathlib import Path
import polars as pl
from curate.protocol import Column, all_of, fitted, threshold, within

frozen = dataclasses.dataclass(frozen=True, kw_only=True)

"""


@pytest.fixture
def plugin(here: Path) -> Plugin:
    """Writes a plug-in file; the imports that filters need are put before `code`."""

    def write(code: str, name: str = "plugged.py") -> Path:
        (here / name).write_text(PLUGIN_HEAD + textwrap.dedent(code))
        return here / name

    return write


def left_behind(run: Path, output: Path) -> dict[str, bytes]:
    """Everything that must be byte-equal however a run went: output, ledger, dropped and rejected rows."""
    files = {file.name: file.read_bytes() for file in sorted((run / "ledger").iterdir())}
    files |= {name: (run / name).read_bytes() for name in ("dropped.jsonl", "rejected.jsonl")}
    return files | {"output": output.read_bytes()}


class Said(NamedTuple):
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def cli(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `curate ARGUMENTS` in this process, which is quicker than `curate_command`."""

    def run(*arguments: object, status: int = 0) -> Said:
        from curate.cli import main

        monkeypatch.setattr(sys, "argv", ["curate", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = Said(*capsys.readouterr())
        assert ended.value.code == status, f"curate {' '.join(map(str, arguments))}\n{said.out}\n{said.err}"
        return said

    return run
