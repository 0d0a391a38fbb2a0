"""Recipes: an ordered list of steps in YAML, checked before anything is read.

name: thousand
steps:
  - length: {min_chars: 2}
  - exact-dup
  - keep-top: {n: 1000, by: length.chars}
    as: longest-thousand
"""

import importlib
import re
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import yaml

from curate.errors import UsageError, nearest
from curate.pool import COLUMNS, Pool
from curate.protocol import Column, Filter, filter_faults, for_measuring, is_column, parameters, trait
from curate.registry import built_in_filters, load_filter

Unscored = Literal["keep", "drop", "fail"]
Side = Literal["chosen", "rejected"]
STEP_OPTIONS = ("as", "unscored", "side", "optional")
"""`optional`: a step that asks a model is left out where none is named, and so is a column of it that may be absent."""
RESERVED = ("restore", "meta", "row")
"""No step is called so: the ledger and the names of columns give them another meaning."""


@dataclass(frozen=True)
class Step:
    """One filter with its parameters; `name` is how `--set`, the ledger, the report and `why` call it."""

    name: str
    filter_name: str
    filter: Filter
    unscored: Unscored
    side: Side

    def as_dict(self) -> dict[str, Any]:
        """The step with every default spelled out."""
        values = {name: getattr(self.filter, name) for name in parameters(type(self.filter))}
        options = {"as": self.name, "unscored": self.unscored, "side": self.side}
        return {self.filter_name: values, **options}

    def columns(self) -> dict[str, str]:
        """Field name and reference of each `Column` that is set; of several in one field `of.0`, `of.1` ..."""
        fields = parameters(type(self.filter))
        named = {name: getattr(self.filter, name) for name, field in fields.items() if is_column(field)}
        single = {name: str(value) for name, value in named.items() if isinstance(value, str)}
        several = {name: value for name, value in named.items() if isinstance(value, tuple)}
        return single | {
            f"{name}.{k}": str(value) for name, values in several.items() for k, value in enumerate(values)
        }


@dataclass(frozen=True)
class Recipe:
    """Steps in order."""

    name: str
    about: str
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """The recipe with every default spelled out, as `run.json` keeps it; as YAML it can be run."""
        return {"name": self.name, "steps": [step.as_dict() for step in self.steps]}

    def compared_files(self) -> list[str]:
        """The files that steps compare with, by their parameters `against`, `exclude` and `target`."""
        named = ("against", "exclude", "target")
        return [file for step in self.steps for name in named for file in getattr(step.filter, name, ())]

    def versions(self) -> dict[str, int]:
        """The version of each step's filter."""
        return {step.name: trait(step.filter, "version") for step in self.steps}


class Written(NamedTuple):
    """A step as it stands in a recipe: its filter's name, its parameters, and `as`, `unscored` and `side`."""

    filter: str
    values: dict[str, Any]
    options: dict[str, Any]


def built_in_recipes() -> dict[str, Path]:
    """Name and file of each recipe in `filters/recipes/`."""
    folders = [Path(p) / "recipes" for p in importlib.import_module("curate.filters").__path__]
    return {file.stem: file for folder in folders for file in sorted(folder.glob("*.yaml"))}


def outline(name: str) -> tuple[str, list[str]]:
    """What a built-in recipe is for, and its steps' names; unlike `load_recipe` it needs no model to be named."""
    text = yaml.safe_load(built_in_recipes()[name].read_text())
    return str(text["about"]).strip(), [step.options["as"] for step in _parse(text, name)]


def load_recipe(
    name: str,
    *,
    settings: Sequence[str] = (),
    keep: int | None = None,
    judge: str | None = None,
    against: Sequence[str] = (),
    exclude: Sequence[str] = (),
    target: Sequence[str] = (),
    seed: int = 0,
    plugins: dict[str, type] | None = None,
) -> Recipe:
    """The recipe of a built-in name or a YAML file, with `--judge`, `--set`, `--keep`, `--against`, `--exclude`,
    `--target` and `--seed` applied.

    Raises UsageError, with the known names, for anything that is not as it should be.
    """
    file = built_in_recipes().get(name) or Path(name)
    if not file.is_file():
        raise UsageError(f"no recipe is called {name}", nearest(name, list(built_in_recipes())))
    try:
        text = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{file} is not YAML: {error}") from None
    written = _parse(text, str(file))
    if judge is not None:
        _add_judge(written, judge, plugins)
    if against:
        _add_test_rows(written, against, plugins)
    _apply_settings(written, settings)
    written = _without_optional(written, plugins)
    _apply_keep(written, keep, file.stem, plugins)
    for step in written:
        if "seed" in parameters(load_filter(step.filter, plugins)):
            step.values.setdefault("seed", seed)
    _add_files(written, "exclude", exclude, name, plugins)
    _add_files(written, "target", target, name, plugins)
    return _recipe(text, written, file.stem, plugins)


