"""HTML to the plain text that a model should learn to write: code, lists, quotes and tables kept, the rest words.

`<p>Use <code>x</code>:</p><pre><code>x = 1</code></pre>` is "Use `x`:", a blank line, and a fenced block. Links keep
their words and lose their addresses, images go.
"""

import re
from html import unescape

_BLOCKS = {"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "ul", "ol", "table", "hr", "dl", "details"}
_LINES = {"br", "li", "tr", "dt", "dd", "summary"}
_LEFT_OUT = {"script", "style", "iframe", "video", "audio", "object", "svg"}
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+")
_COMMENT = re.compile(r"<!--[^<>]*-->")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)([^<>]*)>")
"""A tag; any other `<` is text. `html.parser` takes three times as long, and over hostile texts forever."""
_SPACE = re.compile(r"\s+")
_LANGUAGE = re.compile(r"\blang(?:uage)?-(?!none\b|default\b)([\w+#-]+)")


def html_text(html: str) -> str:
    """The text of some HTML, however damaged; blocks are parted by a blank line, other white space is one space."""
    html = _COMMENT.sub("", html)
    writer = _Writer()
    at = 0
    for found in _TAG.finditer(html):
        if found.start() > at:
            writer.words(unescape(html[at : found.start()]))
        at = found.end()
        closes, tag, attributes = found.groups()
        if closes:
            writer.closes(tag.lower())
        else:
            writer.opens(tag.lower(), attributes)
    writer.words(unescape(html[at:]))
    return writer.text()


class _Writer:
    """Writes as tags open and close; a tag that never closes costs its own marks only."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._end = "\n\n"  # what the text so far ends with: "", " ", "\n" or "\n\n"
        self._lists: list[int] = []  # of each open list the number of its next item, 0 where it has none
        self._quotes = 0
        self._code: list[str] | None = None  # inside <pre>
        self._language = ""
        self._left_out = 0
        self._link: list[str] | None = None
        self._raised: list[str] | None = None  # inside <sup> or <sub>

    def text(self) -> str:
        """What was written."""
        if self._code is not None:
            self.closes("pre")
        self._close_link()
        return "".join(self._out).strip()

    def opens(self, tag: str, attributes: str) -> None:
        """Begin what the tag begins."""
        if self._code is not None:
            return
        if tag in _LEFT_OUT:
            self._left_out += 1
        elif tag == "pre":
            self._break("\n" if self._lists else "\n\n")
            self._code = []
            language = _LANGUAGE.search(attributes)
            self._language = language[1] if language else ""
        elif tag == "a":
            self._close_link()
            self._link = []
        elif tag in ("sup", "sub"):
            self._raised = []
        elif tag == "code":
            self._say("`")
        elif tag in ("ul", "ol"):
            self._break("\n" if self._lists else "\n\n")
            self._lists.append(1 if tag == "ol" else 0)
        elif tag == "li":
            self._break("\n")
            number = self._lists[-1] if self._lists else 0
            if number:
                self._lists[-1] = number + 1
            self._say(f"{number}. " if number else "- ", indent=len(self._lists) - 1)
            self._end = "\n\n"  # what opens here breaks no line
        elif tag == "blockquote":
            self._break("\n\n")
            self._quotes += 1
        elif tag in ("td", "th"):
            self._say("| ")
        elif tag in _LINES:
            self._break("\n")
        elif tag in _BLOCKS:
            self._break("\n" if self._lists else "\n\n")

    def closes(self, tag: str) -> None:
        """End what the tag ends."""
        if self._code is not None:
            if tag == "pre":
                self._write_code("".join(self._code))
                self._code = None
        elif tag in _LEFT_OUT:
            self._left_out = max(self._left_out - 1, 0)
        elif tag == "a":
            self._close_link()
        elif tag in ("sup", "sub"):
            self._close_raised("^" if tag == "sup" else "_")
        elif tag == "code":
            self._say("`")
        elif tag in ("ul", "ol"):
            if self._lists:
                self._lists.pop()
            self._break("\n" if self._lists else "\n\n")
        elif tag == "blockquote":
            self._break("\n\n")
            self._quotes = max(self._quotes - 1, 0)
        elif tag in ("td", "th"):
            self._say(" ")
        elif tag == "tr":
            self._say("|")
            self._break("\n")
        elif tag in _BLOCKS:
            self._break("\n" if self._lists else "\n\n")

    def words(self, data: str) -> None:
        """Text between tags."""
        if self._code is not None:
            self._code.append(data)
        elif not self._left_out:
            for waiting in (self._raised, self._link):
                if waiting is not None:
                    waiting.append(data)
                    return
            self._say(data)

    def _close_raised(self, mark: str = "") -> None:
        if self._raised is not None:
            said, self._raised = "".join(self._raised).strip(), None
            self._say((mark + (said if said.isalnum() else f"({said})")) if said and mark else said)

    def _close_link(self) -> None:
        self._close_raised()
        if self._link is not None:
            said, self._link = "".join(self._link), None
            self._say("" if _ADDRESS.fullmatch(said.strip()) else said)

    def _say(self, text: str, indent: int | None = None) -> None:
        """Words of a line, white space as one space; what begins a line is indented and quoted as it must be."""
        if self._left_out:
            return
        if self._link is not None and indent is None:
            self._link.append(text)
            return
        text = _SPACE.sub(" ", text)
        if self._end:
            text = text.lstrip(" ")
        if not text:
            return
        if not self._out or self._out[-1].endswith("\n"):
            depth = len(self._lists) if indent is None else indent
            self._out.append("> " * self._quotes + "  " * max(depth, 0))
        self._out.append(text)
        self._end = " " if text.endswith(" ") else ""

    def _break(self, wanted: str) -> None:
        """End the line, or the block, that was begun."""
        self._close_link()
        if self._end.count("\n") < len(wanted):
            if self._end == " ":
                self._out[-1] = self._out[-1].rstrip(" ")
            self._out.append(wanted[len(self._end.strip(" ")) :])
            self._end = wanted

    def _write_code(self, code: str) -> None:
        code = code.strip("\n").rstrip()
        if not code or self._left_out:
            return
        longest = max((len(ticks) for ticks in re.findall(r"`{3,}", code)), default=2)
        fence = "`" * (longest + 1)
        before = "> " * self._quotes + "  " * len(self._lists)
        lines = [f"{fence}{self._language}", *code.split("\n"), fence]
        written = "\n".join((before + line).rstrip(" ") if before else line for line in lines)
        begun = bool(self._out) and not self._out[-1].endswith("\n")  # behind the mark of a list's item
        self._out.append(written.removeprefix(before) if begun else written)
        self._end = ""
        self._break("\n" if self._lists else "\n\n")
