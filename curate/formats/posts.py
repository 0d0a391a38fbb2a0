"""StackExchange's `Posts.xml`: each question with its best answer as one record, HTML turned into text.

`<row Id="7" PostTypeId="1" Title="Why?" Body="&lt;p&gt;So.&lt;/p&gt;" .../>` and the answers to it become
`{"question": "Why?\\n\\nSo.", "answer": "...", "question_id": 7, "answer_score": 12, ...}`.

The file is read twice: for what of each post decides (40 bytes of an answer are held), then question by question, with
the answer found again where it stood. One element that is damaged costs that element only.
"""

import re
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import orjson

from curate.formats.lines import ROWS_AT_A_TIME, Lines, Unread, joined_lines, nothing
from curate.formats.sources import BLOCK, Source
from curate.texts.markup import html_text

Column = npt.NDArray[np.int64]

QUESTION, ANSWER = "1", "2"
_ELEMENT = re.compile(rb"<[^<]*")
_PASSED_OVER = (b"<?xml", b"<posts", b"</posts", b"</row", b"<!--", b"<!DOCTYPE")
MOST_UNREAD = 4096
"""Elements that could not be read are handed on after so many."""


class _Element(NamedTuple):
    """`<row .../>` as it stands in the file: from a `<` up to the next, which no attribute can hold."""

    offset: int
    line: int
    data: bytes


