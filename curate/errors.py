"""The few ways in which a run can stop, each a sentence for a person with the next step.

`InputError("raw.csv is empty", "name a file that holds rows")` prints as two lines and ends with exit status 2.
"""


class CurateError(Exception):
    """Something a person can mend: `message` says what is wrong, `remedy` the next step."""

    exit_status = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}\n{remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


class UsageError(CurateError):
    """A command, recipe or parameter that cannot be: no output was written (exit status 2)."""

    exit_status = 2


class InputError(CurateError):
    """An input of which no row can be read: no output was written (exit status 2)."""

    exit_status = 2


class StoppedError(CurateError):
    """A run that stopped midway: what was finished is kept, and the same command goes on (exit status 1)."""


class NothingKeptError(StoppedError):
    """A step dropped every row: the same command decides anew, since a filter may have been mended meanwhile."""


class InterruptedRun(CurateError):
    """A person pressed Ctrl-C: what was finished is kept, and the same command goes on (exit status 130)."""

    exit_status = 130


def nearest(name: str, known: list[str]) -> str:
    """`known` as text, the name most like `name` first: "did you mean length? Known: exact-dup, length"."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    listed = ", ".join(sorted(known)) or "none"
    return f"did you mean {close[0]}? Known: {listed}" if close else f"known: {listed}"
