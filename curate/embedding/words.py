"""The default embedder: words, letters and pairs of letters, weighed by rarity, in 256 dimensions.

Needs no download and no torch. "Name a prime." and "name a prime number" are near; "소수를 하나" and "소수 하나만" too;
"What is the capital of France?" and "Which city governs the French?" are not: it sees words, not what they mean.

Each bucket of features (`kernels.features`) has a vector: its loadings in a truncated SVD of TF-IDF rows (latent
semantic analysis, Deerwester et al. 1990), fitted on a seeded sample, plus a little of a random direction of its own.
The SVD brings words together that occur together; the random part (Achlioptas 2003) keeps apart what the SVD, which
sees few rare words, would merge, so that a copy stays nearer than a neighbour.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

from curate.embedding.vectors import COLUMNS, Of, Vectors, texts_of, unit
from curate.errors import UsageError
from curate.kernels.shingles import code_point_classes
from curate.pool import Pool
from curate.seeded import shuffled_rank
from curate.texts.buffers import buffers
from curate.texts.same_text import nfc
from curate.whole import whole_file

VERSION = 1
"""Raised when the same text of the same pool comes to have another vector."""

DIMENSIONS = 256

SAMPLE, HEAD, SEED = 10_000, 2000, 0
"""Rows of the pool that the SVD sees, and how many characters of each."""

RANDOM = 0.3
"""Length of a bucket's random direction; its loadings have one of 0.06 on average, but add up where buckets occur
together. Without it 7 % of real rows have another at a cosine of 0.9, with it 3 %, and more copies are nearest."""

LEAST = 0.01
"""Weight of a bucket that every row has: rows that are all the same still are the same as each other."""


class Words:
    """The default embedder, fitted on a pool or read from a file."""

    name = "default"
    costly = False
    dimensions = DIMENSIONS

    def __init__(self, path: Path, fingerprint: str, sampled: tuple[Pool, Of] | None = None) -> None:
        self.fingerprint = fingerprint
        self._path, self._sampled = path, sampled
        self._table: Vectors | None = None
        self._opening = threading.Lock()

    @classmethod
    def of_pool(cls, pool: Pool, of: Of) -> "Words":
        """Fitted on a sample of the pool, at the first use ever; kept in the pool's folder."""
        path = pool.path / "embeddings" / f"default-{VERSION}-{of}-{pool.side}.npz"
        return cls(path, f"default-{VERSION}-{of}-{pool.side}-{pool.fingerprint}", (pool, of))

    @classmethod
    def fitted_on(cls, pool: Pool, of: Of, rows: npt.NDArray[np.bool_], path: Path) -> "Words":
        """Fitted on a sample of the rows that the mask names, and written to `path` as by `save`."""
        _write(fitted(_sample(pool, of, np.flatnonzero(rows))), path)
        return cls.of_file(path)

    @classmethod
    def of_file(cls, path: Path) -> "Words":
        """What `save` wrote. Raises UsageError where there is none, or one of another version."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
                found = int(saved["version"])
        except (OSError, ValueError, KeyError, BadZipFile) as error:
            raise UsageError(
                f"{path} holds no saved default embedder: {error}", "name the file it was saved to"
            ) from None
        if found != VERSION:
            raise UsageError(f"{path} was saved by another version of the embedder", "make it anew")
        return cls(path, f"default-{VERSION}-{xxhash.xxh3_128_hexdigest(path.read_bytes())}")

    def save(self, path: Path) -> None:
        """Write it to a file of 32 MB, plain arrays, to be named `default:FILE` for any pool."""
        _write(self._opened(), path)

    def embed(self, texts: pl.Series | Sequence[str]) -> Vectors:
        """[n, 256]; a text without a letter or digit is the zero vector."""
        from curate.kernels.features import weighted_sums

        table = self._opened()
        data, offsets = buffers(_plain(texts))
        out = np.empty((len(offsets) - 1, DIMENSIONS), dtype=np.float32)
        weighted_sums(data, offsets, code_point_classes(), table, out)
        return unit(out)

    def doubt(self, texts: pl.Series) -> str:
        """Nothing: it reads every script alike."""
        return ""

    def _opened(self) -> Vectors:
        with self._opening:
            if self._table is None:
                if self._sampled and not self._path.exists():
                    pool, of = self._sampled
                    self._path.parent.mkdir(exist_ok=True)
                    _write(fitted(_sample(pool, of, np.arange(len(pool)))), self._path)
                with np.load(self._path, allow_pickle=False) as saved:  # every run reads the same float16
                    self._table = saved["table"].astype(np.float32)
            return self._table


def _write(table: Vectors, path: Path) -> None:
    with whole_file(path) as file:
        np.savez(file, version=np.int64(VERSION), table=table.astype(np.float16))


def _plain(texts: pl.Series | Sequence[str]) -> pl.Series:
    """Texts as the kernel reads them."""
    return nfc(pl.Series(texts, dtype=pl.String).fill_null("")).str.to_lowercase()


def _sample(pool: Pool, of: Of, rows: npt.NDArray[np.int64]) -> list[pl.Series]:
    """The heads of up to 10,000 of the rows, the same every time."""
    if len(rows) > SAMPLE:
        rows = np.sort(rows[np.argpartition(shuffled_rank(rows, SEED), SAMPLE)[:SAMPLE]])
    return [_plain(texts_of(frame, of).str.head(HEAD)) for frame in pool.texts(rows, COLUMNS[of])]


def fitted(sample: Sequence[pl.Series]) -> Vectors:
    """The table f32[2^16, 256] of the buckets' vectors, their weights in them; on one thread, for the same bits."""
    from scipy.sparse import vstack
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    counted = vstack([_weights(texts) for texts in sample], format="csr")
    n, buckets = counted.shape
    rows_with = np.bincount(counted.indices, minlength=buckets)
    rarity = np.maximum(np.log((2 + n) / (1 + rows_with)), LEAST).astype(np.float32)
    counted.data *= rarity[counted.indices]
    lengths = np.sqrt(np.add.reduceat(counted.data**2, counted.indptr[:-1])) if counted.nnz else np.ones(n)
    counted.data /= np.repeat(lengths.astype(np.float32), np.diff(counted.indptr))
    seen = np.flatnonzero(rows_with)
    components = min(DIMENSIONS, n - 1, len(seen) - 1)
    loadings = np.zeros((0, len(seen)), dtype=np.float32)
    if components > 0:
        with threadpool_limits(1):
            _, _, loadings = randomized_svd(counted[:, seen], components, n_iter=1, random_state=SEED)
    table = _directions(buckets)
    for column, loading in enumerate(loadings):
        table[seen, column] += loading
    table *= rarity[:, None]
    return table


