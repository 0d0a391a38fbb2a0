"""The command line. Each command is a module of its own name here; it loads the library only when it runs."""

import importlib
import os
import sys
from typing import Any

import click

COMMANDS = (
    "filter",
    "inspect",
    "convert",
    "compare",
    "judge",
    "judge calibrate",
    "judge distill",
    "synth",
    "split",
    "train-sft",
    "train-dpo",
    "eval win-rate",
    "eval code",
    "eval loss",
    "ablate",
    "why",
    "restore",
    "runs",
    "filters",
    "recipes",
    "rubrics",
    "doctor",
)


class Commands(click.Group):
    """Loads a command's module when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, or None."""
        if name not in COMMANDS:
            return None
        module = name.replace(" ", "_").replace("-", "_")
        command: click.Command = importlib.import_module(f"curate.cli.{module}").command
        for option, parameter in options_of(command).items():
            parameter.envvar = f"CURATE_{module}_{option}".upper()
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does, with names of two words, and the nearest known name for an unknown one."""
        if " ".join(args[:2]) in COMMANDS:
            args = [" ".join(args[:2]), *args[2:]]
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from curate.errors import nearest

            ctx.fail(f"no command is called {args[0]}; {nearest(args[0], list(COMMANDS))}")
        return super().resolve_command(ctx, args)


def options_of(command: click.Command) -> dict[str, click.Option]:
    """The options of a command as `curate.toml` and the environment name them: `--work-dir` is `work_dir`."""
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    return {max(option.opts, key=len).lstrip("-").replace("-", "_"): option for option in options}


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from curate import __version__

        click.echo(f"curate {__version__}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.pass_context
def root(ctx: click.Context) -> None:
    """Decide what to train on: filter instruction data, with a reason for every dropped row.

    \b
    curate filter raw.jsonl      rows worth training on -> curated.jsonl
    curate inspect raw.jsonl     what is in it
    curate why raw.jsonl:42      why a row went or stayed
    """
    if ctx.invoked_subcommand:
        from curate.cli.settings import default_map

        command = root.get_command(ctx, ctx.invoked_subcommand)
        ctx.default_map = default_map(ctx.invoked_subcommand, options_of(command)) if command else None


def main() -> None:
    """Run the command line; the exit status is 0, 1, 2 or 130 as `curate.errors` says."""
    try:
        status = root.main(prog_name="curate", standalone_mode=False, auto_envvar_prefix="CURATE")
        sys.exit(status if isinstance(status, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; the same command goes on where it was", err=True)
        sys.exit(130)
    except BrokenPipeError:  # `curate inspect ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        from curate.errors import CurateError

        if not isinstance(error, CurateError):
            raise
        from curate.cli.text import safe_lines

        remedy = f"\n  -> {error.remedy}" if error.remedy else ""
        click.echo(safe_lines(f"error: {error.message}{remedy}"), err=True)
        sys.exit(error.exit_status)
