"""Computes each row's path length in each tree, with the scorer that is fastest for the forest and the row count.

scikit-learn processes one tree after another. `_FullTrees` moves a block of rows one level down in all trees at once.
`_EverySplit` computes every split of a tree for thousands of rows. Both add up path lengths in the order of the trees,
as scikit-learn does, so that the results are equal bit for bit.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from anomaly_detection.forest.trees import Walk, blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomaly_detection.forest.trees import Trees

# Rows times trees of a block. The block's arrays stay in the second-level cache of a core.
BLOCK_CELLS = 2**15
# Full trees double with each level. At this limit, each tree has a thousand leaves.
FULL_LEVELS = 10
# The number of leaves that one byte can distinguish.
MOST_LEAVES = 256
# With many more splits per tree, following the paths is as fast.
USUAL_SPLITS = 80
# With fewer rows, the fixed number of numpy calls per tree costs more than the look-ups.
LEAST_ROWS = 4000
# The columns of this many rows stay in the third-level cache of a core, and the intermediate results in the second.
EVERY_SPLIT_ROWS = 2**16


class PathLengths:
    """Adds up the path lengths of rows over all trees.

    Parameters
    ----------
    trees : Trees
    """

    def __init__(self, trees: Trees) -> None:
        self._trees = trees
        self.block_rows = max(BLOCK_CELLS // len(trees.root), 1)
        """Number of rows that are processed together."""

    def sums(self, matrix: NDArray[np.float32], threads: int = 1) -> NDArray[np.float64]:
        """Return the sum of each row's path lengths, added in the order of the trees.

        Parameters
        ----------
        matrix : ndarray of shape (n_rows, n_features), float32
        threads : int
            Each thread takes a part of the rows.

        Returns
        -------
        ndarray of shape (n_rows,), float64
        """
        sums = np.empty(len(matrix), np.float64)
        parts = blocks(len(matrix), max(-(-len(matrix) // threads), self.block_rows))
        if len(parts) <= 1:
            for part in parts:
                self._add(matrix[part], sums[part])
            return sums
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda part: self._add(matrix[part], sums[part]), parts))
        return sums

    def _add(self, matrix: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
        every = self._every_split if len(matrix) >= LEAST_ROWS else None
        if every is None:
            self._walk_down(matrix, sums)
            return
        count = -(-len(matrix) // EVERY_SPLIT_ROWS)
        for rows in blocks(len(matrix), -(-len(matrix) // count)):
            work = self._walk_down if np.isnan(matrix[rows]).any() else every.add_path_lengths
            work(matrix[rows], sums[rows])

    def _walk_down(self, matrix: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
        trees, full = self._trees, self._full_trees
        room: _Room | None = None
        for rows in blocks(len(matrix), self.block_rows):
            block = np.ascontiguousarray(matrix[rows], np.float32)
            if full is None:
                walk = Walk(trees, block)
                for _ in range(int(trees.levels)):
                    walk.go_down()
                lengths = trees.path_length[walk.node]
            else:
                if room is None or room.place.shape[1] != len(block):
                    room = _Room(len(trees.root), *block.shape)
                lengths = full.path_lengths(block, room)
            # numpy adds several columns in the order of the rows, but a single column pairwise.
            sums[rows] = np.add.reduce(lengths, axis=0) if len(block) > 1 else np.add.accumulate(lengths[:, 0])[-1]

    @cached_property
    def _full_trees(self) -> _FullTrees | None:
        return _FullTrees(self._trees) if self._trees.levels <= FULL_LEVELS else None

    @cached_property
    def _every_split(self) -> _EverySplit | None:
        trees = self._trees
        return _EverySplit(trees) if trees.levels <= FULL_LEVELS and _EverySplit.fits(trees) else None


class _FullTrees:
    """The trees, extended to full binary trees. Each level holds the splits of all trees, and the last the leaves.

    The children of cell i are the cells 2 i and 2 i + 1 of the next level, so no child index is looked up.
    """

    def __init__(self, trees: Trees) -> None:
        self.features: list[NDArray[np.intp]] = []
        self.thresholds: list[NDArray[np.float32]] = []
        self.missing_goes_right: list[NDArray[np.bool_]] = []
        nodes = trees.root.astype(np.intp)
        for _ in range(int(trees.levels)):
            self.features.append(trees.feature[nodes].astype(np.intp))
            self.thresholds.append(trees.threshold[nodes])
            self.missing_goes_right.append(trees.missing_goes_right[nodes])
            left = trees.left[nodes]
            # Both children of a leaf are the leaf itself.
            nodes = np.column_stack([left, left + (left != nodes)]).ravel()
        self.leaf_path_lengths = trees.path_length[nodes]

    def path_lengths(self, block: NDArray[np.float32], room: _Room) -> NDArray[np.float64]:
        """Return each row's path length in each tree.

        Parameters
        ----------
        block : ndarray of shape (n_rows, n_features), float32, contiguous
        room : _Room
            Overwritten.

        Returns
        -------
        ndarray of shape (n_trees, n_rows), float64
            A part of the buffers.
        """
        values = block.ravel()
        has_missing = bool(np.isnan(values).any())
        place = room.place
        place[:] = room.trees
        for level, features in enumerate(self.features):
            # mode="clip" makes take skip checks and copies; all indexes are valid.
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


class _Room:
    """Buffers that all blocks reuse. Allocating them for each block would take longer than the scoring."""

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


class _Step(NamedTuple):
    """A split: its column and threshold, the places of its two inputs, and the place of its result.

    Places below `_EverySplit.arrays` are arrays, the others are leaves. The result never overwrites an input.
    """

    feature: int
    threshold: np.float32
    left: int
    right: int
    result: int


class _Tree(NamedTuple):
    """The steps of a tree, the place of the last result, and the path lengths of the leaves."""

    steps: list[_Step]
    top: int
    path_lengths: NDArray[np.float64]


class _EverySplit:
    """The trees as steps from the leaves up to the root. `fits` returns whether this is fast for a forest.

    A row passes about eight splits of a tree. In numpy, looking them up takes longer than computing all splits, because
    comparing and selecting process many rows with one processor instruction. Each step selects, for each row, the leaf
    from its left or its right side. Leaves are one-byte numbers.
    """

    def __init__(self, trees: Trees) -> None:
        self._source = trees
        # The number of arrays that the steps need at the same time.
        self._arrays = 2 * int(trees.levels) + 1
        self._trees = [self._tree(int(root)) for root in trees.root]

    @staticmethod
    def fits(trees: Trees) -> bool:
        """Return whether the trees are small. Trees grown on 256 rows of numbers have 35 to 70 splits."""
        splits = np.diff(np.append(trees.root, len(trees.left))) // 2
        return bool(splits.max() < MOST_LEAVES and splits.mean() <= USUAL_SPLITS)

    def add_path_lengths(self, block: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
        """Add each row's path lengths to `sums`, in the order of the trees.

        Parameters
        ----------
        block : ndarray of shape (n_rows, n_features), float32
            Without NaN.
        sums : ndarray of shape (n_rows,), float64
            Changed in place.
        """
        rows = len(block)
        columns = list(np.ascontiguousarray(block.T))
        found = [np.empty(rows, np.uint8) for _ in range(self._arrays)]
        places: list[Any] = [*found, *(np.uint8(leaf) for leaf in range(MOST_LEAVES))]
        goes_right = np.empty(rows, np.bool_)
        one_or_zero, change = goes_right.view(np.uint8), np.empty(rows, np.uint8)
        leaf, length = np.empty(rows, np.intp), np.empty(rows, np.float64)
        sums[:] = 0
        for steps, top, lengths in self._trees:
            for feature, threshold, left, right, result in steps:
                np.greater(columns[feature], threshold, out=goes_right)
                if right - left == 1 and left >= self._arrays:
                    np.add(one_or_zero, places[left], out=places[result])
                    continue
                # Bytes wrap around, so left + (right - left) equals right.
                np.subtract(places[right], places[left], out=change)
                np.multiply(change, one_or_zero, out=change)
                np.add(change, places[left], out=places[result])
            leaf[:] = places[top]
            # mode="clip" makes take skip checks and copies; all indexes are valid.
            np.add(sums, lengths.take(leaf, out=length, mode="clip"), out=sums)

    def _tree(self, root: int) -> _Tree:
        trees = self._source
        steps: list[_Step] = []
        leaves: list[int] = []

        def visit(node: int, array: int) -> int:
            left = int(trees.left[node])
            if left == node:
                leaves.append(node)
                return self._arrays + len(leaves) - 1
            one = visit(left, array + 1)
            other = visit(left + 1, array + 1 + (one < self._arrays))
            steps.append(_Step(int(trees.feature[node]), trees.threshold[node], one, other, array))
            return array

        top = visit(root, 0)
        return _Tree(steps, top, trees.path_length[leaves])