def _directions(buckets: int) -> Vectors:
    """A direction of length RANDOM for each bucket, of signs that no library's chance decides."""
    words = shuffled_rank(np.arange(buckets * DIMENSIONS // 64), SEED)
    bits = np.unpackbits(words.astype("<u8").view(np.uint8)).reshape(buckets, DIMENSIONS)
    step = np.float32(RANDOM / np.sqrt(DIMENSIONS))
    signed: Vectors = np.where(bits, step, -step)
    return signed


def on_a_plane(texts: pl.Series) -> Vectors:
    """Where texts lie on a map, f32[n, 2]: the two main directions of a small LSA of these texts alone, for people.

    Much cheaper than an embedder that is fitted on a pool, and of no other use.
    """
    from scipy.sparse.linalg import svds  # scikit-learn's would take a second to load, in every run
    from threadpoolctl import threadpool_limits

    counted = _weights(_plain(texts.str.head(HEAD)), every=True)
    rows_with = np.bincount(counted.indices, minlength=counted.shape[1])
    counted.data *= np.log((2 + len(texts)) / (1 + rows_with)).astype(np.float32)[counted.indices]
    lengths = np.sqrt(np.asarray(counted.multiply(counted).sum(axis=1)).ravel())
    counted.data /= np.repeat(np.where(lengths > 0, lengths, 1).astype(np.float32), np.diff(counted.indptr))
    seen = np.flatnonzero(rows_with)
    components = min(8, len(texts) - 1, len(seen) - 1)
    place: Vectors = np.zeros((len(texts), 2), dtype=np.float32)
    if components > 1:
        with threadpool_limits(1):
            start = np.ones(min(len(texts), len(seen)), dtype=np.float32)
            left, strength, _ = svds(counted[:, seen], components, v0=start)
            centred = left * strength
            centred -= centred.mean(axis=0)
            left, strength, _ = np.linalg.svd(centred, full_matrices=False)
        place = (left * strength)[:, :2].astype(np.float32)
    return place


def _weights(texts: pl.Series, every: bool = False) -> Any:
    """TF of texts as a sparse matrix f32[n, 2^16]; rows that have nothing are left out, unless `every` is wanted."""
    from scipy.sparse import csr_matrix

    from curate.kernels.features import BUCKET_BITS, MOST_FEATURES, feature_weights

    data, offsets = buffers(texts)
    most = MOST_FEATURES * int(offsets[-1] - offsets[0] + len(texts))
    found, weights = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.float32)
    bounds = np.empty(len(texts) + 1, dtype=np.int64)
    size = feature_weights(data, offsets, code_point_classes(), found, weights, bounds)
    bounds = bounds if every else np.unique(bounds)
    return csr_matrix((weights[:size].copy(), found[:size].copy(), bounds), shape=(len(bounds) - 1, 1 << BUCKET_BITS))
