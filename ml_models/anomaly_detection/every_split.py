"""Every split of a tree on a whole block of rows, for large requests.

A row needs eight of a tree's splits, and looking up which ones costs numpy more than computing all of them: comparing
and selecting over a block takes many rows with one instruction of the processor. From the leaves upwards each split
selects, row by row, the leaf that its left or its right side has found; leaves are numbers of one byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomaly_detection.forest import FlatForest

# A byte tells as many leaves apart.
MOST_LEAVES = 256
# With many more splits a tree, following the paths would be as fast.
USUAL_SPLITS = 80
# With fewer rows numpy's calls, a fixed number for each tree, cost more than the look-ups.
LEAST_ROWS = 4000
# Their columns stay in a core's third-level cache, what is computed from them in the second.
BLOCK_ROWS = 2**16


class Step(NamedTuple):
    """A split: its column and threshold, and the places of what its sides found and of what it selects.

    Places below `EverySplit.arrays` are arrays, those from there on are leaves. The result's is none of the sides'.
    """

    feature: int
    threshold: np.float32
    left: int
    right: int
    result: int


class Tree(NamedTuple):
    """Its steps, the place of what the last one selects, and its leaves' path lengths."""

    steps: list[Step]
    top: int
    path_lengths: NDArray[np.float64]


class EverySplit:
    """The trees as steps from the leaves upwards; `fits` says for which forests that is worth it."""

    def __init__(self, forest: FlatForest) -> None:
        self._forest = forest
        self.arrays = 2 * int(forest.levels) + 1
        """How many arrays the steps need at a time."""
        self.trees = [self._tree(int(root)) for root in forest.root]

    @staticmethod
    def fits(forest: FlatForest) -> bool:
        """Say whether the trees are small: those that are grown on 256 rows of numbers have 35 to 70 splits."""
        splits = np.diff(np.append(forest.root, len(forest.left))) // 2
        return bool(splits.max() < MOST_LEAVES and splits.mean() <= USUAL_SPLITS)

    def add_path_lengths(self, block: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
        """Add up each row's path lengths in the order of the trees.

        Parameters
        ----------
        block : ndarray of shape (n_rows, n_features), float32
            Without NaN.
        sums : ndarray of shape (n_rows,), float64
            Gets the sums.
        """
        rows = len(block)
        columns = list(np.ascontiguousarray(block.T))
        found = [np.empty(rows, np.uint8) for _ in range(self.arrays)]
        places: list[Any] = [*found, *(np.uint8(leaf) for leaf in range(MOST_LEAVES))]
        goes_right = np.empty(rows, np.bool_)
        one_or_zero, change = goes_right.view(np.uint8), np.empty(rows, np.uint8)
        leaf, length = np.empty(rows, np.intp), np.empty(rows, np.float64)
        sums[:] = 0
        for steps, top, lengths in self.trees:
            for feature, threshold, left, right, result in steps:
                np.greater(columns[feature], threshold, out=goes_right)
                if right - left == 1 and left >= self.arrays:
                    np.add(one_or_zero, places[left], out=places[result])
                    continue
                # Bytes wrap around, so that left + (right - left) is right.
                np.subtract(places[right], places[left], out=change)
                np.multiply(change, one_or_zero, out=change)
                np.add(change, places[left], out=places[result])
            leaf[:] = places[top]
            # mode="clip" keeps take from checking and copying; no index is ever out of bounds.
            np.add(sums, lengths.take(leaf, out=length, mode="clip"), out=sums)

    def _tree(self, root: int) -> Tree:
        forest = self._forest
        steps: list[Step] = []
        leaves: list[int] = []

        def visit(node: int, array: int) -> int:
            left = int(forest.left[node])
            if left == node:
                leaves.append(node)
                return self.arrays + len(leaves) - 1
            one = visit(left, array + 1)
            other = visit(left + 1, array + 1 + (one < self.arrays))
            steps.append(Step(int(forest.feature[node]), forest.threshold[node], one, other, array))
            return array

        top = visit(root, 0)
        return Tree(steps, top, forest.path_length[leaves])
