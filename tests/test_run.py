"""One run end to end: what is kept, dropped and rejected, what is left behind, and how it is asked and undone."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest
from conftest import SAMPLE, left_behind

import curate
from curate.errors import InputError, StoppedError, UsageError
from curate.ledger import find_run
from curate.restoring import restore

RAW = """\
{"instruction": "Name a prime.", "output": "7"}
{"instruction":"name a  PRIME.","output":"7 ","id":12345678901234567890123,"w":1.50}
{"prompt" : "\\ud55c\\uad6d?", "completion" : "" }

{"instruction": "수도는?", "output": "서울", "tags": ["가", {"_curate": 1}]}\r
not json
{"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": "again"}]}
{"instruction": "Last?", "output": "Yes, without a newline."}"""
BASIC = ("length", "turns", "exact-dup")
KEPT = ['{"instruction": "Name a prime.", "output": "7"}', '{"instruction": "수도는?"', '{"instruction": "Last?"']


@pytest.fixture
def raw(here: Path) -> list[str]:
    """The lines of a file with good, bad and unreadable records."""
    (here / "raw.jsonl").write_bytes(RAW.encode())
    return RAW.split("\n")


def test_the_sums_hold_and_kept_lines_come_out_byte_for_byte_in_order(
    here: Path, raw: list[str], filtered: Any
) -> None:
    result = filtered(None, *BASIC)
    s = result.summary
    assert (s.records, s.rows_in, s.rejected, s.kept, s.dropped) == (7, 6, 1, 3, 3)
    assert [(step.step, step.reached, step.dropped) for step in s.by_step] == [
        ("length", 6, 1),
        ("turns", 5, 1),
        ("exact-dup", 4, 1),
    ]
    kept = [line for line in raw if line.startswith(tuple(KEPT))]
    assert (here / "curated.jsonl").read_bytes() == "".join(f"{line}\n" for line in kept).encode()


def test_a_dropped_line_is_the_record_and_why(here: Path, raw: list[str], filtered: Any) -> None:
    result = filtered(None, *BASIC)
    lines = (result.run.path / "dropped.jsonl").read_text().splitlines()
    said = {
        1: {"row": 1, "step": "exact-dup", "reason": "same prompt and response as row:0", "rival": "row:0"},
        2: {"row": 2, "step": "length", "reason": "response has 0 characters, fewer than 1", "value": 0.0, "threshold": 1.0},  # noqa: E501
        6: {"row": 4, "step": "turns", "reason": "turn 2 is user after user"},
    }  # fmt: skip
    nothing = {"value": None, "threshold": None, "rival": None}
    for line, (number, why) in zip(lines, said.items(), strict=True):
        assert line.startswith(raw[number].rstrip(" }"))  # the record's own bytes come first
        assert json.loads(line) == {**json.loads(raw[number]), "_curate": {**nothing, **why}}


def test_dropped_rows_can_be_an_input_again(here: Path, raw: list[str], filtered: Any) -> None:
    first = filtered(None, *BASIC)
    (here / "again.jsonl").write_bytes((first.run.path / "dropped.jsonl").read_bytes())
    again = curate.filter("again.jsonl", "again-curated.jsonl", recipe="default")
    assert again.kept["prompt"].to_list() == ["name a  PRIME."]
    assert (here / "again-curated.jsonl").read_text() == (here / "again.jsonl").read_text().splitlines(True)[0]
    for line in (again.run.path / "dropped.jsonl").read_text().splitlines():
        assert line.count('"_curate"') == 1
    # dropped once more: the new reason takes the old one's place, and numbers stay as they were written
    third = curate.filter("again.jsonl", "third.jsonl", set=["length.min_chars=2"], recipe="longest", keep=1)
    assert third.kept.is_empty() is False
    text = (third.run.path / "dropped.jsonl").read_text()
    assert '"id":12345678901234567890123,"w":1.50,"_curate":{"row":0,"step":"length"' in text


def test_a_record_that_could_not_be_read_is_told_with_file_line_and_cause(
    here: Path, raw: list[str], filtered: Any
) -> None:
    result = filtered(None, *BASIC)
    (record,) = map(json.loads, (result.run.path / "rejected.jsonl").read_text().splitlines())
    assert (record["source"], record["line"], record["head"]) == ("raw.jsonl", 6, "not json")
    assert "JSON" in record["cause"]


@pytest.mark.parametrize("ending", ["json", "csv", "parquet"])
def test_records_without_lines_of_their_own_are_dropped_with_their_fields(
    here: Path, ending: str, filtered: Any
) -> None:
    frame = pl.DataFrame({"instruction": ["a?", "b?", "c?"], "output": ["1", "", "셋"]})
    if ending == "json":
        (here / "raw.json").write_text(json.dumps(frame.to_dicts()))
    else:
        getattr(frame, f"write_{ending}")(here / f"raw.{ending}")
    result = curate.filter(f"raw.{ending}")
    (dropped,) = map(json.loads, (result.run.path / "dropped.jsonl").read_text().splitlines())
    assert dropped.pop("_curate")["reason"] == "response has 0 characters, fewer than 1"
    assert {"instruction": dropped["instruction"], "output": dropped["output"] or ""} == {
        "instruction": "b?",
        "output": "",
    }
    assert [json.loads(line)["output"] for line in (here / "curated.jsonl").read_text().splitlines()] == ["1", "셋"]


def test_a_step_that_keeps_nothing_stops_and_leaves_the_output_as_it_was(here: Path, cli: Any, filtered: Any) -> None:
    (here / "curated.jsonl").write_text("precious\n")
    with pytest.raises(StoppedError) as stopped:
        filtered([{"messages": [{"role": "user", "content": "a?"}]}], "turns")
    assert stopped.value.remedy == "look at one of them (`curate why row:0`), or leave the step out"
    with pytest.raises(StoppedError) as stopped:
        filtered([("a?", "1"), ("b?", "2")], "turns", {"length": {"min_chars": 5}})
    assert stopped.value.message == (
        "step length dropped all 2 rows that reached it; nothing was written\n"
        "  for example raw.jsonl:1  response has 1 characters, fewer than 5"
    )
    assert stopped.value.remedy == "loosen it: --set length.PARAM=VALUE (see `curate filters show length`)"
    assert (here / "curated.jsonl").read_text() == "precious\n"
    assert not (here / "curated.card.md").exists()
    assert "response has 1 characters, fewer than 5" in cli("why", "raw.jsonl:2").out
    said = cli("filter", "raw.jsonl", "--recipe", "recipe.yaml", status=1)
    assert "error: step length dropped all 2 rows that reached it; nothing was written" in said.err
    cli("filter", "raw.jsonl", "--recipe", "recipe.yaml", "--set", "length.min_chars=1")


def test_after_a_step_that_kept_nothing_the_same_command_decides_anew(filtered: Any, plugin: Any) -> None:
    code = "@frozen\nclass Mine:\n    def decide(self, measures, pool):\n"
    code += "        return measures.select('row', verdict=pl.lit('drop'))\n"
    with pytest.raises(StoppedError, match="step mine dropped all 1 rows"):
        filtered([("a?", "1")], "length", "mine", plugins=[plugin(code)])
    assert filtered(None, "length", "mine", plugins=[plugin(code.replace("drop", "keep"))]).summary.kept == 1


def test_no_row_at_all_is_an_error_that_writes_no_output(here: Path, filtered: Any) -> None:
    (here / "raw.jsonl").write_text("[1]\n{}\n")
    with pytest.raises(InputError, match="none of the 2 records could be read"):
        filtered(None, "length")
    assert not (here / "curated.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.jsonl", "missing.jsonl does not exist"),
        ("", " is a folder"),
        ("folder", "folder is a folder"),
    ],
)
def test_an_input_that_is_no_file_writes_nothing_at_all(here: Path, name: str, message: str) -> None:
    (here / "folder").mkdir()
    with pytest.raises((InputError, UsageError), match=message):
        curate.filter(name or here, "curated.jsonl")
    with pytest.raises(UsageError, match="no input was named"):
        curate.filter([])
    assert [file.name for file in here.iterdir()] == ["folder"]


def test_the_output_may_not_be_an_input(here: Path, raw: list[str]) -> None:
    with pytest.raises(UsageError, match=r"raw\.jsonl is an input as well"):
        curate.filter("raw.jsonl", "raw.jsonl")
    assert (here / "raw.jsonl").read_bytes() == RAW.encode()


# Rows 1, 2 and 3 repeat row 0, which the later step drops: 1 and 3 are good, 2 is as bad as row 0.
ORPHANS = [
    {"instruction": "a?", "output": "ye" + " " * 20 + "s"},
    {"instruction": "a?", "output": "ye s"},
    {"instruction": "A?", "output": "ye" + " " * 30 + "s"},
    {"instruction": "A?", "output": "Ye s"},
    {"instruction": "b?", "output": "no"},
    {"instruction": "b?", "output": "no"},
]
ORPHAN_STEPS = ("exact-dup", {"length": {"max_chars": 10}})


def test_orphans_are_counted_and_the_best_of_each_can_be_restored(here: Path, cli: Any, filtered: Any) -> None:
    result = filtered(ORPHANS, *ORPHAN_STEPS)
    assert result.kept["row"].to_list() == [4]
    assert result.summary.orphans == 2
    before = left_behind(result.run.path, here / "curated.jsonl")
    assert cli("restore", "--orphans").err == "restored 1 rows: 2 rows -> " + str(here / "curated.jsonl") + "\n"
    lines = (here / "raw.jsonl").read_text().splitlines(True)
    assert (here / "curated.jsonl").read_text() == lines[1] + lines[4]
    after = left_behind(result.run.path, here / "curated.jsonl")
    assert sorted(set(after) - set(before)) == ["03-restore.parquet"]
    assert after["01-exact-dup.parquet"] == before["01-exact-dup.parquet"]
    facts = result.run.read_facts()["summary"]
    assert (facts["kept"], facts["dropped"], facts["orphans"]) == (2, 4, 0)
    assert "no dropped row fits that" in cli("restore", "--orphans", status=2).err  # row 3 says the same as row 1


def test_a_chain_of_rivals_is_followed_to_its_end(filtered: Any) -> None:
    rows = [("a?", "1"), ("a?", "1"), ("b?", "1"), ("c?", "2")]
    # row 1 went for row 0, row 2 for row 0 by response; row 0 stays: nobody is an orphan
    result = filtered(rows, "exact-dup", {"exact-dup": {"of": "response"}, "as": "same-answer"})
    assert result.dropped["reason"].to_list() == ["same prompt and response as row:0", "same response as row:0"]
    assert result.summary.orphans == 0


def dropped_lines(run: Path) -> list[int]:
    return [json.loads(line)["_curate"]["row"] for line in (run / "dropped.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("arguments", "back"),
    [
        (["row:1"], [1]),
        (["raw.jsonl:3"], [2]),
        (["ID5"], [5]),  # row 4 has the same id, and was kept all along
        (["row:5", "raw.jsonl:1"], [0, 5]),
        (["--step", "length"], [0]),
        (["--step", "exact-dup"], [1, 2, 3, 5]),
        (["--step", "exact-dup", "--step", "length"], [0, 1, 2, 3, 5]),
        (["--where", "step = 'length' AND value > 5"], [0]),
        (["--where", "line >= 3 and prompt = 'A?'"], [2, 3]),
        (["--where", "response like 'no%' and source = 'raw.jsonl'"], [5]),
        (["row:1", "--step", "length"], [0, 1]),
    ],
)
def test_restored_rows_stand_where_they_would_have_stood(
    here: Path, cli: Any, filtered: Any, arguments: list[str], back: list[int]
) -> None:
    result = filtered(ORPHANS, *ORPHAN_STEPS)
    before = {part: part.read_bytes() for part in result.run.parts()}
    arguments = [a.replace("ID5", result.dropped.filter(row=5)["id"][0]) for a in arguments]
    cli("restore", *arguments)
    lines = (here / "raw.jsonl").read_text().splitlines(True)
    kept = sorted({4, *back})
    assert (here / "curated.jsonl").read_text() == "".join(lines[row] for row in kept)
    assert dropped_lines(result.run.path) == [row for row in range(6) if row not in kept]
    assert {part: part.read_bytes() for part in before} == before
    (new,) = set(result.run.parts()) - set(before)
    assert new == result.run.parts()[-1]
    said = pl.read_parquet(new)
    assert said["row"].to_list() == back
    assert set(said["reason"]) <= {"restored; exact-dup had dropped it", "restored; length had dropped it"}
    assert f"{len(kept)} rows chosen from 6" in (here / "curated.card.md").read_text()


def test_the_hundredth_part_of_a_ledger_is_its_last(here: Path, cli: Any, filtered: Any) -> None:
    steps = [{"length": None, "as": f"step-{k}"} for k in range(12)]
    steps[-1]["length"] = {"min_chars": 2}  # type: ignore[assignment]
    result = filtered([("a?", "1"), ("b?", "2"), ("c?", "333")], *steps)
    cli("restore", "row:0")
    last = result.run.parts()[-1]
    last.rename(last.with_name("100-restore.parquet"))
    cli("restore", "row:1")
    assert (here / "curated.jsonl").read_text() == (here / "raw.jsonl").read_text()
    assert dropped_lines(result.run.path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing was named"),
        (["row:4"], "these rows are in the output already"),
        (["row:77"], "there is no row:77\n  -> rows go from row:0 to row:5"),
        (["raw.jsonl:77"], "no row is raw.jsonl:77"),
        (["nonsense"], "nonsense names no row"),
        (["--step", "lenght"], "no step is called lenght\n  -> did you mean length?"),
        (["--where", "value > 1000"], "no dropped row fits that"),
        (["--where", "valu > 1"], "--where valu > 1: "),
        (["--where", "value >"], "--where value >: "),
        (["--where", "1"], "--where 1: "),
        (["--where", "SELECT 1"], "--where SELECT 1: "),
        (["--run", "zzz", "row:1"], "no run is called zzz\n  -> known: 20"),
        (["row:1", "-o", "out.txt"], "the ending of out.txt names no format"),
    ],
)
def test_a_restore_that_can_not_be_is_refused_and_changes_nothing(
    here: Path, cli: Any, filtered: Any, arguments: list[str], message: str
) -> None:
    result = filtered(ORPHANS, *ORPHAN_STEPS)
    before = left_behind(result.run.path, here / "curated.jsonl")
    assert f"error: {message}" in cli("restore", *arguments, status=2).err
    assert left_behind(result.run.path, here / "curated.jsonl") == before


def test_a_restore_that_was_stopped_goes_on(here: Path, cli: Any, filtered: Any) -> None:
    filtered(ORPHANS, *ORPHAN_STEPS)
    text, read = (here / "raw.jsonl").read_text(), (here / "raw.jsonl").stat()
    (here / "raw.jsonl").write_text(text.replace("ye s", "YE S"))
    assert "raw.jsonl no longer has the bytes that were read" in cli("restore", "row:1", status=1).err
    os.utime(here / "raw.jsonl", ns=(read.st_atime_ns, read.st_mtime_ns))  # as if nothing had happened
    assert "raw.jsonl no longer has the bytes that were read" in cli("restore", "row:1", status=1).err
    (here / "raw.jsonl").write_text(text)
    cli("restore", "row:1")
    assert (here / "curated.jsonl").read_text() == "".join(text.splitlines(True)[row] for row in (1, 4))


def _killed(*_: Any) -> None:
    raise InterruptedError


def test_a_restore_that_was_stopped_before_the_card_goes_on(
    here: Path, cli: Any, filtered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    filtered(ORPHANS, *ORPHAN_STEPS)
    with monkeypatch.context() as fault:
        fault.setattr("curate.restoring.write_card", _killed)
        with pytest.raises(InterruptedError):
            restore(find_run(here / ".curate"), here / ".curate", ["row:1"])
    assert "\n1 rows chosen from 6" in (here / "curated.card.md").read_text()
    cli("restore", "row:1")
    assert "\n2 rows chosen from 6" in (here / "curated.card.md").read_text()
    assert (here / "curated.jsonl").read_text().count("\n") == 2
    assert "these rows are in the output already" in cli("restore", "row:1", status=2).err
    cli("restore", "row:1", "-o", "other.jsonl")
    assert (here / "other.jsonl").read_bytes() == (here / "curated.jsonl").read_bytes()


def test_a_source_that_changed_meanwhile_is_named(here: Path, cli: Any, filtered: Any) -> None:
    filtered(ORPHANS, *ORPHAN_STEPS)
    (here / "raw.jsonl").unlink()
    said = cli("restore", "--orphans", status=1).err
    assert "error: raw.jsonl no longer has the bytes that were read" in said
    assert f"bring back {here / 'raw.jsonl'} as it was" in said


@pytest.mark.parametrize("what", ["row:1", "raw.jsonl:2", "./raw.jsonl:2", "{here}/raw.jsonl:2", "ID", "ID8"])
def test_why_takes_every_name_of_a_row(here: Path, cli: Any, raw: list[str], filtered: Any, what: str) -> None:
    result = filtered(None, *BASIC)
    known = result.dropped.filter(row=1)["id"][0]
    what = what.replace("{here}", str(here)).replace("ID8", known[:8]).replace("ID", known)
    (explained,) = json.loads(cli("why", what, "--json").out)
    assert (explained["row"], explained["place"], explained["kept"]) == (1, "raw.jsonl:2", False)
    steps = {step["step"]: step for step in explained["steps"]}
    assert [(name, step["verdict"]) for name, step in steps.items()] == [
        ("length", "keep"),
        ("turns", "keep"),
        ("exact-dup", "drop"),
    ]
    assert steps["length"]["measures"] == {"chars": 1, "tokens": 1}
    assert steps["exact-dup"]["reason"] == "same prompt and response as row:0"
    rival = steps["exact-dup"]["rival"]
    assert (rival["name"], rival["place"], rival["response"]) == ("row:0", "raw.jsonl:1", "7")
    assert ["-", "name"] in rival["diff"]
    assert ["+", "Name"] in rival["diff"]


def test_why_reads_well(cli: Any, raw: list[str], filtered: Any) -> None:
    result = filtered(None, *BASIC)
    known = result.dropped.filter(row=1)["id"][0]
    assert (
        cli("why", "row:1").out
        == (
            f"raw.jsonl:2  dropped in run {result.run.name}\n"
            f"  row       row:1, id {known}\n"
            "  prompt    name a  PRIME.\n"
            "  response  7 \n"
            "length: keep\n"
            "  measured  chars 1, tokens 1\n"
            "  decided   value 1, threshold 1, margin 0\n"
            "turns: keep\n"
            "  measured  roles ua, turns 2, empty absent\n"
            "exact-dup: drop\n"
            "  same prompt and response as row:0\n"
            + re.search(r"  measured  high \d+, low \d+\n", cli("why", "row:1").out)[0]  # type: ignore[index]
            + "  rival     row:0 at raw.jsonl:1\n"
            "    [-name-][+Name+] a[-  PRIME-][+ prime+].⏎⏎7[- -]\n"
            "    [-only here-] [+only in the rival+]\n"
        )
    )


def test_why_names_all_rows_with_an_id_and_takes_a_name_given_twice(here: Path, cli: Any, filtered: Any) -> None:
    result = filtered([("a?", "1"), ("b?", "2"), ("a?", "1")], "exact-dup")
    found = json.loads(cli("why", result.kept["id"][0], "--json").out)
    assert [(row["row"], row["kept"]) for row in found] == [(0, True), (2, False)]
    (here / "sub").mkdir()
    (here / "sub" / "raw.jsonl").write_text('{"instruction": "c?", "output": "3"}\n')
    curate.filter(["raw.jsonl", "sub/raw.jsonl"])
    found = json.loads(cli("why", "raw.jsonl:1", "--json").out)
    assert [row["place"] for row in found] == ["raw.jsonl:1", "sub/raw.jsonl:1"]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("raw.jsonl:6", "raw.jsonl:6 could not be read: "),
        ("raw.jsonl:4", "no row is raw.jsonl:4\n  -> the run read raw.jsonl"),
        ("other.jsonl:1", "no row is other.jsonl:1"),
        ("row:6", "there is no row:6\n  -> rows go from row:0 to row:5"),
        ("deadbeefdeadbeef", "no row is deadbeefdeadbeef"),
        ("dead", "dead names no row\n  -> write FILE:LINE, row:N or an id of 8 to 32 hex digits"),
        ("raw.jsonl:x", "raw.jsonl:x names no row"),
        ("²:²", "²:² names no row"),
    ],
)
def test_why_says_what_it_can_not_find(cli: Any, raw: list[str], filtered: Any, what: str, message: str) -> None:
    filtered(None, *BASIC)
    assert f"error: {message}" in cli("why", what, status=2).err


def test_why_shows_what_a_rival_in_an_excluded_file_says(here: Path, cli: Any, filtered: Any) -> None:
    (here / "had.jsonl").write_text('\n{"instruction": "A?", "output": "b"}\n')
    filtered([("a?", "b"), ("c?", "d")], "exact-dup", exclude=["had.jsonl"])
    out = cli("why", "row:0").out
    assert "same prompt and response as had.jsonl:2" in out
    assert "    [-a-][+A+]?⏎⏎b" in out


def test_why_tells_of_a_run_that_stopped_midway(here: Path, cli: Any, filtered: Any, plugin: Any) -> None:
    fault = "@frozen\nclass Faulty:\n    def measure(self, rows): return 1 / 0\n"
    with pytest.raises(StoppedError):
        filtered([("a?", ""), ("b?", "c")], "length", "faulty", plugins=[plugin(fault)])
    out = cli("why", "raw.jsonl:1").out
    assert "length: drop\n  response has 0 characters, fewer than 1" in out
    assert "faulty" not in out


def test_why_without_any_run_says_what_to_do(cli: Any) -> None:
    said = cli("why", "raw.jsonl:1", status=2).err
    assert said == "error: there is no finished run in .curate\n  -> run `curate filter`, or name another --work-dir\n"


def test_runs_are_listed_and_cleaned_and_outputs_stay(here: Path, cli: Any, raw: list[str], filtered: Any) -> None:
    assert cli("runs").err == "no runs in .curate\n"
    first = filtered(None, recipe="default")
    with pytest.raises(StoppedError):
        filtered(None, "turns", {"length": {"min_chars": 500}})
    lines = cli("runs").out.splitlines()
    assert lines[0].split() == ["run", "recipe", "status", "kept", "of", "input"]
    assert lines[1].split()[1:] == ["tested", "empty", "raw.jsonl"]
    assert lines[2].split() == [first.run.name, "default", "done", "3", "6", "raw.jsonl"]
    listed = cli("runs", "clean", "--yes").out
    assert f".curate/runs/{first.run.name}" in listed
    assert f".curate/pools/{first.pool.fingerprint}" in listed
    assert " MB  in all\n" in listed
    assert sorted(str(f.relative_to(here)) for f in here.rglob("*") if f.is_file()) == [
        ".curate/.gitignore",
        "curated.card.md",
        "curated.jsonl",
        "raw.jsonl",
        "recipe.yaml",
    ]
    assert cli("runs", "clean", "--yes").err == "nothing to delete in .curate\n"


def test_clean_takes_the_work_directory_before_and_after_it(
    here: Path, cli: Any, filtered: Any, raw: list[str]
) -> None:
    for arguments in (["--work-dir", "w", "clean"], ["clean", "--work-dir", "w"]):
        filtered(None, *BASIC, work_dir="w")
        assert "  w/runs/" in cli("runs", *arguments, "--yes").out
        assert not list((here / "w" / "runs").iterdir())


def test_a_run_whose_report_could_not_be_written_is_not_done_and_goes_on(
    raw: list[str], filtered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(StoppedError, match=r"^the disk is full: "):
        patch.setattr("curate.filtering.write_report", full)
        filtered(None, *BASIC)
    again = filtered(None, *BASIC)
    assert [run.name for run in again.run.path.parent.iterdir()] == [again.run.name]
    assert (again.run.path / "report.html").exists()


def test_clean_asks_first(here: Path, cli: Any, raw: list[str], filtered: Any, monkeypatch: Any) -> None:
    filtered(None, *BASIC)
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert cli("runs", "clean").err.endswith("nothing was deleted\n")
    assert len(list((here / ".curate" / "runs").iterdir())) == 1


def test_the_same_command_again_makes_a_run_of_its_own_that_measures_nothing(raw: list[str], filtered: Any) -> None:
    first, again = filtered(None, *BASIC), filtered(None, *BASIC)
    assert first.run.name != again.run.name
    assert first.run.name[-4:] == again.run.name[-4:]
    assert [step.measured for step in again.summary.by_step] == [0, 0, 0]


def test_two_runs_at_once_in_one_folder_both_succeed_with_the_same_bytes(here: Path) -> None:
    with (here / "raw.jsonl").open("w") as file:
        for k in range(20_000):
            file.write(json.dumps({"instruction": f"{k % 9000}?", "output": "답" * (k % 7)}) + "\n")
    command = [sys.executable, "-c", "from curate.cli import main; main()", "filter", "raw.jsonl", "--json"]
    started = [
        subprocess.Popen([*command, "-o", output], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for output in ("one.jsonl", "two.jsonl", "one.jsonl")
    ]
    runs = []
    for process in started:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        runs.append(json.loads(out)["run"])
    assert len(set(runs)) == 3
    folders = [here / ".curate" / "runs" / run for run in runs]
    one, two, three = (
        left_behind(folder, here / output)
        for folder, output in zip(folders, ("one.jsonl", "two.jsonl", "one.jsonl"), strict=True)
    )
    assert one == two == three
    assert not list(here.rglob("*.tmp"))


def test_everything_is_byte_equal_whatever_the_batches_and_threads(
    here: Path, filtered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = SAMPLE.read_text().splitlines(True)[::3]
    (here / "raw.jsonl").write_text("".join([*lines, *lines[:40], "broken\n"]))
    steps = ("length", "turns", {"exact-dup": {"by": "length.tokens"}}, {"sample": {"share": 0.9, "by": "meta.topic"}})
    steps = (*steps, "near-dup", "conflict", {"keep-top": {"n": 70, "by": "length.chars"}})
    usual = filtered(None, *steps)
    expected = left_behind(usual.run.path, here / "curated.jsonl")
    from curate.working import Working

    for group, length, threads in ((1, 7, 1), (13, 64, 3), (8192, 100, 2), (50, 65_536, 4)):
        monkeypatch.setattr("curate.pool.reading.GROUP_ROWS", group)
        monkeypatch.setattr("curate.measuring.RANGE", length)
        working = Working(threads=threads)
        other = filtered(None, *steps, work_dir=f"w{group}", output="other.jsonl", working=working)
        assert left_behind(other.run.path, here / "other.jsonl") == expected


def test_a_filter_per_row_also_decides_on_rows_that_are_gone(filtered: Any) -> None:
    result = filtered([("a?", ""), ("a?", "b"), ("a?", "b")], "exact-dup", "length", "turns")
    assert result.ledger.select("step", "row", "alive", "verdict", "kept").rows() == [
        ("exact-dup", 0, True, "keep", True),
        ("exact-dup", 1, True, "keep", True),
        ("exact-dup", 2, True, "drop", False),
        ("length", 0, True, "drop", False),
        ("length", 1, True, "keep", True),
        ("length", 2, False, "keep", False),
        ("turns", 0, False, "drop", False),
        ("turns", 1, True, "keep", True),
        ("turns", 2, False, "keep", False),
    ]


def test_the_card_tells_sources_sums_steps_and_hashes(here: Path, raw: list[str], filtered: Any) -> None:
    import xxhash

    (here / "more | `odd`.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    result = curate.filter(["raw.jsonl", "more | `odd`.jsonl"], seed=3)
    card = (here / "curated.card.md").read_text()
    assert "4 rows chosen from 7 by curate 0.1.0." in card
    digest = xxhash.xxh3_128_hexdigest((here / "raw.jsonl").read_bytes())
    size = f"{len((here / 'raw.jsonl').read_bytes()):,}"
    assert re.search(rf"\| `raw.jsonl` \| 6 \| [a-z, -]+ \| {size} \| `{digest}` \|", card)
    assert "| `more \\| 'odd'.jsonl` | 1 |" in card
    assert "8 records: 1 could not be read, 7 rows read,\n4 kept, 3 dropped." in card
    assert "| turns | turns | 6 | 1 | 0 |" in card
    output = xxhash.xxh3_128_hexdigest((here / "curated.jsonl").read_bytes())
    assert f"Seed 3, pool `{result.pool.fingerprint}`, output xxh3-128 `{output}`." in card


def test_a_result_gives_frames_and_a_dataset(raw: list[str], filtered: Any) -> None:
    result = filtered(None, *BASIC)
    assert result.kept.select("row", "source", "line", "prompt", "response").rows() == [
        (0, "raw.jsonl", 1, "Name a prime.", "7"),
        (3, "raw.jsonl", 5, "수도는?", "서울"),
        (5, "raw.jsonl", 8, "Last?", "Yes, without a newline."),
    ]
    assert result.dropped.select("row", "step").rows() == [(1, "exact-dup"), (2, "length"), (4, "turns")]
    assert len(result.ledger) == 6 + 6 + 4
    dataset = result.to_dataset()
    assert dataset.num_rows == 3
    assert dataset[1]["messages"][1]["content"] == "서울"


def test_run_json_says_what_ran(here: Path, raw: list[str], filtered: Any) -> None:
    facts = orjson.loads((filtered(None, *BASIC, seed=5).run.path / "run.json").read_bytes())
    assert (facts["status"], facts["seed"], facts["version"]) == ("done", 5, curate.__version__)
    assert facts["filter_versions"] == {"length": 2, "turns": 1, "exact-dup": 1}
    assert facts["inputs"][0]["name"] == "raw.jsonl"
    assert facts["output"] == str(here / "curated.jsonl")
    assert facts["summary"]["kept"] == 3


def test_neither_output_nor_restore_takes_the_place_of_an_input_or_of_what_was_compared(
    here: Path, cli: Any, raw: list[str]
) -> None:
    (here / "curated.jsonl").write_text('{"instruction": "had", "output": "before"}\n')
    said = cli("filter", "raw.jsonl", "--exclude", "curated.jsonl", status=2).err
    assert "curated.jsonl is an input as well" in said
    assert (here / "curated.jsonl").read_text() == '{"instruction": "had", "output": "before"}\n'
    cli("filter", "raw.jsonl", "-o", "out.jsonl")
    before = (here / "raw.jsonl").read_bytes()
    said = cli("restore", "--step", "exact-dup", "-o", "raw.jsonl", status=2).err
    assert "raw.jsonl is an input as well" in said
    assert (here / "raw.jsonl").read_bytes() == before


def test_a_pipe_is_read_once(here: Path, raw: list[str]) -> None:
    command = f"{sys.executable} -c 'from curate.cli import main; main()' filter <(cat raw.jsonl)"
    subprocess.run(["bash", "-c", command], cwd=here, check=True, capture_output=True)
    assert (here / "curated.jsonl").read_text()
