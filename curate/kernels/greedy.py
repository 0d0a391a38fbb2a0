"""What a row adds to a choice: how near the others come to it, how much it tells of its labels.

With E = [4, 0] and a row that tells 1 of each of two labels, the gain is 5^0.8 - 4^0.8 + 1^0.8.
"""

from curate.kernels.compiling import kernel


@kernel(fastmath=True)
def bring_nearer(vectors, chosen, start, stop, cosine):
    """Raise `cosine` f32[n] of the rows [start, stop) to that with the row `chosen`, where that is higher."""
    for i in range(start, stop):
        total = vectors[i, 0] * vectors[chosen, 0]
        for k in range(1, vectors.shape[1]):
            total += vectors[i, k] * vectors[chosen, k]
        if total > cosine[i]:
            cosine[i] = total


@kernel
def information(rows, starts, labels, amounts, told, power, gains):
    """Fill `gains` f64[r]: by how much each of `rows` raises the sum over labels of `told ** power`.

    Row i tells `amounts[starts[i] : starts[i + 1]]` f64 of the labels `labels[...]`; `told` f64[l]: what was.
    """
    for k in range(len(rows)):
        gain = 0.0
        for at in range(starts[rows[k]], starts[rows[k] + 1]):
            before = told[labels[at]]
            gain += (before + amounts[at]) ** power - before**power
        gains[k] = gain
