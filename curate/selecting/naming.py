"""Names of groups of texts: the words that a group's texts have and those of other groups have not (c-TF-IDF).

Of cooking and Python questions come `oven, butter, bake` and `python, function, list`.
"""

import polars as pl

from curate.texts.same_text import nfc

WORDS = 3
"""Words of a name; more where two groups would be called the same."""

_WORD = r"\p{L}[\p{L}\p{M}\p{N}_]+"

_PARTICLES = (
    "에서는|에서도|으로는|으로도|에게는|에게서|이라는|이라고|까지는|에는|에도|에서|에게|한테|으로|하고|까지|부터|처럼|보다|이나|"
    "이란|라는|라고|은|는|이|가|을|를|의|에|로|와|과|도|만"
)
_STEM = rf"^(\p{{Hangul}}{{2,}}?)(?:{_PARTICLES})$"

_SAYING_NOTHING = (
    "^(?:있는|있습니다|있다|있어요|있을|하는|합니다|한다|해요|하고|하지|위해|대한|대해|통해|때문에|그리고|하지만|그러나|또는|또한|어떤|"
    "어떻게|무엇|무엇인가요|이런|그런|됩니다|되는|같은|것은|것이|것을|것입니다|수도|다른|모든|가장|많은|경우|너무|정말|제가|저는|우리)$"
)


def words_of(texts: pl.Series, groups: pl.Series) -> pl.DataFrame:
    """How many texts of each group have a word: `group`, `word`, `texts`."""
    found = nfc(texts).str.to_lowercase().str.extract_all(_WORD).list.unique()
    pairs = pl.DataFrame({"group": groups, "word": found}).explode("word", empty_as_null=True).drop_nulls()
    return pairs.group_by("group", "word").agg(texts=pl.len())


def names_of(words: pl.DataFrame, sizes: pl.DataFrame) -> list[str]:
    """The name of each group in `sizes` (`group`, `size` in texts), all different; `words` as of `words_of`.

    A word weighs the share of the group's texts that have it, times log(1 + 1 / its mean share over all groups)
    (Grootendorst 2022, BERTopic, arXiv 2203.05794, with texts counted, since one that repeats a word says it once).
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    plain = without_particles(words["word"])
    counted = words.with_columns(word=plain).group_by("group", "word").agg(pl.col("texts").sum())
    nothing = pl.col("word").is_in(list(ENGLISH_STOP_WORDS)) | pl.col("word").str.contains(_SAYING_NOTHING)
    counted = counted.filter(~nothing)
    share = pl.min_horizontal(pl.col("texts") / pl.col("size"), 1.0)
    weighed = counted.join(sizes, on="group").with_columns(share=share)
    mean = pl.col("share").sum().over("word") / len(sizes)
    weighed = weighed.with_columns(weight=(pl.col("share") * (1 + 1 / mean).log()).round(9))
    best = (
        weighed.sort("weight", "word", descending=[True, False]).group_by("group").agg(pl.col("word").head(4 * WORDS))
    )
    ranked = dict(best.iter_rows())
    names: dict[str, None] = {}
    for group in sizes["group"]:
        said = _unlike(ranked.get(group, [])) or ["no words"]
        tried = [", ".join(said[:count]) for count in range(WORDS, len(said) + 1)] or [", ".join(said)]
        free = [name for name in tried if name not in names]
        names[free[0] if free else f"{tried[-1]} ({len(names) + 1})"] = None
    return list(names)


def _unlike(words: list[str]) -> list[str]:
    """The words but those that begin as one before them, or are its beginning: number, numbers; 사랑, 사랑하는."""
    kept: list[str] = []
    for word in words:
        if not any(word.startswith(other) or other.startswith(word) for other in kept):
            kept.append(word)
    return kept


def without_particles(words: pl.Series) -> pl.Series:
    """Korean words without the particle at their end, where what is left is seen alone or with another particle.

    고양이가 beside 고양이는 is 고양이, which itself stays whole, since 고양 is seen nowhere; so does 만드는.
    """
    different = words.unique()
    cut = pl.DataFrame({"word": different, "stem": different.str.extract(_STEM)}).drop_nulls()
    seen = pl.col("stem").is_in(different.implode()) | (pl.len().over("stem") > 1)
    cut = cut.filter(seen)
    return words.replace(cut["word"], cut["stem"])
