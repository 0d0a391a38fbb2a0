"""The command line as a whole: what it loads, says, returns and never lets through."""

import json
import os
import pkgutil
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from chat_server import Server, with_logprobs
from conftest import write_rows
from rich.cells import cell_len

import curate
from curate.cli import COMMANDS, root

HEAVY = ("polars", "numpy", "numba", "sklearn", "datasets", "torch", "rich", "pyarrow", "curate.pool", "curate.run")
RAW = (
    '{"instruction": "a?", "output": "1"}\n{"instruction": "a?", "output": "1"}\n{"instruction": "b?", "output": ""}\n'
)


@pytest.fixture
def raw(here: Path) -> Path:
    (here / "raw.jsonl").write_text(RAW)
    return here


def commands() -> dict[str, click.Command]:
    """Every command and subcommand, by its words."""
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = root.get_command(click.Context(root), name)
        assert command is not None
        found[name] = command
        if isinstance(command, click.Group):
            found |= {f"{name} {sub}": subcommand for sub, subcommand in command.commands.items()}
    return found


@pytest.mark.parametrize("arguments", [["--help"], ["filter", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(here: Path, arguments: list[str]) -> None:
    code = "import sys\nfrom curate.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(ran.stderr.split())


@pytest.mark.parametrize(("words", "command"), commands().items(), ids=list(commands()))
def test_every_command_has_help(words: str, command: click.Command, cli: Any) -> None:
    text = cli(*words.split(), "--help").out
    usage, _, about = text.partition("\n")
    assert usage.startswith(f"Usage: curate {words}")
    assert len(about.split("Options:")[0].strip()) > 20
    assert cli(*words.split(), "-h").out == text
    silent = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
    assert not silent


def test_the_first_screen_names_every_command(cli: Any) -> None:
    text = cli("--help").out
    assert all(re.search(rf"^  {name} +\S", text, re.M) for name in COMMANDS)
    assert cli("--version").out == f"curate {curate.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fitler"], "no command is called fitler; did you mean filter? Known: "),
        (["zzz"], f"no command is called zzz; known: {', '.join(sorted(COMMANDS))}"),
        (["filter"], "error: no input was named\n  -> name a file, as in: curate filter raw.jsonl"),
        (["filter", "raw.json"], "error: raw.json does not exist\n  -> did you mean raw.jsonl?"),
        (["filter", "raw.jsonl", "-o", "out.txt"], "error: the ending of out.txt names no format\n  -> known: .jsonl"),
        (["filter", "raw.jsonl", "-o", "no/c.jsonl"], "error: the folder no does not exist\n  -> make it: mkdir -p no"),
        (["filter", "raw.jsonl", "--keep", "few"], "Invalid value for '--keep': 'few' is not a valid integer"),
        (["filter", "raw.jsonl", "--kep", "3"], "No such option"),
        (["filter", "raw.jsonl", "--max-line", "²M"], "²M is not a size; write 500K, 64M or 1G"),
        (["filter", "raw.jsonl", "--map", "answer"], "answer is not THEIRS=OURS, as in answer=output"),
        (["filter", "raw.jsonl", "--format", "alpacca"], "error: no shape is called alpacca\n  -> known: "),
        (["filter", "raw.jsonl", "--limit", "0"], "Invalid value for '--limit'"),
        (["filters", "show", "lenght"], "error: no filter is called lenght\n  -> did you mean length?"),
        (["recipes", "show", "defalt"], "error: no recipe is called defalt\n  -> did you mean default?"),
        (["inspect"], "error: no input was named"),
        (["why"], "Missing argument 'ROW'"),
    ],
)
def test_wrong_usage_is_status_2_with_the_next_step_and_writes_nothing(
    raw: Path, cli: Any, arguments: list[str], message: str
) -> None:
    said = cli(*arguments, status=2)
    assert message in said.err
    assert said.out == ""
    assert [file.name for file in raw.iterdir()] == ["raw.jsonl"]


def test_results_are_on_stdout_and_messages_on_stderr(raw: Path, cli: Any, compiled: None) -> None:
    said = cli("filter", "raw.jsonl")
    assert said.out == ""
    assert "kept 1 of 3 rows -> curated.jsonl" in said.err
    for arguments in (["inspect", "raw.jsonl"], ["why", "row:1"], ["runs"], ["filters"], ["recipes"], ["doctor"]):
        said = cli(*arguments)
        assert len(said.out) > 50
        assert said.err == ""


