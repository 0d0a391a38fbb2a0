"""Vectors on disk: a row's own, computed once, whatever happens meanwhile."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from curate.embedding import embedded, embedder, stored, texts_of
from curate.errors import InterruptedRun, StoppedError
from curate.pool import Pool, read_pool
from curate.working import Working

ROWS = 5000


class Counting:
    """Vectors of two numbers of a text, and a list of all texts that it was ever given."""

    name = "st:counting"
    fingerprint = "counting"

    def __init__(self, costly: bool = True, dimensions: int = 4) -> None:
        self.costly, self.dimensions = costly, dimensions
        self.given: list[str] = []

    def embed(self, texts: pl.Series | Sequence[str]) -> Any:
        self.given += list(texts)
        out = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        out[:, 0], out[:, 1] = [len(text) for text in texts], [sum(map(ord, text)) % 1000 for text in texts]
        return out

    def doubt(self, texts: pl.Series) -> str:
        return "counting knows no Korean" if texts.str.contains("가").any() else ""


def wanted(texts: list[str]) -> Any:
    return Counting().embed(texts).astype(np.float16)


def pool_of(records: list[Any], work: str = "work") -> Pool:
    rows = [record if isinstance(record, dict) else {"text": record} for record in records]
    Path("raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_pool(["raw.jsonl"], Path(work))


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little ones."""
    monkeypatch.setattr(stored, "SPAN", 64)
    monkeypatch.setattr(stored, "AT_ONCE", 8)


def many_texts(n: int = ROWS) -> list[str]:
    chance = random.Random(2)
    words = ["a", "prime", "number", "소수", "수도", "def", "return", "x", "the", "of"]
    return [f"{k} " + " ".join(chance.choices(words, k=chance.randrange(40))) for k in range(n)]


def test_texts_are_prompt_and_response_or_one_of_them() -> None:
    rows = pl.DataFrame({"prompt": ["Q", "", "Q", ""], "response": ["A", "A", None, ""]})
    assert texts_of(rows, "both").to_list() == ["Q\n\nA", "A", "Q", ""]
    assert texts_of(rows, "prompt").to_list() == ["Q", "", "Q", ""]
    assert texts_of(rows, "response").to_list() == ["A", "A", "", ""]


def test_each_row_has_the_vector_of_its_text(here: Path) -> None:
    records = [{"instruction": f"Q {k}", "output": f"A {k}" * (k % 5)} for k in range(300)]
    pool = pool_of(records)
    for of, texts in (
        ("both", [f"Q {k}\n\n{r['output']}".strip() for k, r in enumerate(records)]),
        ("response", [r["output"] for r in records]),
    ):
        model = embedder("default", pool, of)  # type: ignore[arg-type]
        found = embedded(pool, model, of)  # type: ignore[arg-type]
        assert (found.shape, found.dtype, isinstance(found, np.memmap)) == ((300, 256), np.float16, True)
        assert (found == model.embed(texts).astype(np.float16)).all()
        with pytest.raises(ValueError, match="read-only"):
            found[0] = 0


@pytest.mark.parametrize("costly", [False, True])
def test_order_spans_and_threads_make_no_difference(here: Path, spans: None, costly: bool) -> None:
    texts = many_texts(500)
    pool = pool_of(texts)
    assert (embedded(pool, Counting(costly), working=Working(threads=4)) == wanted(texts)).all()


def test_rows_that_are_not_asked_for_cost_nothing_and_come_later(here: Path, spans: None) -> None:
    texts = many_texts(300)
    pool, some = pool_of(texts), np.arange(300) % 7 == 3
    for costly in (False, True):
        model = Counting(costly)
        model.fingerprint = f"counting {costly}"
        found = embedded(pool, model, rows=some)
        assert (found == wanted(texts) * some[:, None]).all()
        asked = [text for text in model.given if text]
        assert sorted(asked) == sorted(text for text, one in zip(texts, some, strict=True) if one)
        assert (embedded(pool, model) == wanted(texts)).all()
        assert sorted(text for text in model.given if text) == sorted(texts)


def test_a_costly_text_is_embedded_once_for_all_pools(here: Path, spans: None) -> None:
    model = Counting()
    texts = ["same", "other", "same", "longer than all", ""] * 20
    assert (embedded(pool_of(texts), model) == wanted(texts)).all()
    assert model.given == ["longer than all", "other", "same", ""]
    more = [*texts[::-1], "new"]
    assert (embedded(pool_of(more), model) == wanted(more)).all()
    assert model.given[4:] == ["new"]
    again = Counting()
    assert (embedded(pool_of(more), again) == wanted(more)).all()
    assert again.given == []


def test_another_model_or_side_has_vectors_of_its_own(here: Path) -> None:
    pool = pool_of([{"prompt": "Q", "chosen": "right", "rejected": "wrong one"}])
    model = Counting()
    chosen, rejected = embedded(pool, model), embedded(pool.seen_from("rejected"), model)
    assert (chosen[0, 0], rejected[0, 0]) == (len("Q\n\nright"), len("Q\n\nwrong one"))
    other = Counting()
    other.fingerprint = "another"
    embedded(pool, other)
    assert other.given


