"""Vectors of texts, for all that compares meanings: `embedded(pool, embedder("default", pool))` is float16 [rows, 256].

`embedder` turns a name into an `Embedder`; `words` is the default, `sentences` and `static` are models, `stored`
keeps vectors, `of_rows` gives them to filters.
"""

from curate.embedding.embedder import Embedder, embedder
from curate.embedding.of_rows import check_embedder, is_model, vectors_of
from curate.embedding.stored import embedded
from curate.embedding.vectors import Of, texts_of

__all__ = ["Embedder", "Of", "check_embedder", "embedded", "embedder", "is_model", "texts_of", "vectors_of"]