def test_json_is_one_summary_with_these_fields(raw: Path, cli: Any) -> None:
    (raw / "raw.jsonl").write_text(RAW + "broken\n")
    (raw / "basic.yaml").write_text("steps: [length, turns, exact-dup]")
    summary = json.loads(cli("filter", "raw.jsonl", "--json", "--recipe", "basic.yaml").out)
    seconds = [summary.pop("seconds"), *[step.pop("seconds") for step in summary["by_step"]]]
    assert all(s >= 0 for s in seconds)
    name = summary.pop("run")
    assert (raw / ".curate" / "runs" / name).is_dir()
    sums = {key: summary[key] for key in ("records", "rows_in", "kept", "dropped", "rejected", "unscored", "output")}
    assert sums == {
        "records": 4,
        "rows_in": 3,
        "kept": 1,
        "dropped": 2,
        "rejected": 1,
        "unscored": 0,
        "output": "curated.jsonl",
    }
    fields = ("step", "filter", "measured", "dropped", "unscored")
    assert [tuple(step[field] for field in fields) for step in summary["by_step"]] == [
        ("length", "length", 3, 1, 0),
        ("turns", "turns", 3, 0, 0),
        ("exact-dup", "exact-dup", 3, 1, 0),
    ]


def test_inspect_and_why_speak_json(raw: Path, cli: Any) -> None:
    assert json.loads(cli("inspect", "raw.jsonl", "--json").out)["duplicates"] == 1
    cli("filter", "raw.jsonl")
    assert json.loads(cli("why", "raw.jsonl:2", "--json").out)[0]["steps"][-1]["rival"]["name"] == "row:0"


def test_stdin_is_read_and_explained(raw: Path, curate_command: Any) -> None:
    curate_command("filter", "-", input=RAW)
    assert (raw / "curated.jsonl").read_text() == RAW.splitlines(True)[0]
    assert "same prompt and response as row:0" in curate_command("why", "-:2").stdout


def on_a_terminal(here: Path, *arguments: str, **env: str) -> str:
    """What `curate` shows on a terminal of 80 columns."""
    leader, follower = pty.openpty()
    code = "from curate.cli import main; main()"
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"} | {"TERM": "xterm", "COLUMNS": "80"} | env
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=here, stdin=follower, stdout=follower, stderr=follower, env=environment,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    assert process.wait() == 0, shown.decode()
    return shown.decode()


def test_colours_are_for_terminals_only(raw: Path, curate_command: Any) -> None:
    ran = curate_command("filter", "raw.jsonl")
    assert "\x1b" not in ran.stdout + ran.stderr
    for arguments in (["why", "row:1"], ["runs"], ["filters"], ["--help"]):
        assert "\x1b" not in curate_command(*arguments).stdout
    assert "\x1b[31m" in on_a_terminal(raw, "why", "row:1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", on_a_terminal(raw, "why", "row:1", NO_COLOR="1"))
    shown = on_a_terminal(raw, "filter", "raw.jsonl", "--fresh")
    assert "kept 1 of 3 rows" in shown


