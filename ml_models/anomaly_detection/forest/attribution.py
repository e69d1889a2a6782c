"""Computes each feature's contribution to a row's score: how many splits sooner it isolates the row."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from anomaly_detection.forest.trees import Walk, blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomaly_detection.forest.trees import Trees


class Attribution:
    """Computes attributions; see `FlatForest.attributions`.

    Parameters
    ----------
    trees : Trees
    block_rows : int
        Number of rows that are processed together.
    """

    def __init__(self, trees: Trees, block_rows: int) -> None:
        self._trees = trees
        self._block_rows = block_rows

    def of(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each row's attributions, shape (n_rows, n_features), float64."""
        falls = np.empty((len(matrix), int(self._trees.n_features)), np.float64)
        for rows in blocks(len(matrix), self._block_rows):
            self._credit(matrix[rows], falls[rows])
        falls /= len(self._trees.root)
        return falls

    @cached_property
    def expected(self) -> NDArray[np.float64]:
        """Return each node's expected path length: the mean over the training rows that reached it."""
        trees = self._trees
        expected = trees.path_length.copy()
        is_split = trees.left != np.arange(len(trees.left))
        # Children follow their parents, so the last level comes first.
        depth = self._depth()
        for level in range(int(trees.levels) - 1, -1, -1):
            nodes = np.flatnonzero(is_split & (depth == level))
            left = trees.left[nodes]
            n_left, n_right = trees.n_samples[left], trees.n_samples[left + 1]
            weighed = n_left * expected[left] + n_right * expected[left + 1]
            expected[nodes] = weighed / (n_left + n_right)
        return expected

    def _credit(self, matrix: NDArray[np.float32], falls: NDArray[np.float64]) -> None:
        walk = Walk(self._trees, matrix)
        width = falls.shape[1]
        cells = np.zeros(walk.rows * width, np.float64)
        for _ in range(int(self._trees.levels)):
            before = walk.node
            walk.go_down()
            place = self._trees.feature[before] + np.arange(walk.rows) * width
            fall = self.expected[before] - self.expected[walk.node]
            cells += np.bincount(place.ravel(), fall.ravel(), minlength=cells.size)
        falls[:] = cells.reshape(-1, width)

    def _depth(self) -> NDArray[np.int32]:
        trees = self._trees
        depth = np.zeros(len(trees.left), np.int32)
        nodes = trees.root
        for level in range(1, int(trees.levels) + 1):
            splits = nodes[trees.left[nodes] != nodes]
            nodes = np.concatenate([trees.left[splits], trees.left[splits] + 1])
            depth[nodes] = level
        return depth
