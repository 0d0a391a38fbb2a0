"""curate decides what to train on: it filters, explains and resumes the curation of instruction data.

>>> import curate
>>> result = curate.filter("raw.jsonl", recipe="default")
>>> result.kept["prompt"], result.dropped["reason"]
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.comparing import Comparison, compare
    from curate.duplicates.in_files import Duplicates, near_duplicates
    from curate.filtering import Result, filter
    from curate.splitting import Split, split

_HOMES = {
    "Comparison": "comparing",
    "Duplicates": "duplicates.in_files",
    "Result": "filtering",
    "Split": "splitting",
    "compare": "comparing",
    "filter": "filtering",
    "near_duplicates": "duplicates.in_files",
    "split": "splitting",
}
__all__ = ["Comparison", "Duplicates", "Result", "Split", "compare", "filter", "near_duplicates", "split"]
__version__ = "0.1.0"

# In a checkout filters/, prompts/ and data/ lie beside this package; a wheel carries them inside it.
if not (Path(__file__).parent / "filters").is_dir():
    __path__.append(str(Path(__file__).parent.parent))


def __getattr__(name: str) -> Any:
    # Polars and numba load on first use, so that `curate --help` answers at once.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"curate.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'curate' has no attribute {name!r}")
