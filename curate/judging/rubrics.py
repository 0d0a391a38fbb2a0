"""Rubrics: versioned texts by which a model judges a row, each with its scale. `prompts/judge/` holds ours, users
add files.

`load_rubric("educational-value", "ko")` is the Korean text of that rubric, its labels 0 to 5, and 3, from which a
row is worth keeping.
"""

import importlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal, get_args

import jinja2
import xxhash

from curate.errors import UsageError, nearest
from curate.models import Turn
from curate.templates import Template, load_template, template_of

MOST_LABELS = 1000
MARK = 4
"""Letters of the mark around a row."""

Mode = Literal["expected", "text", "choice"]
Language = Literal["en", "ko"]
FIELDS = {"name", "version", "language", "scale", "keep", "pairwise", "about", "source"}


@dataclass(frozen=True)
class Rubric:
    """A text, the labels of its scale with their values, and the score from which a row is worth keeping.

    A pairwise rubric has two labels, for the first and the second answer, and is asked in both orders; its score is
    the share of belief in the chosen answer, 0 to 1.
    """

    name: str
    version: int
    language: Language
    scale: Mapping[str, float]
    keep: float | None
    pairwise: bool
    about: str
    source: str
    text: str

    @property
    def fingerprint(self) -> str:
        """Names the whole of what a model reads besides the row: 16 hex digits."""
        parts = [self.text, repr(dict(self.scale)), repr(self.pairwise), _frame(self.language).text]
        return xxhash.xxh3_64_hexdigest("\0".join(parts).encode())

    def turns(self, mode: Mode, **row: str) -> tuple[Turn, Turn]:
        """What is asked about a row: `prompt` and `response`, or `prompt`, `first` and `second`.

        The part that all rows share comes first, so that an engine computes it once. The row stands between lines with
        a mark that is nowhere in it: it can't pretend to end, whatever of this code its writer knows.
        """
        texts = "\0".join(row.values())
        marks = (xxhash.xxh3_64_hexdigest(texts.encode(), seed=seed)[:MARK] for seed in count())
        mark = next(mark for mark in marks if mark not in texts)
        values = {"rubric": self.text, "labels": list(self.scale), "mode": mode, "pairwise": self.pairwise}
        values |= {"mark": mark, "row": row}
        system, user = (_frame(self.language).render(part=part, **values).strip() for part in ("system", "row"))
        return Turn("system", system), Turn("user", user)


def _frame(language: str) -> Template:
    return load_template(f"judging/{language}")


def built_in_rubrics() -> dict[str, dict[str, Path]]:
    """Name and file, by language, of each rubric in `prompts/judge/`."""
    found: dict[str, dict[str, Path]] = {}
    for folder in importlib.import_module("curate.prompts").__path__:
        for file in sorted((Path(folder) / "judge").glob("*.md")):
            name, _, language = file.stem.rpartition(".")
            found.setdefault(name, {})[language] = file
    return found