def rebuild_recipe(text: dict[str, Any], plugins: dict[str, type] | None = None) -> Recipe:
    """The recipe that `Recipe.as_dict` spelled out."""
    return _recipe(text, _parse(text, "run.json"), "", plugins)


def step_of(filter: str, **parameters: Any) -> Step:
    """A step of its own, for what only measures. Raises UsageError for parameters that can't be."""
    return rebuild_recipe({"name": filter, "steps": [{filter: parameters}]}).steps[0]


def _recipe(text: dict[str, Any], written: list[Written], name: str, plugins: dict[str, type] | None) -> Recipe:
    steps = tuple(_build(step, plugins) for step in written)
    _check_columns(steps)
    return Recipe(str(text.get("name", name)), str(text.get("about", "")).strip(), steps)


def _parse(text: Any, where: str) -> list[Written]:
    """Each step as written. Raises UsageError where it doesn't read as a recipe."""
    if not isinstance(text, dict) or not isinstance(text.get("steps"), list) or not text["steps"]:
        raise UsageError(f"{where} has no list of steps", "it should read like this:\n" + __doc__.partition("\n\n")[2])
    if unknown := set(text) - {"name", "about", "steps"}:
        raise UsageError(f"{where} has the unknown field {unknown.pop()}", "known: name, about, steps")
    written = [_parse_step(step, f"{where}, step {k}") for k, step in enumerate(text["steps"], 1)]
    names = [step.options["as"] for step in written]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise UsageError(f"{where}: two steps are called {twice}", "give one another name with `as:`")
    return written


def _parse_step(step: Any, where: str) -> Written:
    if isinstance(step, str):
        step = {step: None}
    if not isinstance(step, dict):
        raise UsageError(f"{where} is {step!r}", "write the filter's name, or `name: {parameter: value}`")
    step = {str(name): value for name, value in step.items()}
    options = {name: step[name] for name in step if name in STEP_OPTIONS}
    names = [name for name in step if name not in STEP_OPTIONS]
    if len(names) != 1:
        raise UsageError(f"{where} names {len(names)} filters: {', '.join(names)}", "one step, one filter")
    values = step[names[0]] or {}
    if not isinstance(values, dict):
        raise UsageError(f"{where}: {names[0]} has {values!r} for parameters", "write `name: {parameter: value}`")
    options["as"] = str(options.get("as", names[0]))
    if not re.fullmatch(r"\w[\w-]{0,63}", options["as"]) or options["as"] in RESERVED:
        known = f"letters, digits, - and _, and none of {', '.join(RESERVED)}"
        raise UsageError(f"{where} is called {options['as']!r}", f"a name has at most 64 {known}")
    return Written(names[0], {str(name): value for name, value in values.items()}, options)


def _apply_settings(written: list[Written], settings: Sequence[str]) -> None:
    names = [step.options["as"] for step in written]
    for setting in settings:
        path, equals, value = setting.partition("=")
        step, dot, parameter = path.rpartition(".")
        if not (equals and dot and step and parameter):
            raise UsageError(f"--set {setting} is not STEP.PARAM=VALUE", "as in --set length.min_chars=20")
        if step not in names:
            raise UsageError(f"--set {setting}: no step is called {step}", nearest(step, names))
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"--set {setting}: {value} is not a YAML value") from None
        meant = written[names.index(step)]
        (meant.options if parameter in STEP_OPTIONS and parameter != "as" else meant.values)[parameter] = parsed