HOSTILE = (
    "\x1b[31mred\x1b[0m\x1b]0;owned\x07 \u202egpj.exe\u202c \u2066x\u2069 \x9b31m [red]bold[/red] \r\x08\x7f\u2028"
)
DANGEROUS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def test_hostile_text_is_inert_everywhere(here: Path, cli: Any) -> None:
    rows = [
        {"instruction": HOSTILE, "output": "1", HOSTILE: 1},
        {"instruction": HOSTILE, "output": "1 "},
        {"instruction": f"other {HOSTILE}", "output": ""},
        {"messages": [{"role": HOSTILE, "content": "x"}]},
        {HOSTILE: "unknown shape"},
    ]
    (here / "raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = [cli("inspect", "raw.jsonl"), cli("filter", "raw.jsonl"), cli("filter", "raw.jsonl", "--dry-run")]
    said += [cli("why", f"row:{row}") for row in range(3)]
    said += [cli("why", f"raw.jsonl:{line}", status=2) for line in (4, 5)]
    for out, err in said:
        assert not DANGEROUS.search(out), repr(out)
        assert not DANGEROUS.search(err), repr(err)
    # brackets are text, not markup
    assert "[red]bold[/red]" in said[0].out
    assert "[red]bold[/red]" in said[3].out


def test_names_of_files_steps_and_recipes_are_inert_too(here: Path, cli: Any) -> None:
    (here / "[red]x\x1b[31m.jsonl").write_text(RAW)
    (here / "recipe.yaml").write_text('name: "[blue]\\e[31mmine"\nsteps: [length, exact-dup]')
    said = [cli("filter", "[red]x\x1b[31m.jsonl", "--recipe", "recipe.yaml"), cli("runs"), cli("why", "row:1")]
    said += [cli("inspect", "[red]x\x1b[31m.jsonl"), cli("filter", "\x1b[31m", status=2)]
    for out, err in said:
        assert not DANGEROUS.search(out), repr(out)
        assert not DANGEROUS.search(err), repr(err)
    assert "[blue]" in said[1].out
    assert "[red]x" in said[1].out


def test_a_long_name_of_a_file_takes_no_room_from_a_reason_or_the_name_of_a_run(here: Path, cli: Any) -> None:
    long = "한국어" * 20 + ".jsonl"
    (here / long).write_text(RAW)
    said = cli("filter", long).err
    assert "한국어.jsonl:3  response has 0 characters" in said
    name = next((here / ".curate" / "runs").iterdir()).name
    listed = cli("runs").out.splitlines()
    assert listed[1].split()[:3] == [name, "default", "done"]
    assert all(cell_len(line) <= 80 for line in listed)


def test_the_closing_table_fits_80_columns(here: Path, cli: Any) -> None:
    (here / "raw.jsonl").write_text(
        "".join(f'{{"instruction": "{k} {"긴" * 90}?", "output": ""}}\n' for k in range(9)) + RAW
    )
    name = "a-step-whose-name-is-as-long-as-a-name-of-a-step-may-be-but-no-l"
    (here / "recipe.yaml").write_text(f"steps: [length, {{length: , as: {name}}}, exact-dup]")
    lines = cli("filter", "raw.jsonl", "--recipe", "recipe.yaml").err.splitlines()
    table = lines[lines.index(next(line for line in lines if line.startswith("step "))) :][:6]
    assert max(map(len, table)) <= 80
    assert table[0].split() == ["step", "rows", "in", "dropped", "unscored", "seconds"]
    assert table[1].split()[:3] == ["length", "12", "10"]


def everything(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(file), file.stat().st_mtime_ns) for file in folder.rglob("*"))


