"""What a distilled classifier is worth beside its judge: rates, and agreement on rows that it never saw.

    python benchmarks/distilling.py --model http://localhost:8000/v1#NAME
    python benchmarks/distilling.py --model hf:NAME --rows raw.jsonl --limit 1000 --embedder static:NAME --cut 2.5

Without `--rows` the rows are generated, of sentences of data/sample.jsonl, so that they can be judged without
anything of yours; what a judge says of them means little. The judge's rate is answers per second of wall time, its
model opened before, replies that were known left out. The classifier's is of the model that `curate judge distill`
wrote, on one thread, from texts in memory to score and chance, on `--classified` rows drawn from the same ones. With
`--work-dir` replies are kept: kill it and go on.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from embedding import write_rows
from threadpoolctl import threadpool_limits

from curate.judging.distilled import READS, Card, open_classifier
from curate.judging.distilling import distill
from curate.judging.scored import score
from curate.models import Request, Turn, ask
from curate.pool import read_pool
from curate.working import Working


def judged(rows: Path, scored: Path, model: str, rubric: str, limit: int | None, max_chars: int, work: Path) -> float:
    """Answers per second of the judge, of those that were not known before; its scores are written."""
    work.mkdir(parents=True, exist_ok=True)
    opened = Request(turns=(Turn("user", "Hello"),), max_tokens=1)
    list(ask(model, [(0, opened)], work, Working()))
    working = Working(notice=lambda said: print(f"  {said}", flush=True))
    began = time.perf_counter()
    settings = {"max_chars": max_chars}
    done = score(
        rows, scored, model=model, rubric=rubric, settings=settings, limit=limit, work_dir=work, working=working
    )
    seconds = time.perf_counter() - began
    print(f"  {done.scored:,} of {done.rows:,} rows scored, {done.histogram}", flush=True)
    return working.spending.answered / seconds


def classified(folder: Path, scored: Path, rows: int, work: Path) -> float:
    """Rows per second of the classifier on one thread."""
    _, classifier = open_classifier(folder, work)
    pool = read_pool([scored], work)
    texts = pl.concat(list(pool.batches(READS)))
    some = texts[np.random.default_rng(5).integers(0, len(texts), rows)]
    classifier.said_of(some.head(1000))
    with threadpool_limits(1):
        began = time.perf_counter()
        for at in range(0, rows, 5000):
            classifier.said_of(some.slice(at, 5000))
        return rows / (time.perf_counter() - began)


def show(card: Card, judge_rate: float, rate: float) -> None:
    held = card.held_out
    print(f"judge       {judge_rate:10,.2f} rows/s" if judge_rate else "judge: all replies were known already")
    print(f"classifier  {rate:10,.0f} rows/s" + (f"   {rate / judge_rate:,.0f} times" if judge_rate else ""))
    print(f"learnt from {card.learnt_from:,} rows; {held.rows:,} held out, of which the judge keeps {held.kept:.0%}")
    print(f"F1 at {card.cut:g}: {held.f1:.2f} ({held.f1_low:.2f} to {held.f1_high:.2f}); ", end="")
    print(f"keeping every row: {held.f1_of_all:.2f}; cross-validated: {card.cross_validated_f1:.2f}")
    for band in held.bands:
        print(f"sure {band.sure:.2f}: {band.saved:4.0%} of the calls saved, F1 {band.f1:.2f}")


def main() -> None:
    """Judge, distill, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="vllm:NAME_OR_PATH, http://HOST:PORT/v1#NAME or hf:NAME_OR_PATH")
    parser.add_argument("--rows", type=Path, help="any input of curate; default: generated rows")
    parser.add_argument("--limit", type=int, default=1000, help="how many of them are judged")
    parser.add_argument("--rubric", default="educational-value")
    parser.add_argument("--cut", type=float)
    parser.add_argument("--median-cut", action="store_true", help="cut at the judge's own median")
    parser.add_argument("--max-chars", type=int, default=12_000, help="how much of a row the judge reads")
    parser.add_argument("--embedder", default="default")
    parser.add_argument("--classified", type=int, default=50_000)
    parser.add_argument("--work-dir", type=Path, help="where replies are kept; default: nowhere")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = given.work_dir or Path(temporary) / "work"
        rows, scored = given.rows or Path(temporary) / "rows.jsonl", Path(temporary) / "scored.jsonl"
        if not given.rows:
            write_rows(rows, given.limit)
        rate = judged(rows, scored, given.model, given.rubric, given.limit, given.max_chars, work)
        cut = given.cut
        if given.median_cut:
            said = pl.read_ndjson(scored, infer_schema_length=None)["_judge"].struct.field("score")
            cut = float(said.drop_nulls().median())  # type: ignore[arg-type]
        card = distill(scored, Path(temporary) / "model", embedder=given.embedder, cut=cut, work_dir=work)
        show(card, rate, classified(Path(temporary) / "model", scored, given.classified, work))


if __name__ == "__main__":
    main()
