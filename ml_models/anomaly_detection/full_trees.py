"""The trees for scoring, filled up to full binary trees that lie level by level.

The children of cell i of one level are the cells 2 i and 2 i + 1 of the next, so nobody has to look up where they are.
Full trees double with each level; deeper forests are walked along `FlatForest.left`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomaly_detection.forest import FlatForest

# A thousand leaves for each tree.
FULL_LEVELS = 10


class FullTrees:
    """The trees, filled up: by level, each tree's splits from left to right, and below the last level the leaves."""

    def __init__(self, forest: FlatForest) -> None:
        self.features: list[NDArray[np.intp]] = []
        self.thresholds: list[NDArray[np.float32]] = []
        self.missing_goes_right: list[NDArray[np.bool_]] = []
        nodes = forest.root.astype(np.intp)
        for _ in range(int(forest.levels)):
            self.features.append(forest.feature[nodes].astype(np.intp))
            self.thresholds.append(forest.threshold[nodes])
            self.missing_goes_right.append(forest.missing_goes_right[nodes])
            left = forest.left[nodes]
            # Below a leaf it stands again, twice.
            nodes = np.column_stack([left, left + (left != nodes)]).ravel()
        self.leaf_path_lengths = forest.path_length[nodes]

    def path_lengths(self, block: NDArray[np.float32], room: Room) -> NDArray[np.float64]:
        """Give each row's path length in each tree.

        Parameters
        ----------
        block : ndarray of shape (n_rows, n_features), float32, contiguous
        room : Room
            Is written over.

        Returns
        -------
        ndarray of shape (n_trees, n_rows), float64
            It lies in the room.
        """
        values = block.ravel()
        has_missing = bool(np.isnan(values).any())
        place = room.place
        place[:] = room.trees
        for level, features in enumerate(self.features):
            # mode="clip" keeps take from checking and copying; no index is ever out of bounds.
            features.take(place, out=room.cell, mode="clip")
            np.add(room.cell, room.rows, out=room.cell)
            values.take(room.cell, out=room.value, mode="clip")
            self.thresholds[level].take(place, out=room.threshold, mode="clip")
            np.greater(room.value, room.threshold, out=room.goes_right)
            if has_missing:
                room.goes_right |= np.isnan(room.value) & self.missing_goes_right[level].take(place)
            np.add(place, place, out=place)
            np.add(place, room.goes_right, out=place)
        return self.leaf_path_lengths.take(place, out=room.length, mode="clip")


class Room:
    """The arrays that one block after another is scored in; new ones for each would cost more than the scoring."""

    def __init__(self, trees: int, rows: int, features: int) -> None:
        shape = (trees, rows)
        self.trees = np.arange(trees)[:, None]
        self.rows = np.arange(rows) * features
        self.place = np.empty(shape, np.intp)
        self.cell = np.empty(shape, np.intp)
        self.value = np.empty(shape, np.float32)
        self.threshold = np.empty(shape, np.float32)
        self.goes_right = np.empty(shape, np.bool_)
        self.length = np.empty(shape, np.float64)
