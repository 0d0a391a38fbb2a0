"""Draw docs/filter.svg: what `curate filter` and `curate why` show for the bundled sample, as a terminal shows it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

REPOSITORY = Path(__file__).parent.parent
COMMANDS = (["filter", "data/sample.jsonl"], ["why", "data/sample.jsonl:330"])


def main() -> None:
    """Run the commands in a copy of the sample's folder and save what they print."""
    console = Console(record=True, width=84, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115, PTH123
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data").symlink_to(REPOSITORY / "data")
        for command in COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), ("curate " + " ".join(command), "bold")))
            shown = subprocess.run(
                [sys.executable, "-c", "from curate.cli import main; main()", *command],
                cwd=folder,
                # progress bars would leave every frame behind, so only the second command has a terminal's colours
                env={
                    **os.environ,
                    "PYTHONPATH": str(REPOSITORY),
                    **({"FORCE_COLOR": "1"} if command[0] == "why" else {}),
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=True,
            ).stdout.decode()
            console.print(Text.from_ansi(shown))
    console.save_svg(str(REPOSITORY / "docs" / "filter.svg"), title="curate")


if __name__ == "__main__":
    main()