def _add_judge(written: list[Written], model: str, plugins: dict[str, type] | None) -> None:
    """Let `model` judge: by the judges that the recipe has, or by one after the cheap steps, before what selects."""
    judges = [step for step in written if step.filter == "judge"]
    for step in judges:
        step.values["model"] = model
    if not judges:
        _insert(written, Written("judge", {"model": model}, {"as": "judge"}), plugins)


def _without_optional(written: list[Written], plugins: dict[str, type] | None) -> list[Written]:
    """The steps but those that are optional and ask a model that nobody named; nor do others take columns of these."""
    left, stays = set(), []
    for step in written:
        fields = parameters(load_filter(step.filter, plugins))
        if step.options.get("optional") and "model" in fields and not step.values.get("model"):
            left.add(step.options["as"])
            continue
        for name, field in fields.items():
            of_such = str(step.values.get(name, "")).rpartition(".")[0] in left
            if of_such and is_column(field) and field.default is None:
                del step.values[name]
        stays.append(step)
    return stays


def _add_test_rows(written: list[Written], files: Sequence[str], plugins: dict[str, type] | None) -> None:
    """Let no test row of the files leak: by the steps that look for such, or by one after the cheap steps."""
    steps = [step for step in written if "against" in parameters(load_filter(step.filter, plugins))]
    for step in steps:
        step.values["against"] = [*step.values.get("against", ()), *files]
    if not steps:
        own = Written("decontaminate", {"against": [*files]}, {"as": "decontaminate"})
        _insert(written, own, plugins, before=("judge",))


def _add_files(
    written: list[Written], option: str, files: Sequence[str], name: str, plugins: dict[str, type] | None
) -> None:
    """Give the files of an option to every step with a parameter of its name. Raises UsageError where there is none."""
    if not files:
        return
    steps = [step for step in written if option in parameters(load_filter(step.filter, plugins))]
    for step in steps:
        step.values[option] = [*step.values.get(option, ()), *files]
    if not steps:
        known = [*built_in_filters(), *(plugins or {})]
        able = [n for n in known if option in parameters(load_filter(n, plugins))]
        raise UsageError(f"no step of {name} can take --{option}", f"filters that can: {', '.join(able)}")


def _insert(written: list[Written], own: Written, plugins: dict[str, type] | None, before: Sequence[str] = ()) -> None:
    """Put a step before what selects N rows, and before the filters named."""
    places = enumerate(written)
    later = [k for k, s in places if s.filter in before or "n" in parameters(load_filter(s.filter, plugins))]
    written.insert(min(later, default=len(written)), own)


def _apply_keep(written: list[Written], keep: int | None, name: str, plugins: dict[str, type] | None) -> None:
    if keep is None:
        return
    if keep < 1:
        raise UsageError("--keep must be 1 or more", "leave it out to keep every row that passes")
    for step in reversed(written):
        if "n" in parameters(load_filter(step.filter, plugins)):
            step.values["n"] = keep
            step.values.pop("share", None)
            return
    selecting = [r for r, file in built_in_recipes().items() if _selects(file)]
    raise UsageError(f"recipe {name} has no step that selects N rows", f"recipes that do: {', '.join(selecting)}")


def _selects(file: Path) -> bool:
    steps = yaml.safe_load(file.read_text())["steps"]
    names = [_parse_step(step, "").filter for step in steps]
    return any("n" in parameters(load_filter(name)) for name in names)


def _build(written: Written, plugins: dict[str, type] | None) -> Step:
    name, values, options = written
    filter_class = load_filter(name, plugins)
    if not cast(Any, filter_class).__dataclass_params__.frozen:
        raise UsageError(f"filter {name} is not a frozen dataclass", "write @dataclass(frozen=True, kw_only=True)")
    if hasattr(filter_class, "stream") and not hasattr(filter_class, "makes"):
        raise UsageError(f"filter {name} streams, but does not say what it makes", 'as in: makes = ("score",)')
    fields = parameters(filter_class)
    hints = typing.get_type_hints(filter_class)
    for parameter in values:
        if parameter not in fields:
            raise UsageError(f"{name} has no parameter {parameter}", nearest(parameter, list(fields)))
    try:
        filter = filter_class(**{p: _coerce(v, hints[p], f"{name}.{p}") for p, v in values.items()})
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name}: {error}", f"`curate filters show {name}` explains its parameters") from None
    selecting = getattr(filter, "n", None) is not None or getattr(filter, "share", None) is not None
    unscored = options.get("unscored", "drop" if selecting else "keep")
    side = options.get("side", "chosen")
    for option, value, known in (
        ("unscored", unscored, ("keep", "drop", "fail")),
        ("side", side, ("chosen", "rejected")),
    ):
        if value not in known:
            raise UsageError(f"{options['as']}: {option} is {value!r}", f"known: {', '.join(known)}")
    return Step(str(options["as"]), name, cast(Filter, filter), unscored, side)


