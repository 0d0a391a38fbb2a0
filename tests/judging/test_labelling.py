"""Labelling rows in a terminal, one key a row: on a real pseudo-terminal, killed, resumed, undone."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chat_server import Server
from conftest import write_rows
from known_judge import known_judge

from curate.errors import UsageError
from curate.judging.labelling import LabelFile, Labelling, keys_of, labels_file, meant, values_of
from curate.judging.rubrics import Rubric, load_rubric

CODE = """
import sys
import curate.cli as cli
from curate.judging import agreement
agreement.RESAMPLES = 50  # how wide the intervals are is not seen here
sys.argv[1:1] = ["judge", "calibrate"]
cli.main()
"""
PROMPT = "q quit: "
SECONDS = 120


class Terminal:
    """`curate judge calibrate` on a pseudo-terminal; stdout goes to a pipe."""

    def __init__(self, *arguments: str) -> None:
        self.master, self.slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE, *arguments],
            stdin=self.slave,
            stderr=self.slave,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.said = ""

    def until(self, text: str) -> str:
        """What is said up to and with `text`, from where the last one ended."""
        ends = time.monotonic() + SECONDS
        while text not in self.said:
            ready, _, _ = select.select([self.master], [], [], 1)
            if ready:
                self.said += os.read(self.master, 65536).decode("utf-8", "replace").replace("\r\n", "\n")
            elif self.process.poll() is not None or time.monotonic() > ends:
                pytest.fail(f"{text!r} was not said:\n{self.said}")
        before, self.said = self.said.split(text, 1)
        return before + text

    def row(self) -> str:
        """The screen of the next row."""
        return self.until(PROMPT).rpartition("─" * 80)[2]

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self, status: int) -> str:
        """Stdout, once the command has ended."""
        out, _ = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode == status, self.said
        return out

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(here: Path, server: Server) -> Iterator[Callable[[], Terminal]]:
    server.answer = known_judge
    rows = [(f"{n}번은 무엇입니까?", f"한국어 답 {n}: worth {n % 6}") for n in range(30)]
    write_rows(here / "raw.jsonl", rows)
    opened: list[Terminal] = []

    def start() -> Terminal:
        opened.append(Terminal("raw.jsonl", "--model", server.model, "--rows", "12", "--json"))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def labels_given(here: Path) -> list[str | None]:
    (file,) = (here / ".curate" / "labels").iterdir()
    return [json.loads(line)["label"] for line in file.read_text().splitlines()]


def texts(screen: str) -> str:
    return screen.partition("[prompt]")[2]


def worth(screen: str) -> str:
    found = re.search(r"worth (\d)", screen)
    assert found
    return found[1]


def test_labels_are_kept_undone_and_taken_up_again(here: Path, terminal: Callable[[], Terminal]) -> None:
    first = terminal()
    begun = first.until("row 1 of 14")
    assert "Rubric: how much would somebody" in begun
    assert "12 rows, 2 of them a second time at the end" in begun
    one = first.row()
    question = re.search(r"\d+번은 무엇입니까\?", one)
    assert question
    number = question[0].partition("번")[0]
    assert one == (  # this and nothing else: not what the judge said
        f"\n\n[prompt]\n{number}번은 무엇입니까?\n\n[response]\n한국어 답 {number}: worth {worth(one)}\n\n"
        "0 1 2 3 4 5 · u undo · s skip · ? rubric · q quit: "
    )
    first.press(worth(one))
    two = first.row()
    assert "row 2 of 14" in two
    first.press("x")
    assert "no such key" in first.until(PROMPT)
    first.press("\x1b[A")  # an arrow up is no A
    first.until(PROMPT)
    first.press("4")
    three = first.row()
    assert labels_given(here) == [worth(one), "4"]
    first.press("u")
    assert texts(first.row()) == texts(two)
    first.press(worth(two))
    assert first.row() == three
    first.press("s")
    first.row()
    first.press("?")
    assert "Rubric: how much would somebody" in first.until(PROMPT)
    first.press("q")
    first.until("the same command goes on")
    first.until("2 rows are labelled; from 10 on the judge is compared with your labels")
    first.end(1)
    assert labels_given(here) == [worth(one), worth(two), None]

    second = terminal()
    assert "row 4 of 14" in second.row()
    second.press("ㅕ")  # `u` on a Korean keyboard
    assert second.row() == three
    second.press("5")
    for expected in range(4, 13):
        screen = second.row()
        assert f"row {expected} of 14" in screen
        second.press(worth(screen))
    for expected, shown in ((13, one), (14, two)):
        screen = second.row()
        assert f"row {expected} of 14" in screen
        assert texts(screen) == texts(shown)
        second.press(worth(screen))
    found = json.loads(second.end(0))
    assert (found["drawn"], found["labelled"]) == (12, 12)
    assert found["person_retest"] == {"rows": 2, "same": 1.0, "apart": 0.0, "crossed": 0.0}
    assert found["auc"]["value"] > 0.8

    third = terminal()
    assert json.loads(third.end(0)) == found


def test_interrupted_it_leaves_the_labels_and_the_terminal_as_they_were(
    here: Path, terminal: Callable[[], Terminal]
) -> None:
    opened = terminal()
    opened.row()
    opened.press("2")
    opened.row()
    assert not termios.tcgetattr(opened.master)[3] & termios.ECHO
    opened.process.send_signal(signal.SIGINT)
    opened.until("interrupted; the same command goes on where it was")
    opened.end(130)
    assert termios.tcgetattr(opened.master)[3] & termios.ECHO
    assert labels_given(here) == ["2"]


def test_without_a_terminal_and_without_labels_nothing_is_asked(here: Path) -> None:
    write_rows(here / "raw.jsonl", [("a?", "b")])
    command = [sys.executable, "-c", CODE, "raw.jsonl", "--model", "http://127.0.0.1:9/v1#none"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert (
        ran.stderr
        == "error: labelling needs a terminal, and there are no labels yet\n  -> or give some: --labels FILE\n"
    )
    assert not (here / ".curate").exists()


def rubric_of(here: Path, scale: str, more: str = "") -> Rubric:
    (here / "own.md").write_text(f"---\nname: own\nscale: {scale}\n{more}---\nIs it good?\n")
    return load_rubric("own.md")


@pytest.mark.parametrize(
    ("scale", "keys"),
    [
        ("0-5", {"0": "0", "1": "1", "2": "2", "3": "3", "4": "4", "5": "5"}),
        ("1-10", {**{str(n): str(n) for n in range(1, 10)}, "0": "10"}),
        ("0-10", {**{str(n): str(n) for n in range(10)}, "a": "10"}),
        ("[bad, good]", {"1": "bad", "2": "good"}),
        ("[나쁨, 좋음]", {"1": "나쁨", "2": "좋음"}),
        ("[A, B, a]", {"a": "A", "b": "B", "1": "a"}),
        ("[S, U, Q]", {"1": "S", "2": "U", "3": "Q"}),
    ],
)
def test_every_label_has_a_key_of_its_own(here: Path, scale: str, keys: dict[str, str]) -> None:
    assert keys_of(rubric_of(here, scale)) == keys


def test_a_scale_of_more_labels_than_keys_asks_for_a_file(here: Path) -> None:
    with pytest.raises(UsageError, match=r"(?s)a scale of 101 labels has more than there are keys.*--labels FILE"):
        keys_of(rubric_of(here, "0-100"))


def test_keys_mean_the_same_on_a_korean_keyboard_and_in_capitals() -> None:
    assert [meant(key) for key in "ㅕㄴㅂUS3?"] == ["u", "s", "q", "u", "s", "3", "?"]


def test_a_label_survives_another_wording_of_the_rubric_but_not_another_scale(here: Path) -> None:
    work = here / ".curate"
    english, korean = load_rubric("educational-value"), load_rubric("educational-value", "ko")
    assert labels_file(work, english) == labels_file(work, korean)
    assert labels_file(work, rubric_of(here, "0-5")) != labels_file(work, rubric_of(here, "0-4"))


def test_of_a_pair_the_answers_change_places_and_the_label_says_which_was_preferred(here: Path) -> None:
    pairs = rubric_of(here, "[A, B]", "pairwise: true\n")
    file = LabelFile(here / "labels.jsonl", values_of(pairs))
    rows = [f"{n:032x}" for n in range(12)]
    labelling = Labelling(rows, file, pairs)
    places: dict[str, list[bool]] = {}
    while shown := labelling.next:
        places.setdefault(shown.row, []).append(shown.swapped)
        labelling.press("a", shown)
    assert {swapped[0] for swapped in places.values()} == {True, False}
    assert all(places[row] == [places[row][0], not places[row][0]] for row in rows[:2])
    assert [given.label for given in file.given] == [
        "rejected" if swapped else "chosen"
        for swapped in [*(places[row][0] for row in rows), *(places[row][1] for row in rows[:2])]
    ]


def test_labels_go_after_a_file_that_ends_without_a_line_break(here: Path) -> None:
    (here / "labels.jsonl").write_text('{"id": "0a", "label": 3}')
    file = LabelFile(here / "labels.jsonl", values_of(load_rubric("educational-value")))
    file.add("0b", "4")
    file.add("0c", None)
    file.undo()
    assert [(given.row, given.label) for given in file.given] == [("0a", "3"), ("0b", "4")]
    assert (here / "labels.jsonl").read_text() == '{"id": "0a", "label": 3}\n{"id":"0b","label":"4"}\n'
