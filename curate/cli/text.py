"""Text of rows, files and filters made harmless for a terminal: it is hostile until shown otherwise.

`safe("a\\x1b[31mb\\n")` is `a [31mb⏎`: on one line, without control characters or direction overrides.
"""


def safe(text: str, limit: int = 200) -> str:
    """`text` on one line, without control characters or direction overrides, cut at `limit`."""
    shown = "".join(c if c.isprintable() else ("⏎" if c == "\n" else " ") for c in text[: limit + 1])
    return shown if len(text) <= limit else shown[:limit] + "…"


def safe_lines(text: str) -> str:
    """`text` with its lines as they are, each made safe."""
    return "\n".join(safe(line, len(line)) for line in text.split("\n"))
