"""Killed, interrupted or out of disk at any moment: the same command goes on, to the same bytes."""

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from conftest import PLUGIN_HEAD, left_behind

from curate.disk import disk_faults
from curate.errors import StoppedError

ROWS = 10_000
RANGE = 1024
KILLS = 6

SLOW = f"""
import curate.cli.console, curate.measuring

curate.measuring.RANGE = {RANGE}  # more parts, more moments to be killed between two of them

@frozen
class Slow:
    '''Measures at leisure, so that it can be disturbed.'''
    per_row = True

    def measure(self, rows):
        Path("begun").touch()
        time.sleep(float(Path("seconds").read_text()))
        return rows.select(chars=pl.col("response").str.len_chars())

    def decide(self, measures, pool):
        return within(measures, "chars", high=40)
"""
COMMAND = [sys.executable, "-c", "from curate.cli import main; main()", "filter", "raw.jsonl"]
COMMAND += ["--recipe", "recipe.yaml", "--plugin", "plugged.py"]


@pytest.fixture
def slow(here: Path, plugin: Any) -> Path:
    """A folder with many rows, and a recipe with a slow step."""
    fill(here)
    plugin(SLOW)
    return here


def fill(folder: Path) -> None:
    chance = random.Random(1)
    words = ["prime", "수도", "def f(x):\n    return x", "긴 대답 " * 9, ""]
    with (folder / "raw.jsonl").open("w") as file:
        for k in range(ROWS):
            row = {"instruction": f"{chance.randrange(ROWS)}?", "output": chance.choice(words)}
            file.write(json.dumps(row, ensure_ascii=False) + "\n" if k % 997 else "broken\n")
    (folder / "recipe.yaml").write_text("steps: [length, slow, turns, exact-dup, near-dup, conflict]")
    (folder / "seconds").write_text("0.05")


