"""Where filters come from: the modules of `filters/`, installed packages, and `--plugin` files.

`load_filter("exact-dup")` is the class `ExactDup` of `filters/exact_dup.py`.
"""

import dataclasses
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from curate.errors import UsageError, nearest


@cache
def built_in_filters() -> dict[str, str]:
    """Name and module of each filter in `filters/`."""
    package = importlib.import_module("curate.filters")
    return {m.name.replace("_", "-"): f"curate.filters.{m.name}" for m in pkgutil.iter_modules(package.__path__)}


@cache
def installed_filters() -> dict[str, Any]:
    """Entry points of the group `curate.filters`, by name."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group="curate.filters")}


def load_plugins(files: Sequence[Path]) -> dict[str, type]:
    """The filters of `--plugin` files: every frozen dataclass with `measure`, `stream` or `decide` that one defines."""
    found: dict[str, type] = {}
    for file in files:
        name = f"curate_plugin_{file.stem}"
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is None or spec.loader is None or not file.is_file():
            raise UsageError(f"--plugin {file} is not a Python file", "name a file that ends in .py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise UsageError(f"--plugin {file} does not import: {type(error).__name__}: {error}") from error
        classes = [c for c in vars(module).values() if _is_filter(c) and c.__module__ == name]
        if not classes:
            raise UsageError(f"--plugin {file} defines no filter", "see CONTRIBUTING.md for one of 20 lines")
        found |= {filter_name(c): c for c in classes}
    return found


def _is_filter(thing: Any) -> bool:
    methods = ("measure", "stream", "decide")
    return isinstance(thing, type) and dataclasses.is_dataclass(thing) and any(hasattr(thing, m) for m in methods)


def filter_name(filter_class: type) -> str:
    """`ExactDup` is called `exact-dup`."""
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in filter_class.__name__).lstrip("-")


def filter_names(plugins: dict[str, type] | None = None) -> dict[str, str]:
    """Every filter by name, with where it comes from: built-in, a package or a plug-in file."""
    names = dict.fromkeys(built_in_filters(), "built-in")
    names |= {name: f"package {p.dist.name if p.dist else p.value}" for name, p in installed_filters().items()}
    return names | dict.fromkeys(plugins or {}, "plug-in")


def load_filter(name: str, plugins: dict[str, type] | None = None) -> type:
    """The class of a filter. Raises UsageError for an unknown name, with the nearest known one."""
    if plugins and name in plugins:
        return plugins[name]
    if point := installed_filters().get(name):
        try:
            loaded: type = point.load()
        except Exception as error:
            remedy = "mend or uninstall that package"
            raise UsageError(f"filter {name} ({point.value}) does not import: {error}", remedy) from error
        return loaded
    module_name = built_in_filters().get(name)
    if module_name is None:
        raise UsageError(f"no filter is called {name}", nearest(name, list(filter_names(plugins))))
    module = importlib.import_module(module_name)
    built_in: type = next(c for c in vars(module).values() if _is_filter(c) and c.__module__ == module_name)
    return built_in