def load_rubric(name: str, language: Language = "en") -> Rubric:
    """The rubric of a built-in name or of a file. Raises UsageError, with the known names, for anything amiss."""
    known = built_in_rubrics()
    file = known.get(name, {}).get(language) or Path(name)
    if file.is_dir():
        raise UsageError(f"{name} is a folder", "name the rubric's file")
    if not file.is_file():
        raise UsageError(f"no rubric is called {name}", f"{nearest(name, list(known))}; or name a file")
    try:
        template = template_of(file.read_text(encoding="utf-8-sig"))
        text = template.render()
    except jinja2.UndefinedError as error:
        remedy = "a rubric holds no variables: the row and the way to answer are put around it"
        raise UsageError(f"{file}: {error}", remedy) from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8 text", "save it as UTF-8") from None
    except (ValueError, OSError, jinja2.TemplateError) as error:
        raise UsageError(f"{file} is no rubric: {error}", "see docs/judge.md for one of ten lines") from None
    facts = dict(template.facts)
    if missing := sorted({"name", "scale"} - set(facts)):
        raise UsageError(f"{file}: its front matter has no {missing[0]}", "see docs/judge.md")
    if unknown := set(facts) - FIELDS:
        raise UsageError(f"{file}: unknown field {sorted(unknown)[0]}", f"known: {', '.join(sorted(FIELDS))}")
    scale, pairwise = _scale(facts["scale"], file), bool(facts.get("pairwise", False))
    if pairwise and len(scale) != 2:
        raise UsageError(f"{file}: a pairwise rubric has two labels", "as in scale: [A, B]")
    if not text.strip():
        raise UsageError(f"{file} is no rubric: below the front matter it says nothing", "see docs/judge.md")
    if facts.setdefault("language", language) not in get_args(Language):
        raise UsageError(f"{file}: there is no language {facts['language']!r}", "known: en, ko")
    keep = facts.get("keep")
    low, high = (0.0, 1.0) if pairwise else (min(scale.values()), max(scale.values()))
    if keep is not None and not (isinstance(keep, int | float) and low <= keep <= high):
        raise UsageError(f"{file}: keep {keep!r} is not on the scale", f"a number from {low:g} to {high:g}")
    if not isinstance(facts.setdefault("version", 1), int):
        raise UsageError(f"{file}: version {facts['version']!r} is no whole number", "as in version: 1")
    return Rubric(
        name=str(facts["name"]),
        version=facts["version"],
        language=facts["language"],
        scale=scale,
        keep=None if keep is None else float(keep),
        pairwise=pairwise,
        about=str(facts.get("about", "")).strip(),
        source=str(facts.get("source", "")).strip(),
        text=text.strip(),
    )


def _scale(given: Any, file: Path) -> dict[str, float]:
    """Label and value of each step: `0-5`, `[1, 2, 3]`, `[bad, good]` (0 and 1) or `{bad: 0, good: 10}`."""
    if isinstance(given, str) and (found := re.fullmatch(r"(\d+)\s*-\s*(\d+)", given)):
        first, last = int(found[1]), int(found[2])
        if not first < last <= first + MOST_LABELS - 1:
            remedy = f"the lower number first, at most {MOST_LABELS:,} labels, as in scale: 0-5"
            raise UsageError(f"{file}: scale {given} is none", remedy)
        given = list(range(first, last + 1))
    if isinstance(given, list):
        if any(isinstance(label, list | dict) for label in given):
            raise UsageError(f"{file}: a label of scale {given!r} is no word", "as in scale: [bad, good]")
        numbers = all(isinstance(label, int | float) and not isinstance(label, bool) for label in given)
        given = {label: label if numbers else k for k, label in enumerate(given)}
    if not isinstance(given, dict):
        raise UsageError(f"{file}: scale {given!r} is none", "as in scale: 0-5, [bad, good] or {bad: 0, good: 1}")
    if not 2 <= len(given) <= MOST_LABELS:
        raise UsageError(f"{file}: a scale has 2 to {MOST_LABELS:,} labels, not {len(given)}", "as in scale: 0-5")
    if any(label is None or isinstance(label, bool) for label in given):
        raise UsageError(f"{file}: YAML reads yes, no, on, off and null as no words", 'as in scale: ["no", "yes"]')
    try:
        scale = {str(label).strip(): float(value) for label, value in given.items()}
    except (TypeError, ValueError):
        raise UsageError(f"{file}: a value of scale {given!r} is no number", "as in scale: {bad: 0, good: 1}") from None
    if not all(map(math.isfinite, scale.values())):
        raise UsageError(f"{file}: a value of scale {given!r} is no finite number", "as in scale: {bad: 0, good: 1}")
    if "" in scale or len(set(scale.values())) < 2:
        raise UsageError(f"{file}: scale {given!r} can't tell rows apart", "as in scale: 0-5")
    return scale
