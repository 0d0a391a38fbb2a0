"""What Python code is worth to a learner, by what can be counted: phi-1's reasons to leave code out, and its topic.

Source: Gunasekar et al. 2023, "Textbooks Are All You Need", arXiv 2306.11644, section 2.
"""

import sys
from dataclasses import dataclass

from curate.code.syntax import Code

_COMMON = """
attr aiohttp bs4 click cv2 cython datasets dateutil django fastapi flask gym gymnasium httpx hypothesis jax jinja2
joblib keras lightgbm lxml matplotlib mpl_toolkits networkx nltk numba numpy pandas PIL plotly polars pyarrow pydantic
pygame pytest pytz requests rich scipy seaborn six skimage sklearn spacy sqlalchemy statsmodels sympy tensorflow
tokenizers torch torchvision tqdm transformers typing_extensions xgboost yaml
"""
USUAL = frozenset(_COMMON.split())
"""Packages that many have installed: to need one does not make code hard to understand alone."""

_OUTSIDE_MODULES = {
    "file": {"shutil", "glob", "tempfile", "sqlite3", "zipfile", "tarfile"},
    "network": {"requests", "httpx", "aiohttp", "socket", "urllib", "http", "ftplib", "smtplib", "paramiko", "boto3"},
}

TOPICS: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "machine learning": "torch tensorflow keras sklearn transformers jax xgboost fit predict",
        "data frames": "pandas polars DataFrame groupby read_csv merge pivot",
        "plots": "matplotlib plt seaborn plotly plot show savefig",
        "web": "flask django fastapi requests httpx bs4 urllib route urlopen",
        "databases": "sqlite3 sqlalchemy cursor execute commit",
        "files": "open pathlib Path os csv json shutil glob write readlines",
        "dates": "datetime timedelta strftime strptime date calendar",
        "regular expressions": "re finditer findall fullmatch compile",
        "concurrency": "asyncio threading multiprocessing Thread Process Lock gather",
        "testing": "unittest pytest assertEqual TestCase fixture",
        "graphs and trees": "graph node edge edges neighbors visited root left right children vertex bfs dfs deque",
        "sorting and searching": "sort sorted bisect heapq heappush heappop binary_search mid pivot low high key",
        "matrices": "matrix rows cols dot linalg shape reshape transpose numpy np array zeros",
        "random numbers": "random randint choice shuffle seed uniform sample",
        "numbers": "math sqrt gcd factorial prime pow abs divmod digits sum factors modulus exponent",
        "strings": "join split upper lower strip replace chr ord isalpha isdigit text word string startswith ascii",
        "collections": "dict append items keys values setdefault Counter defaultdict pop list set update zip",
    }.items()
}
"""Concepts of code, and the names that tell of them; `classes` and `recursion` are told from the tree."""


@dataclass(frozen=True)
class Worth:
    """What code is worth to a learner, told by what can be counted.

    `missing`: modules that are neither Python's nor usual, and local ones; `outside`: file, network; `computing` and
    `literal`: shares of the tree's nodes; `undocumented`: the highest complexity of a function without docstring;
    `documented`, `typed`: shares of the functions, and of their arguments and results; `score`: 0 to 1.
    """

    missing: tuple[str, ...]
    outside: tuple[str, ...]
    computing: float
    literal: float
    undocumented: int
    documented: float
    typed: float
    generated: bool
    topic: str
    score: float


ENOUGH = 0.12
"""Share of a tree that computes from which it is a program and no list: two thirds of teaching code have more."""


def worth(code: Code) -> Worth:
    """What code is worth to a learner.

    The score is the mean of five: it can be understood alone; it computes; it has functions that do something; they are
    documented; their arguments have types. Phi-1's authors named the opposites.
    """
    missing = (code.modules - sys.stdlib_module_names - USUAL) | code.local
    outside = code.outside | {what for what, modules in _OUTSIDE_MODULES.items() if code.modules & modules}
    working = [function for function in code.functions if not function.trivial]
    computing, literal = (count / max(code.nodes, 1) for count in (code.computing, code.literal))
    if working:
        documented = sum(function.documented for function in working) / len(working)
        typed = sum(f.annotated for f in working) / sum(f.arguments for f in working)
    else:
        documented, typed = 0.5 * (code.documented or code.comments > 0), 0.0
    parts = (
        0.0 if missing or code.generated else 0.5 if outside else 1.0,
        min(1.0, computing / ENOUGH),
        1.0 if working else 0.25 * bool(code.computing),
        documented,
        typed,
    )
    undocumented = max((function.complexity for function in code.functions if not function.documented), default=0)
    return Worth(
        tuple(sorted(missing)),
        tuple(sorted(outside)),
        computing,
        literal,
        undocumented,
        documented,
        typed,
        code.generated,
        topic_of(code),
        sum(parts) / len(parts),
    )


def topic_of(code: Code) -> str:
    """The concept that the code is most about, of `TOPICS`, `recursion` and `classes`; `basics` where none shows."""
    names = code.names.keys() | code.modules
    said = {topic: sum(min(code.names[word], 3) or 1 for word in words & names) for topic, words in TOPICS.items()}
    best = max(said, key=lambda topic: said[topic])  # of equals the first: the rarer concepts stand before the common
    if said[best] >= 3:
        return best
    if code.recursive:
        return "recursion"
    return "classes" if code.methods > 1 else best if said[best] else "basics"