class _Numbers:
    """Columns of whole numbers that grow: 8 bytes a number, not the 32 of a list."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._columns = {name: array("q") for name in names}

    def append(self, *values: int) -> None:
        """One more line."""
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def arrays(self) -> dict[str, Column]:
        """The columns, not copied."""
        return {name: np.frombuffer(column, dtype=np.int64) for name, column in self._columns.items()}


def read_posts(source: Source, max_line: int) -> Iterator[Lines]:
    """A record per question, in the order of questions; `line` and `offset` are those of the question.

    The best answer has the highest score; of equals the accepted one, then the earlier. Posts of another kind, answers
    to no question of the file, and damaged elements are unread, each with its line.
    """
    with _plain(source) as (file, broken):
        asked, answered = _Numbers(("id", "accepted", "line", "offset", "length")), _Numbers(_ANSWER)
        unread: list[Unread] = []
        for element in _elements(file, max_line, unread):
            cause = _survey(element, asked, answered)
            if cause:
                head = element.data[:200]
                unread.append(Unread(element.line, cause, element.offset, len(element.data), head))
            if len(unread) >= MOST_UNREAD:
                yield nothing(unread)
                unread = []
        if broken:
            unread.append(broken[0])
        questions, answers = asked.arrays(), answered.arrays()
        best, count = _best(questions, answers, unread)
        yield nothing(unread)
        yield from _records(file, questions, answers, best, count, max_line)


_ANSWER = ("id", "parent", "score", "line", "offset", "length")


@contextmanager
def _plain(source: Source) -> Iterator[tuple[IO[bytes], list[Unread]]]:
    """The file, of a compressed one a copy that is gone afterwards; and where that breaks off, its last line."""
    broken: list[Unread] = []
    if not source.compression:
        with source.path.open("rb") as file:
            yield file, broken
        return
    with tempfile.TemporaryFile() as copy:
        line = 1
        for block in source.blocks():
            if isinstance(block, str):
                broken.append(Unread(line, block, copy.tell()))
            else:
                line += block.count(b"\n")
                copy.write(block)
        yield copy, broken


def _elements(file: IO[bytes], max_line: int, unread: list[Unread]) -> Iterator[_Element]:
    """Every `<row`, in order; what is none, and an element over `max_line`, is told to `unread`."""
    file.seek(0)
    carry, at, line, skipping = b"", 0, 1, False
    while block := file.read(BLOCK):
        if not carry and not at and block.startswith(b"\xef\xbb\xbf"):
            block, at = block[3:], 3
        if skipping:
            start = block.find(b"<")
            passed = block if start < 0 else block[:start]
            at, line, skipping = at + len(passed), line + passed.count(b"\n"), start < 0
            block = block[len(passed) :]
        data = carry + block
        done = max(data.rfind(b"<"), 0)
        for element in _cut(data[:done], at, line):
            yield from _told(element, max_line, unread)
        line += data.count(b"\n", 0, done)
        carry, at = data[done:], at + done
        if len(carry) > max_line:
            list(_told(_Element(at, line, carry), max_line, unread))
            carry, at, line, skipping = b"", at + len(carry), line + carry.count(b"\n"), True
    for element in _cut(carry, at, line):
        yield from _told(element, max_line, unread)


def _cut(data: bytes, at: int, line: int) -> Iterator[_Element]:
    before = 0
    for found in _ELEMENT.finditer(data):
        line += data.count(b"\n", before, found.start())
        before = found.start()
        if not found[0].startswith(_PASSED_OVER):
            yield _Element(at + found.start(), line, found[0].rstrip())


def _told(element: _Element, max_line: int, unread: list[Unread]) -> Iterator[_Element]:
    size = len(element.data)
    if size > max_line:
        cause = f"over --max-line {max_line:,} bytes; raise it to read this record"
        unread.append(Unread(element.line, cause, element.offset, size, element.data[:200]))
    elif re.match(rb"<row[\s/>]", element.data):
        yield element
    else:
        tag = element.data[:60].split()[0].rstrip(b"/>").decode(errors="replace")
        cause = f"{tag}> is no <row> of StackExchange's Posts.xml; turn other XML into .jsonl or .csv"
        unread.append(Unread(element.line, cause, element.offset, size, element.data[:200]))


def _survey(element: _Element, asked: _Numbers, answered: _Numbers) -> str:
    """Note what of a post decides; what is wrong with it, or "" where nothing is."""
    try:
        post = _attributes(element.data)
        kind = post.get("PostTypeId")
        length = len(element.data)
        if kind == QUESTION:
            accepted = int(post.get("AcceptedAnswerId") or -1)
            asked.append(int(post["Id"]), accepted, element.line, element.offset, length)
        elif kind == ANSWER:
            number, parent, score = int(post["Id"]), int(post["ParentId"]), int(post.get("Score") or 0)
            answered.append(number, parent, score, element.line, element.offset, length)
        else:
            return f"a post of type {kind}, neither a question nor an answer"
    except KeyError as error:
        return f"the post has no {error.args[0]}"
    except (ValueError, OverflowError):
        return "Id, ParentId, Score or AcceptedAnswerId is no whole number"
    except ElementTree.ParseError as error:
        return f"damaged XML: {str(error).rpartition(': line')[0]}"
    return ""


def _attributes(data: bytes) -> dict[str, str]:
    if data.endswith(b">") and not data.endswith(b"/>"):  # its </row> was cut off with the next element
        data = data[:-1] + b"/>"
    return ElementTree.fromstring(data).attrib


def _best(questions: dict[str, Column], answers: dict[str, Column], unread: list[Unread]) -> tuple[Column, Column]:
    """Of each question the position of its best answer (-1: none), and how many answers it has."""
    best, count = np.full(len(questions["id"]), -1), np.zeros(len(questions["id"]), dtype=np.int64)
    if not len(answers["id"]):
        return best, count
    by_id = np.argsort(questions["id"], kind="stable")
    ids = questions["id"][by_id]
    at = np.searchsorted(ids, answers["parent"])
    known = np.append(ids, -1)[np.minimum(at, len(ids))] == answers["parent"]
    for k in np.flatnonzero(~known).tolist():
        cause = f"an answer to question {answers['parent'][k]}, which is not in the file"
        unread.append(Unread(int(answers["line"][k]), cause, int(answers["offset"][k]), int(answers["length"][k])))
    there = np.flatnonzero(known)
    question = by_id[at[there]]
    accepted = questions["accepted"][question] == answers["id"][there]
    order = np.lexsort((answers["id"][there], ~accepted, -answers["score"][there], question))
    of, first, several = np.unique(question[order], return_index=True, return_counts=True)
    best[of], count[of] = there[order][first], several
    return best, count


def _records(
    file: IO[bytes], questions: dict[str, Column], answers: dict[str, Column], best: Column, count: Column, most: int
) -> Iterator[Lines]:
    records: list[bytes] = []
    kept: list[int] = []
    unread: list[Unread] = []
    size = 0

    def post(table: dict[str, Column], k: int) -> dict[str, str]:
        file.seek(int(table["offset"][k]))
        return _attributes(file.read(int(table["length"][k])))

    for k in range(len(questions["id"])):
        answer = post(answers, int(best[k])) if best[k] >= 0 else None
        record = orjson.dumps(_joined(post(questions, k), answer, int(count[k])))
        if len(record) > most:
            line, offset = int(questions["line"][k]), int(questions["offset"][k])
            cause = f"{len(record):,} bytes long, over --max-line {most:,}; raise it to read this record"
            unread.append(Unread(line, cause, offset, int(questions["length"][k]), record[:200]))
        else:
            records.append(record)
            kept.append(k)
            size += len(record)
        if len(records) == ROWS_AT_A_TIME or size > BLOCK or k == len(questions["id"]) - 1:
            lines = joined_lines(records, questions["line"][kept], unread)
            lines.offsets = questions["offset"][kept]  # two questions may stand on one line
            yield lines
            records, kept, unread, size = [], [], [], 0


def _joined(question: dict[str, str], answer: dict[str, str] | None, answers: int) -> dict[str, Any]:
    """The record of a question; what a licence asks to be named (authors, CC BY-SA) is kept."""
    title = " ".join(question.get("Title", "").split())
    body = html_text(question.get("Body", ""))
    record: dict[str, Any] = {"question": "\n\n".join(part for part in (title, body) if part)}
    if answer is not None:
        record["answer"] = html_text(answer.get("Body", ""))
    record |= {"title": title, "tags": re.findall(r"[^<>|]+", question.get("Tags", ""))}
    record |= {"question_id": int(question["Id"]), "question_score": _whole(question.get("Score"))}
    record |= _signed("question", question)
    if answer is not None:
        accepted = question.get("AcceptedAnswerId") == answer["Id"]
        record |= {"answer_id": int(answer["Id"]), "answer_score": _whole(answer.get("Score")), "accepted": accepted}
        record |= _signed("answer", answer)
    return record | {"answer_count": answers}


def _whole(text: str | None) -> int | None:
    try:
        return int(text or "")
    except ValueError:
        return None


def _signed(side: str, post: dict[str, str]) -> dict[str, str]:
    """Who wrote a post, when and under which licence, as far as it says."""
    author = post.get("OwnerDisplayName") or post.get("OwnerUserId")
    told = {"author": author, "date": post.get("CreationDate"), "licence": post.get("ContentLicense")}
    return {f"{side}_{name}": value for name, value in told.items() if value}