@pytest.fixture(scope="module")
def undisturbed(compiled: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    """What an undisturbed run leaves behind, and the seconds that it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    fill(folder)
    (folder / "plugged.py").write_text(PLUGIN_HEAD + SLOW)
    began = time.monotonic()
    wanted = finish(folder)
    return wanted, time.monotonic() - began


def finish(slow: Path, *more: str, work: str = ".curate", output: str = "curated.jsonl") -> dict[str, bytes]:
    """What the same command leaves behind once it may finish; there must be one run and nothing half written."""
    ran = subprocess.run([*COMMAND, *more], cwd=slow, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    (run,) = (slow / work / "runs").iterdir()
    assert not list(slow.rglob("*.tmp"))
    return left_behind(run, slow / output)


def test_killed_at_any_moment_the_same_command_goes_on(slow: Path, undisturbed: Any) -> None:
    wanted, seconds = undisturbed
    kills, chance = 0, random.Random()
    while kills < KILLS:
        # what was done before is skipped, so that the same delay comes to later and later moments
        process = subprocess.Popen(COMMAND, cwd=slow, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(seconds * chance.uniform(0.15, 0.6))
        except subprocess.TimeoutExpired:
            process.kill()
            if process.wait() == -signal.SIGKILL and '"done"' not in "".join(
                facts.read_text() for facts in slow.glob(".curate/runs/*/run.json")
            ):
                kills += 1
                continue
            process.returncode = 0
        assert process.returncode == 0  # it came to its end before it could be killed: from the start once more
        shutil.rmtree(slow / ".curate")
        (slow / "curated.jsonl").unlink()
    assert finish(slow) == wanted


def interrupted(slow: Path, times: int = 1) -> tuple[int, float, str]:
    """Status, seconds and messages of a run that gets Ctrl-C while its slow step measures."""
    process = subprocess.Popen(COMMAND, cwd=slow, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (slow / "begun").exists():
        assert process.poll() is None
        time.sleep(0.01)
    began = time.monotonic()
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, said = process.communicate(timeout=30)
    return process.returncode, time.monotonic() - began, said


def test_ctrl_c_finishes_what_is_in_work_and_the_same_command_goes_on(slow: Path, undisturbed: Any) -> None:
    (slow / "seconds").write_text("0.3")
    status, seconds, said = interrupted(slow)
    assert (status, seconds < 10) == (130, True)
    assert "stopping: finishing what is in work, at most 10 s (Ctrl-C again stops at once)" in said
    assert "error: stopped; what was finished is kept\n  -> run the same command again to go on" in said
    assert not (slow / "curated.jsonl").exists()
    done = len(list(slow.glob(".curate/pools/*/measures/slow-*/part-*.parquet")))
    assert done >= 1
    (slow / "seconds").write_text("0")
    (run,) = (slow / ".curate" / "runs").iterdir()
    again = subprocess.run(COMMAND, cwd=slow, capture_output=True, text=True, check=True).stderr
    assert f"going on with run {run.name}: 1 of 6 steps are decided\n" in again
    assert f"slow: {RANGE * done:,} of 9,989 rows are measured already\n" in again
    assert left_behind(run, slow / "curated.jsonl") == undisturbed[0]


@pytest.mark.parametrize(("times", "drain"), [(1, 1), (2, 60)])
def test_ctrl_c_never_waits_for_a_filter_that_hangs(slow: Path, plugin: Any, times: int, drain: int) -> None:
    plugin(SLOW + f"\ncurate.cli.console.DRAIN_SECONDS = {drain}\n")
    (slow / "seconds").write_text("60")
    status, seconds, said = interrupted(slow, times)
    assert (status, seconds < 8) == (130, True)
    assert said.endswith("stopped; what was finished is kept: run the same command again to go on\n")
    (slow / "seconds").write_text("0")
    finish(slow)


def mounted(*arguments: str) -> None:
    """Mount, where that is allowed; else the test is skipped."""
    if os.geteuid() or subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not allowed here")


@pytest.fixture
def small_disk(slow: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    disk = slow / "disk"
    disk.mkdir()
    mounted("-t", "tmpfs", "-o", "size=24m", "none", str(disk))
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk_is_said_and_after_making_room_the_same_command_finishes(
    slow: Path, small_disk: Path, undisturbed: Any
) -> None:
    (slow / "seconds").write_text("0")
    wanted, _ = undisturbed
    more = ["--work-dir", "disk/.curate", "-o", "disk/curated.jsonl"]
    full = 0
    for free in (0.1, 0.6, 1.2, 1.8):  # megabytes; the disk fills up at another place each time
        used = sum(f.stat().st_size for f in small_disk.rglob("*") if f.is_file())
        (small_disk / "ballast").write_bytes(bytes(max(0, int((24 - free) * (1 << 20)) - used)))
        ran = subprocess.run([*COMMAND, *more], cwd=slow, capture_output=True, text=True, check=False)
        (small_disk / "ballast").unlink()
        assert ran.returncode in (0, 1), ran.stderr
        if ran.returncode == 0:
            break
        full += 1
        assert re.search(r"error: the disk is full: \d+ MB are left in (disk/.curate|/.*/disk)\n", ran.stderr)
        assert "  -> make room, then run the same command again: what was finished is kept" in ran.stderr
        assert "Traceback" not in ran.stderr
        assert not (small_disk / "curated.jsonl").exists()
    assert full >= 2
    if ran.returncode == 0:
        (run,) = (small_disk / ".curate" / "runs").iterdir()
        assert not list(small_disk.rglob("*.tmp"))
        assert left_behind(run, small_disk / "curated.jsonl") == wanted
    else:
        assert finish(slow, *more, work="disk/.curate", output="disk/curated.jsonl") == wanted


def test_a_disk_without_room_for_the_footer_of_a_file_is_full_too(small_disk: Path) -> None:
    wide = pl.DataFrame({f"c{k}": [k] for k in range(2000)})
    (small_disk / "ballast").write_bytes(bytes((24 << 20) - 65_536))
    with pytest.raises(StoppedError, match=r"the disk is full: .* are left in "), disk_faults(small_disk):
        wide.write_parquet(small_disk / "wide")


def test_a_file_that_may_not_grow_stops_the_run_and_it_goes_on_later(slow: Path, undisturbed: Any) -> None:
    (slow / "seconds").write_text("0")
    for size in (1_000, 40_000, 150_000):
        limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        ran = subprocess.run(COMMAND, cwd=slow, capture_output=True, text=True, check=False, preexec_fn=limit)
        assert ran.returncode == 1
        assert "Traceback" not in ran.stderr
        assert "File too large" in ran.stderr
        assert "  -> mend that, then run the same command again: what was finished is kept" in ran.stderr
    assert finish(slow) == undisturbed[0]


@pytest.fixture
def read_only(slow: Path) -> Iterator[Path]:
    """A folder that can't be written, even by root."""
    folder = slow / "locked"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
        return
    mounted("--bind", str(folder), str(folder))
    subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_folder_that_can_not_be_written_is_said_before_any_work(slow: Path, read_only: Path) -> None:
    for more, message in (
        (["--work-dir", "locked"], "error: locked can't be written: Read-only file system"),
        (["--work-dir", "locked/.curate"], "error: locked/.curate can't be written: Read-only file system"),
        (["-o", "locked/curated.jsonl"], "error: locked can't be written: Read-only file system"),
    ):
        ran = subprocess.run([*COMMAND, *more], cwd=slow, capture_output=True, text=True, check=False)
        assert ran.returncode == 2
        assert message.replace("Read-only file system", "") in ran.stderr
        assert not (slow / "begun").exists()
        assert not (slow / "curated.jsonl").exists()


def test_an_output_folder_that_is_gone_when_it_is_needed_costs_only_the_writing(slow: Path) -> None:
    (slow / "seconds").write_text("0.3")
    (slow / "out").mkdir()
    process = subprocess.Popen([*COMMAND, "-o", "out/c.jsonl"], cwd=slow, stderr=subprocess.PIPE, text=True)
    while not (slow / "begun").exists():
        time.sleep(0.01)
    (slow / "out").rmdir()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "No such file or directory" in said
    assert "Traceback" not in said
    (slow / "out").mkdir()
    ran = subprocess.run([*COMMAND, "-o", "out/c.jsonl", "--json"], cwd=slow, capture_output=True, check=True)
    assert [step["measured"] for step in json.loads(ran.stdout)["by_step"]] == [0] * 6
