"""Vectors of texts, for all that compares meanings: `embedded(pool, embedder("default", pool))` is float16 [rows, 256].

`embedder` turns a name into an `Embedder`; `words` is the default, `sentences` and `static` are models, `stored`
keeps vectors.
"""

from curate.embedding.embedder import Embedder, Of, embedder, texts_of
from curate.embedding.stored import embedded

__all__ = ["Embedder", "Of", "embedded", "embedder", "texts_of"]