def _coerce(value: Any, hint: Any, where: str) -> Any:
    """`value` as the parameter's type. Raises UsageError if it can't be."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in options:
            return None
        return _coerce(value, next(o for o in options if o is not type(None)), where)
    if origin is Literal:
        if value in options:
            return value
        raise UsageError(f"{where} is {value!r}", f"known: {', '.join(map(str, options))}")
    if origin is tuple:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_coerce(item, options[0], where) for item in items)
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if hint is Column and isinstance(value, str):
        return Column(value)
    if hint is str and value is not None and not isinstance(value, dict | list):
        return str(value)
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Column: "a column's name"}
    remedy = f"`curate filters show {where.partition('.')[0]}` explains its parameters"
    raise UsageError(f"{where} is {value!r}, {words.get(hint, hint)} was expected", remedy)


def _check_columns(steps: Sequence[Step]) -> None:
    """Refuse a column of a step that does not come before; whether the measure exists is checked with the pool."""
    for position, step in enumerate(steps):
        before = [s.name for s in steps[:position]]
        for field, reference in step.columns().items():
            owner, dot, _ = reference.rpartition(".")
            if reference in COLUMNS or (dot and (owner == "meta" or reference.startswith("meta."))) or owner in before:
                continue
            known = [f"{name}.MEASURE" for name in before] + ["meta.NAME", *COLUMNS]
            raise UsageError(
                f"{step.name}.{field} is {reference}, which no step before it makes", f"known: {', '.join(known)}"
            )


def check_measures(recipe: Recipe, pool: Pool) -> None:
    """Refuse a recipe in which a column names a measure that its step doesn't make, or a field no row's meta has."""
    steps = {step.name: step for step in recipe.steps}
    for step in recipe.steps:
        for field, reference in step.columns().items():
            owner, _, name = reference.rpartition(".")
            if reference in COLUMNS:
                continue
            if reference.startswith("meta."):
                field_name = reference.removeprefix("meta.")
                known = pool.meta_names()
                if field_name not in known and pool.meta(field_name).null_count() == len(pool):
                    listed = ", ".join(f"meta.{n}" for n in known) or "no row has other fields"
                    raise UsageError(f"{step.name}.{field} is {reference}, which no row has", f"known: {listed}")
            elif name not in (made := measures_of(steps[owner], pool)):
                listed = ", ".join(f"{owner}.{n}" for n in made)
                raise UsageError(
                    f"{step.name}.{field} is {reference}, which {owner} does not measure", f"known: {listed}"
                )


def measures_of(step: Step, pool: Pool) -> list[str]:
    """Names of the measures that a step makes: its filter's `makes`, or the columns `measure` gives for no rows."""
    if declared := getattr(step.filter, "makes", None):
        return list(declared)
    if not hasattr(step.filter, "measure"):
        return []
    empty = next(pool.batches(trait(step.filter, "reads"))).clear()
    with filter_faults(step.filter_name, "on a frame without rows"):
        measured = for_measuring(prepared(step, pool)).measure(empty)
    return [name for name in measured.columns if name not in ("row", "problem")]


def prepared(step: Step, pool: Pool) -> Filter:
    """The step's filter with its fitted fields filled; fitted once for a pool."""
    with filter_faults(step.filter_name):
        return _prepared(cast(Any, step.filter), pool)


@lru_cache(maxsize=64)
def _prepared(filter: Any, pool: Pool) -> Filter:
    fitted: Filter = filter.prepare(pool) if hasattr(filter, "prepare") else filter
    return fitted