def test_progress_is_told_and_what_a_person_should_know_once(here: Path, spans: None) -> None:
    told: list[Any] = []
    working = Working(report=lambda *args: told.append(args), notice=told.append)
    embedded(pool_of([*many_texts(200), "가나다"]), Counting(), working=working)
    reports = [one for one in told if isinstance(one, tuple)]
    assert {(stage, total) for stage, _, total in reports} == {("embedding with st:counting", 201)}
    done = [one[1] for one in reports]
    assert done == sorted(done) and (done[0], done[-1]) == (0, 201)
    assert len(done) > 5
    assert [one for one in told if isinstance(one, str)] == ["counting knows no Korean"]


@pytest.mark.parametrize("costly", [False, True])
def test_stopped_by_a_person_it_goes_on_where_it_was(here: Path, spans: None, costly: bool) -> None:
    texts = many_texts(1000)
    pool, model = pool_of(texts), Counting(costly)
    stop = threading.Event()

    def stopping(stage: str, done: int, total: int) -> None:
        if done > 400:
            stop.set()

    with pytest.raises(InterruptedRun):
        embedded(pool, model, working=Working(threads=1, report=stopping, stop=stop))
    first = [text for text in model.given if text]
    assert 400 < len(first) < 800
    assert (embedded(pool, model) == wanted(texts)).all()
    repeated = len([text for text in model.given if text]) - len(texts)
    assert repeated <= 128  # what was in work


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from curate.embedding import embedded, stored
from curate.pool import read_pool
from curate.working import Working
stored.SPAN = 64
class Model:
    name, fingerprint, dimensions, costly = "st:slow", "slow", 4, sys.argv[1] == "costly"
    def embed(self, texts):
        time.sleep(0.002)
        return np.array([[len(text), sum(map(ord, text)) % 1000, 0, 0] for text in texts], dtype=np.float32)
    def doubt(self, texts):
        return ""
def report(stage, done, total):
    told.append(done)
    if done:
        Path("begun").touch()
told = []
embedded(read_pool(["raw.jsonl"], Path("work")), Model(), working=Working(report=report))
print(told[-1])
"""


@pytest.mark.parametrize("kind", ["cheap", "costly"])
def test_killed_at_any_moment_it_goes_on(here: Path, kind: str) -> None:
    texts = many_texts()
    pool = pool_of(texts)
    command = [sys.executable, "-c", KILLED, kind]
    chance = random.Random(3)
    for _ in range(2):
        (here / "begun").unlink(missing_ok=True)
        process = subprocess.Popen(command)
        while not (here / "begun").exists():
            assert process.poll() is None
            time.sleep(0.002)
        time.sleep(chance.random() * 0.03)
        process.kill()
        assert process.wait(60) == -signal.SIGKILL
    last = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert 0 < int(last) < len(texts)  # what the killed had done was not done again
    model = Counting(kind == "costly")
    model.fingerprint, model.name = "slow", "st:slow"
    assert (embedded(pool, model) == wanted(texts)).all()
    assert [text for text in model.given if text] == []


def test_a_second_process_waits_for_the_first(here: Path) -> None:
    texts = many_texts(50)
    pool, told = pool_of(texts), list[str]()
    begun, go = threading.Event(), threading.Event()

    class Slow(Counting):
        def embed(self, texts: pl.Series | Sequence[str]) -> Any:
            begun.set()
            go.wait(30)
            return super().embed(texts)

    first, second = Slow(), Counting()
    thread = threading.Thread(target=embedded, args=(pool, first))
    thread.start()
    begun.wait(30)

    def notice(text: str) -> None:
        told.append(text)
        go.set()

    assert (embedded(pool, second, working=Working(notice=notice)) == wanted(texts)).all()
    thread.join()
    assert told == ["another process embeds the same rows: waiting for it"]
    assert second.given == []


def test_a_store_of_texts_that_was_cut_short_is_said(here: Path) -> None:
    texts = many_texts(400)
    embedded(pool_of(texts), Counting())
    (kept,) = (here / "work" / "embeddings").glob("*.sqlite")
    for file in kept.parent.glob(f"{kept.name}-*"):
        file.unlink()
    kept.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
    more = pool_of([*texts, "new"])
    with pytest.raises(StoppedError, match=r"can't be used: .*\n.*delete the file: what it held is computed anew"):
        embedded(more, Counting())
    kept.unlink()
    assert (embedded(more, Counting()) == wanted([*texts, "new"])).all()


@pytest.fixture
def small_disk(here: Path) -> Iterator[Callable[[str], None]]:
    """A file system at `work`, whose size can be changed."""

    def mount(*options: str) -> int:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "none", "work"]
        return subprocess.run(command, capture_output=True, check=False).returncode

    (here / "work").mkdir()
    if os.geteuid() or mount("size=4m"):
        pytest.skip("mounting a file system is not allowed here")
    yield lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", "work"], check=True) and None
    subprocess.run(["umount", "--lazy", "work"], check=True)


@pytest.mark.parametrize("costly", [False, True])
def test_a_full_disk_is_an_error_and_after_making_room_it_goes_on(
    here: Path, spans: None, small_disk: Callable[[str], None], costly: bool
) -> None:
    texts = many_texts(6000)
    pool, model = pool_of(texts), Counting(costly, 512)
    with pytest.raises((OSError, StoppedError), match=r"No space left|disk is full|disk I/O"):
        embedded(pool, model)
    small_disk("40m")
    assert (embedded(pool, model)[:, :4] == wanted(texts)).all()
    assert len(model.given) < len(texts) + 200
    shutil.rmtree(here / "work" / "pools")