def test_a_dry_run_writes_nothing_at_all(raw: Path, cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (raw / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(raw / "tmp"))
    before = [entry for entry in everything(raw) if not entry[0].endswith("tmp")]
    said = cli("filter", "raw.jsonl", "--dry-run", "--json")
    assert [entry for entry in everything(raw) if not entry[0].endswith("tmp")] == before
    assert "dry run: 1 of 3 rows would stay; nothing was written" in said.err
    assert "dropped by exact-dup:\n  raw.jsonl:2  same prompt and response as row:0\n    a? -> 1" in said.err
    assert json.loads(said.out)["kept"] == 1
    cli("filter", "raw.jsonl")
    before = [entry for entry in everything(raw) if not entry[0].endswith("tmp")]
    cli("filter", "raw.jsonl", "--dry-run", "--set", "length.min_chars=null")
    assert [entry for entry in everything(raw) if not entry[0].endswith("tmp")] == before


def test_a_dry_run_shows_examples_in_the_order_of_the_steps(raw: Path, cli: Any) -> None:
    (raw / "raw.jsonl").write_text(RAW + '{"instruction": "b?", "output": ""}\n' + RAW)
    said = cli("filter", "raw.jsonl", "--dry-run").err
    assert said.index("dropped by length:") < said.index("dropped by exact-dup:")


def test_the_command_that_explains_a_row_works_as_it_is_printed(raw: Path, cli: Any) -> None:
    for more in ([], ["--work-dir", "my work"]):
        said = cli("filter", "raw.jsonl", *more).err
        (command,) = (line for line in said.splitlines() if line.startswith("one of them explained: curate "))
        words = shlex.split(command.partition("curate ")[2])
        assert words == ["why", "raw.jsonl:3", *more]
        assert "dropped in run" in cli(*words).out


def test_filters_show_says_what_a_parameter_takes(here: Path, cli: Any) -> None:
    said = cli("filters", "show", "exact-dup").out
    assert "  of: both | prompt | response (default 'both')\n" in said
    assert "  exclude: list of str (default [])\n" in said
    assert "  by: Column | None (default None)\n" in said
    assert "  by: Column (required)\n" in cli("filters", "show", "keep-top").out


def test_a_flag_wins_over_the_environment_and_that_over_curate_toml_of_a_parent(
    raw: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recipe(*arguments: str) -> str:
        summary = json.loads(cli("filter", "../raw.jsonl", "--json", *arguments).out)
        return "+".join(step["step"] for step in summary["by_step"])

    (raw / "below").mkdir()
    monkeypatch.chdir(raw / "below")
    assert recipe().startswith("length+turns+")
    (raw / "curate.toml").write_text(
        '[filter]\nrecipe = "longest"\nwork-dir = "elsewhere"\nset = ["length.min_chars=2"]\n'
    )
    said = cli("filter", "../raw.jsonl", status=1).err
    assert "step length dropped all 3 rows" in said
    assert (raw / "below" / "elsewhere" / "runs").is_dir()
    (raw / "curate.toml").write_text('[filter]\nrecipe = "longest"\n')
    assert recipe() == "length+exact-dup+keep-top"
    monkeypatch.setenv("CURATE_FILTER_RECIPE", "random")
    assert recipe() == "sample"
    assert recipe("--recipe", "default").startswith("length+turns+")
    monkeypatch.setenv("CURATE_FILTER_SET", "sample.n=2")
    monkeypatch.setenv("CURATE_FILTER_FORMAT", "alpaca")
    assert json.loads(cli("filter", "../raw.jsonl", "--json").out)["kept"] == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[filtre]\n", "curate.toml: filtre is no table of a command; known: filter, inspect"),
        ("recipe = 'x'\n", "curate.toml: recipe is no table of a command; known: filter, inspect"),
        ("[filter\n", "curate.toml can't be read: "),
        ("[filter]\nrecipee = 'x'\n", "curate.toml: filter has no option recipee; did you mean recipe?"),
        ("[filter]\nkeep = 'few'\n", "'few' is not a valid integer"),
    ],
)
def test_a_curate_toml_that_can_not_be_is_refused(raw: Path, cli: Any, text: str, message: str) -> None:
    (raw / "curate.toml").write_text(text)
    assert message in cli("filter", "raw.jsonl", status=2).err


def test_output_that_nobody_reads_to_its_end_is_no_error(raw: Path, compiled: None) -> None:
    command = f"{sys.executable} -c 'from curate.cli import main; main()' inspect raw.jsonl | head -1"
    ran = subprocess.run(command, shell=True, cwd=raw, capture_output=True, text=True, check=True)
    assert (ran.stdout, ran.stderr) == ("raw.jsonl: 3 rows (3 alpaca)\n", "")


def test_the_public_surface_is_exactly_this(here: Path) -> None:
    assert sorted(curate.__all__) == [
        "Comparison",
        "Duplicates",
        "Result",
        "Split",
        "compare",
        "filter",
        "near_duplicates",
        "split",
    ]
    code = "import curate; print(*[n for n in dir(curate) if not n.startswith('_')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) <= {"Any", "Path", "TYPE_CHECKING", "filter", "Result", "cli", "errors"}
    assert callable(curate.filter)
    with pytest.raises(AttributeError, match="module 'curate' has no attribute 'fliter'"):
        _ = curate.fliter


def test_no_module_bears_the_name_of_a_public_function_or_command() -> None:
    modules = {module.name for module in pkgutil.iter_modules([str(Path(curate.__file__).parent)])}
    assert not modules & {name for name in (*curate.__all__, *COMMANDS) if name not in ("filters", "recipes", "runs")}


def test_a_command_that_asked_a_server_leaves_it_in_silence(server: Server, curate_command: Any, here: Path) -> None:
    server.answer = lambda body, _: with_logprobs({"4": -0.1})
    write_rows(here / "raw.jsonl", [("Why is the sky blue?", "Air scatters blue light more than red light.")])
    for command in ("judge raw.jsonl --model", "filter raw.jsonl --judge"):
        assert "nclosed" not in curate_command(*command.split(), server.model).stderr
