"""The walk down the trees compiled by numba, for large batches where it is installed; SageMaker's container has none.

Sixteen rows go down a tree side by side, so that the processor has something to do while one of them waits for memory.
Indices are unsigned: numba would ask of every signed one whether it counts from the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomaly_detection.forest import FlatForest

LANES = 16
BLOCK_ROWS = 32 * LANES


def add_path_lengths(forest: FlatForest, matrix: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
    """Add up each row's path lengths in the order of the trees; the first call compiles for a second or more.

    Parameters
    ----------
    forest : FlatForest
    matrix : ndarray of shape (n_rows, n_features), float32
        Without NaN; a multiple of `LANES` rows.
    sums : ndarray of shape (n_rows,), float64
        Gets the sums.
    """
    sums[:] = 0
    nodes = (array.view(np.uint32) for array in (forest.root, forest.left, forest.feature))
    _walk(*nodes, forest.threshold, forest.path_length, int(forest.levels), np.ascontiguousarray(matrix), sums)


@numba.njit(nogil=True)
def _walk(root, left, feature, threshold, path_length, levels, matrix, sums):  # type: ignore[no-untyped-def]
    node = np.empty(LANES, np.uint32)
    lanes, rows = np.uint64(LANES), np.uint64(len(matrix))
    for block in range(np.uint64(0), rows, np.uint64(BLOCK_ROWS)):
        block_end = min(block + np.uint64(BLOCK_ROWS), rows)
        for tree in range(np.uint64(len(root))):
            for first in range(block, block_end, lanes):
                for lane in range(lanes):
                    node[lane] = root[tree]
                for _ in range(levels):
                    for lane in range(lanes):
                        at = node[lane]
                        node[lane] = left[at] + np.uint32(matrix[first + lane, feature[at]] > threshold[at])
                for lane in range(lanes):
                    sums[first + lane] += path_length[node[lane]]
