"""The pool: all rows of an input as Parquet on disk, read once and shared by every run over the same contents.

`table` makes rows of lines, `reading` writes them, `rows` gives them back.
"""

from curate.pool.reading import ReadOptions, check_inputs, make_work_dir, read_options, read_pool, say_what_was_found
from curate.pool.rows import Pool
from curate.pool.table import COLUMNS

__all__ = [
    "COLUMNS",
    "Pool",
    "ReadOptions",
    "check_inputs",
    "make_work_dir",
    "read_options",
    "read_pool",
    "say_what_was_found",
]
