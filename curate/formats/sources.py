"""What an input is: its kind, its compression, its contents' digest.

`sources_of(["raw.jsonl.gz", "-"], spool)` names two sources, the second a spooled copy of standard input.
"""

import gzip
import io
import os
import re
import shutil
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast

import orjson
import xxhash

from curate.errors import InputError, StoppedError, UsageError
from curate.whole import remove_abandoned, temporary_name

Kind = Literal["jsonl", "json", "csv", "tsv", "parquet", "arrow", "xml"]
KINDS: dict[str, Kind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".xml": "xml",
}
COMPRESSIONS = (".gz", ".zst")
BLOCK = 8 << 20
"""Bytes read at a time."""
HEAD = 8 << 20
"""Bytes from which a source's kind is told."""
CUT_OFF = "the compressed file ends too early: it was cut off; make or download it again"
DAMAGED = "the compressed file is damaged from here on ({}); make or download it again"
PIECE = 128 << 10
"""Bytes decompressed at a time: what a fault in a compressed file costs of the good bytes before it."""


@dataclass(frozen=True)
class Source:
    """One input file. `name`: as the user wrote it; `stamp`: its size and time of change when it was first seen."""

    name: str
    path: Path
    kind: Kind
    compression: str
    stamp: tuple[int, int]
    digest: str

    @property
    def has_bytes(self) -> bool:
        """Whether a record stands in the file as bytes that can be copied out."""
        return self.kind == "jsonl" and not self.compression

    def open(self) -> BinaryIO:
        """The decompressed bytes."""
        if self.compression == ".gz":
            return cast(BinaryIO, gzip.open(self.path, "rb"))
        if self.compression == ".zst":
            import zstandard

            raw = self.path.open("rb")
            reader = zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(raw, read_across_frames=True)
            return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, reader), BLOCK))
        return self.path.open("rb")

    def blocks(self) -> Iterator[bytes | str]:
        """Blocks of decompressed bytes; last, if the stream breaks off, a text that says how."""
        from zstandard import ZstdError

        with self.open() as stream:
            if not self.compression:
                while block := stream.read(BLOCK):
                    yield block
                return
            parts: list[bytes] = []
            size = 0
            broken = ""
            try:
                while part := stream.read1(PIECE):  # type: ignore[attr-defined]  # what was read before a fault is not lost
                    parts.append(part)
                    size += len(part)
                    if size >= BLOCK:
                        yield b"".join(parts)
                        parts, size = [], 0
            except EOFError:
                broken = CUT_OFF
            except (zlib.error, ZstdError, OSError) as error:
                broken = DAMAGED.format(error)
        if parts:
            yield b"".join(parts)
        if not broken and self.compression == ".zst":
            broken = _fault_of_zst(self.path)
        if broken:
            yield broken

    def unchanged(self) -> bool:
        """Whether the file still has the contents that were first seen."""
        try:
            return _stamp(self.path) == self.stamp or digest_of(self.path) == self.digest
        except OSError:
            return False

    def must_be_unchanged(self, read_again: bool = False) -> None:
        """Raises StoppedError if the file no longer has the contents that were first seen.

        Its stamp is taken for it while one run lasts; later, when stamps may have been set back, it is `read_again`.
        """
        if read_again and self.path.exists():
            unchanged = digest_of(self.path) == self.digest
        else:
            unchanged = self.unchanged()
        if not unchanged:
            remedy = f"bring back {self.path} as it was, or run `curate filter` again"
            raise StoppedError(f"{self.name} no longer has the bytes that were read", remedy)


def sources_of(inputs: Sequence[str | os.PathLike[str]], spool: Path) -> list[Source]:
    """The sources that `inputs` name, in order; `-` (standard input) and pipes are copied into `spool`.

    A folder that `datasets` saved stands for its files, and so does the name of a dataset on the hub, once loaded.
    Raises InputError for a missing file, another folder, an unreadable file, or where all are empty.
    """
    if not inputs:
        raise UsageError("no input was named", "name a file, as in: curate filter raw.jsonl (or - for standard input)")
    files = [(name, path) for given in inputs for name, path in files_of(str(given))]
    found = [_source(name, path, spool, may_be_empty=len(files) > 1) for name, path in files]
    if not any(source.stamp[0] for source in found):
        raise InputError(f"all {len(found)} inputs are empty", "check how they were made")
    return found


