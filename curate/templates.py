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
    """A text of `prompts/`; `facts`: its front matter (name, version, language, source ...); `text`: its source."""

    facts: dict[str, Any]
    text: str
    body: jinja2.Template

    def render(self, **values: Any) -> str:
        """The text with `values` in place; jinja2.UndefinedError where one that it needs is missing."""
        return self.body.render(**values)


@cache
def load_template(name: str) -> Template:
    """The template of the file `prompts/NAME.md`."""
    files = (Path(folder) / f"{name}.md" for folder in importlib.import_module("curate.prompts").__path__)
    return template_of(next(file for file in files if file.is_file()).read_text())


def template_of(text: str) -> Template:
    """The template in a text. Raises ValueError where it has no front matter, jinja2.TemplateError for a broken
    body."""
    parts = text.split("---\n", 2)
    if len(parts) < 3 or parts[0].strip():
        raise ValueError("it does not begin with a front matter between two lines of ---")
    try:
        facts = yaml.safe_load(parts[1])
    except yaml.YAMLError as error:
        raise ValueError(f"its front matter is not YAML: {error}") from None
    if not isinstance(facts, dict):
        raise ValueError("its front matter names nothing")
    environment = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    return Template(facts, parts[2], environment.from_string(parts[2]))
