"""The texts in `prompts/`: a front matter that says what each is, and a Jinja template that is rendered in a sandbox.

`load_template("alpaca/ko").render(turns=[...])`; the front matter is `load_template("alpaca/ko").facts`.
"""

import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment


@dataclass(frozen=True)
class Template:
    """A text of `prompts/`; `facts`: its front matter (name, version, language, source ...)."""

    facts: dict[str, Any]
    body: jinja2.Template

    def render(self, **values: Any) -> str:
        """The text with `values` in place; jinja2.UndefinedError where one that it needs is missing."""
        return self.body.render(**values)


@cache
def load_template(name: str) -> Template:
    """The template of the file `prompts/NAME.md`."""
    files = (Path(folder) / f"{name}.md" for folder in importlib.import_module("curate.prompts").__path__)
    text = next(file for file in files if file.is_file()).read_text()
    _, front, body = text.split("---\n", 2)
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    return Template(yaml.safe_load(front), environment.from_string(body))