def files_of(name: str) -> list[tuple[str, Path]]:
    """The files that an input stands for, each with the name to call it by: itself, or those of a dataset."""
    path = Path(name)
    for listing, what in (("dataset_dict.json", "splits"), ("state.json", "_data_files")):
        if (path / listing).is_file():
            try:
                listed = orjson.loads((path / listing).read_bytes())[what]
                parts = [part if isinstance(part, str) else str(part["filename"]) for part in listed]
            except (ValueError, KeyError, TypeError):
                raise InputError(f"{path / listing} does not list what the dataset has", "save it again") from None
            return [file for part in parts for file in files_of(f"{name}/{part}")]
    if re.fullmatch(HUB_NAME, name) and not path.exists() and kind_of(name)[0] is None:
        return _from_hub(name)
    return [(name, path)]


HUB_NAME = r"[\w-][\w.-]*/[\w.-]+(:\w+)?"
"""OWNER/NAME or OWNER/NAME:SPLIT."""


def _from_hub(name: str) -> list[tuple[str, Path]]:
    """The files of a dataset on the hub, loaded into the cache of `datasets`."""
    import datasets

    repository, _, split = name.partition(":")
    try:
        loaded = datasets.load_dataset(repository)
    except (OSError, ValueError, RuntimeError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"{name} is no file, and can't be loaded from the hub: {said}", _similar(Path(name))) from None
    if split and split not in loaded:
        raise InputError(f"{repository} has no split {split}", f"known: {', '.join(map(str, loaded))}")
    wanted = [split] if split else [str(known) for known in loaded]
    return [(f"{repository}:{s}", Path(file["filename"])) for s in wanted for file in loaded[s].cache_files]


def _source(name: str, path: Path, spool: Path, may_be_empty: bool) -> Source:
    if name == "-":
        if sys.stdin.isatty():
            raise UsageError(
                "nothing comes in on standard input", "pipe rows in, as in: cat raw.jsonl | curate filter -"
            )
        path = _spooled(sys.stdin.buffer, spool)
    elif path.is_fifo():  # such as <(zcat raw.jsonl.gz): it gives its bytes once
        with path.open("rb") as stream:
            path = _spooled(stream, spool)
    if path.is_dir():
        found = sorted(str(p) for p in path.iterdir() if kind_of(p.name)[0])
        try_this = f"name its files, as in: curate filter {' '.join(found[:3])}" if found else "it holds no data file"
        raise InputError(f"{name} is a folder", try_this)
    try:
        stamp = _stamp(path)
        with path.open("rb") as file:
            head = file.read(4096)
        if not head and not may_be_empty:
            raise InputError(f"{name} is empty", "check how it was made")
        digest = digest_of(path)
    except FileNotFoundError:
        raise InputError(f"{name} does not exist", _similar(path)) from None
    except OSError as error:
        raise InputError(f"{name} can't be read: {error.strerror}", "check its permissions") from None
    if not head:  # one shard of many
        return Source(name, path.absolute(), "jsonl", "", stamp, digest)
    kind, compression = kind_of(path.name)
    if head[:2] == b"\x1f\x8b":
        compression = ".gz"
    elif head[:4] == b"\x28\xb5\x2f\xfd":
        compression = ".zst"
    elif compression:
        raise InputError(f"{name} ends in {compression} but is not compressed so", "rename it")
    elif head[:4] == b"PAR1":
        kind = "parquet"
    elif head[:6] == b"ARROW1":
        kind = "arrow"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{name} is UTF-16 text", f"turn it into UTF-8: iconv -f UTF-16 -t UTF-8 {name} > utf8.jsonl")
    source = Source(name, path.absolute(), kind or "jsonl", compression, stamp, digest)
    return Source(name, source.path, _sniff(source), compression, stamp, digest)


