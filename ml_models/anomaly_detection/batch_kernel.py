"""Every split of the trees compiled by numba, for large batches where it is installed; SageMaker's container has none.

What `every_split` says in numpy's calls over thousands of rows, said over a few hundred that stay in the first-level
cache: compiled, a call costs nothing. Each step is a loop that LLVM turns into instructions of 16 or 32 rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from anomaly_detection.every_split import MOST_LEAVES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomaly_detection.every_split import EverySplit

BLOCK_ROWS = 512


def add_path_lengths(every: EverySplit, matrix: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
    """Add up each row's path lengths in the order of the trees; the first call compiles for seconds.

    Parameters
    ----------
    every : EverySplit
    matrix : ndarray of shape (n_rows, n_features), float32
        Without NaN.
    sums : ndarray of shape (n_rows,), float64
        Gets the sums.
    """
    sums[:] = 0
    steps = [step for tree in every.trees for step in tree.steps]
    places = np.array([(step.feature, step.left, step.right, step.result) for step in steps], np.uint32).reshape(-1, 4)
    thresholds = np.array([step.threshold for step in steps], np.float32)
    ends = np.cumsum([len(tree.steps) for tree in every.trees]).astype(np.uint32)
    tops = np.array([tree.top for tree in every.trees], np.uint32)
    # As many places for each tree, so that a leaf's number finds its length.
    lengths = np.zeros((len(tops), MOST_LEAVES), np.float64)
    for row, tree in zip(lengths, every.trees, strict=True):
        row[: len(tree.path_lengths)] = tree.path_lengths
    found = np.empty((every.arrays + MOST_LEAVES, BLOCK_ROWS), np.uint8)
    found[every.arrays :] = np.arange(MOST_LEAVES)[:, None]
    _blocks(places, thresholds, ends, tops, lengths, found, np.ascontiguousarray(matrix), sums)


@numba.njit(nogil=True)
def _blocks(places, thresholds, ends, tops, lengths, found, matrix, sums):  # type: ignore[no-untyped-def]
    columns = np.zeros((matrix.shape[1], BLOCK_ROWS), np.float32)
    for first in range(0, len(matrix), BLOCK_ROWS):
        rows = min(BLOCK_ROWS, len(matrix) - first)
        for row in range(rows):
            for feature in range(matrix.shape[1]):
                columns[feature, row] = matrix[first + row, feature]
        step = 0
        for tree in range(len(tops)):
            while step < ends[tree]:
                feature, left, right, result = places[step]
                _select(columns[feature], thresholds[step], found[left], found[right], found[result])
                step += 1
            top = found[tops[tree]]
            for row in range(rows):
                sums[first + row] += lengths[tree, top[row]]


@numba.njit(nogil=True)
def _select(values, threshold, left, right, result):  # type: ignore[no-untyped-def]
    for row in range(values.shape[0]):
        # Both are read before one is taken: what is read only sometimes cannot be read 32 at a time.
        one, other = left[row], right[row]
        result[row] = other if values[row] > threshold else one