def kind_of(name: str) -> tuple[Kind | None, str]:
    """Kind and compression that a file's name says: ("jsonl", ".gz") for `a.jsonl.gz`; (None, "") for `a`."""
    path = Path(name.lower())
    compression = path.suffix if path.suffix in COMPRESSIONS else ""
    return KINDS.get(Path(path.stem if compression else path).suffix), compression


def _sniff(source: Source) -> Kind:
    """A JSON array in a file of another name is still a JSON array; `.json` that holds lines is still lines."""
    if source.kind not in ("json", "jsonl"):
        return source.kind
    from curate.records import UnreadableRecord, parse

    head = _head(source).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith((b"<?xml", b"<posts")):
        return "xml"
    if head[:1] == b"[":
        try:  # a file of lines whose first is a list is not an array of records
            parse(head.partition(b"\n")[0])
        except UnreadableRecord:
            return "json"
        return "jsonl" if head.count(b"\n") > 1 and source.kind == "jsonl" else "json"
    first = head.partition(b"\n")[0].rstrip()
    if source.kind == "jsonl" or not first.endswith(b"}"):
        return source.kind
    try:
        parse(first)
    except UnreadableRecord as error:
        return "json" if "extra data" in str(error) else "jsonl"
    return "jsonl"


def _head(source: Source) -> bytes:
    """The first bytes, or as much of it as can be decompressed: what is wrong with the rest is said in reading it."""
    from zstandard import ZstdError

    parts: list[bytes] = []
    with suppress(OSError, EOFError, zlib.error, ZstdError), source.open() as stream:
        while sum(map(len, parts)) < HEAD and (part := stream.read1(PIECE)):  # type: ignore[attr-defined]
            parts.append(part)
    return b"".join(parts)


def _fault_of_zst(path: Path) -> str:
    """What is wrong with the end of a .zst, of which its stream reader says nothing; "": nothing is.

    Goes from block header to block header (RFC 8878), so nothing is decompressed.
    """
    import zstandard

    size = path.stat().st_size
    at = 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(18)
            if head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:  # a frame to be skipped
                at += 8 + int.from_bytes(head[4:8], "little")
                continue
            try:
                frame = zstandard.get_frame_parameters(head)
            except zstandard.ZstdError:
                return CUT_OFF if b"\x28\xb5\x2f\xfd".startswith(head[:4]) else DAMAGED.format("no frame follows")
            at += zstandard.frame_header_size(head)
            last = 0
            while not last:
                file.seek(at)
                block = file.read(3)
                if len(block) < 3:
                    return CUT_OFF
                bits = int.from_bytes(block, "little")
                last, repeats = bits & 1, (bits >> 1) & 3 == 1
                at += 3 + (1 if repeats else bits >> 3)
            at += 4 if frame.has_checksum else 0
    return CUT_OFF if at > size else ""


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def digest_of(path: Path) -> str:
    """xxh3-128 of a file, as 32 hex digits."""
    digest = xxhash.xxh3_128()
    block = bytearray(BLOCK)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(block):
            digest.update(memoryview(block)[:size])
    return digest.hexdigest()


def _spooled(stream: BinaryIO, spool: Path) -> Path:
    spool.mkdir(parents=True, exist_ok=True)
    remove_abandoned(spool)
    temporary = temporary_name(spool / "stdin")
    try:
        with temporary.open("wb") as file:
            shutil.copyfileobj(stream, file, BLOCK)
        return temporary.replace(spool / f"stdin-{digest_of(temporary)}")
    finally:
        temporary.unlink(missing_ok=True)


def _similar(path: Path) -> str:
    from difflib import get_close_matches

    there = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    close = get_close_matches(path.name, there, n=1)
    return f"did you mean {path.parent / close[0]}?" if close else f"the current folder is {Path.cwd()}"
