"""The fitted forest as flat numpy arrays: scikit-learn's scores to the bit, without scikit-learn, and what makes them.

scikit-learn asks one tree after another; here all trees take a block of rows one level down in the same few numpy
calls, and with thousands of rows each tree's splits are computed for all of them (`every_split`). A row's path length
is added up in the order of the trees, as scikit-learn does, so that no bit differs.
"""

from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_detection.every_split import BLOCK_ROWS, LEAST_ROWS, EverySplit
from anomaly_detection.full_trees import FULL_LEVELS, FullTrees, Room

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

FOREST_FILE = "forest.npz"
# Rows times trees of a block: its arrays stay in a core's second-level cache.
BLOCK_CELLS = 2**15
# With fewer rows, compiling numba's kernel takes longer than it saves.
KERNEL_ROWS = 1_000_000


@dataclass(frozen=True, eq=False)
class FlatForest:
    """An Isolation Forest whose trees lie one behind the other, each level by level.

    Both children of a split are neighbours, so one index holds both. A leaf is its own left child and its threshold is
    infinite: a row that has arrived stays, however often it is told to go on.

    Parameters
    ----------
    root : ndarray of shape (n_trees,), int32
        Each tree's first node.
    left : ndarray of shape (n_nodes,), int32
        The left child; the right one is the next node.
    feature : ndarray of shape (n_nodes,), int32
        The column that a split looks at; 0 for a leaf.
    threshold : ndarray of shape (n_nodes,), float32
        A row goes left where its value is at most this: scikit-learn's float64 threshold rounded down, which sends
        every float32 the same way.
    missing_goes_right : ndarray of shape (n_nodes,), bool
        Where a split sends NaN.
    path_length : ndarray of shape (n_nodes,), float64
        Splits from the root to the node, and for a leaf those that its training rows would still need on average.
    n_samples : ndarray of shape (n_nodes,), int32
        Training rows of the tree that came through the node.
    levels : ndarray of shape (), int32
        Splits on the longest path.
    n_features : ndarray of shape (), int32
        Columns that a matrix must have.
    usual_path_length : ndarray of shape (), float64
        The average path length of as many rows as a tree was grown on, which path lengths are measured by.
    offset : ndarray of shape (), float64
        The threshold: scikit-learn's `offset_`.
    """

    root: NDArray[np.int32]
    left: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    missing_goes_right: NDArray[np.bool_]
    path_length: NDArray[np.float64]
    n_samples: NDArray[np.int32]
    levels: NDArray[np.int32]
    n_features: NDArray[np.int32]
    usual_path_length: NDArray[np.float64]
    offset: NDArray[np.float64]

    @classmethod
    def from_sklearn(cls, forest: Any) -> FlatForest:
        """Take the trees out of a fitted `sklearn.ensemble.IsolationForest` (scikit-learn 1.9)."""
        from sklearn.ensemble._iforest import _average_path_length

        # Where a forest looks at all features, scikit-learn does not reorder the columns for a tree.
        picks = forest._max_features != forest.n_features_in_
        trees: list[dict[str, NDArray[Any]]] = []
        first = 0
        for number, (tree, picked) in enumerate(zip(forest.estimators_, forest.estimators_features_, strict=True)):
            lengths = forest._decision_path_lengths[number] + forest._average_path_length_per_tree[number] - 1.0
            columns = np.asarray(picked) if picks else np.arange(forest.n_features_in_)
            trees.append(_flat_tree(tree.tree_, columns, lengths, first))
            first += tree.tree_.node_count
        joined = {name: np.concatenate([tree[name] for tree in trees]) for name in trees[0]}
        return cls(
            **joined,
            levels=np.array(max(tree.get_depth() for tree in forest.estimators_), np.int32),
            n_features=np.array(forest.n_features_in_, np.int32),
            usual_path_length=_average_path_length([forest._max_samples])[0],
            offset=np.array(forest.offset_, np.float64),
        )

    @classmethod
    def load(cls, path: Path) -> FlatForest:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            It is no such file.
        OSError
            It cannot be read.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except (KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path.name} does not hold a flat forest: {error}") from error

    def save(self, path: Path) -> None:
        """Write an .npz file, the same bytes for the same forest.

        Raises
        ------
        OSError
            It cannot be written.
        """
        with path.open("wb") as file:
            np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    def scores(self, matrix: NDArray[np.float32], threads: int = 1) -> NDArray[np.float64]:
        """Give scikit-learn's `decision_function`, bit for bit: lower is more anomalous, below 0 is anomalous.

        Parameters
        ----------
        matrix : ndarray of shape (n_rows, n_features), float32
            NaN goes where scikit-learn sends it.
        threads : int
            Each takes a part of the rows.

        Returns
        -------
        ndarray of shape (n_rows,), float64
        """
        scores: NDArray[np.float64] = self.score_samples(matrix, threads) - self.offset
        return scores

    def score_samples(self, matrix: NDArray[np.float32], threads: int = 1) -> NDArray[np.float64]:
        """Give scikit-learn's `score_samples`, bit for bit: the scores before the threshold is taken off."""
        sums = np.empty(len(matrix), np.float64)
        add = self._add_path_lengths
        if len(matrix) >= KERNEL_ROWS and find_spec("numba") and not np.isnan(matrix).any():
            add = self._add_path_lengths_by_kernel
        self._in_parts(lambda rows: add(matrix[rows], sums[rows]), len(matrix), threads)
        # scikit-learn's own expressions: a forest of single rows has no usual length, and shares of 1.
        shares = sums / self._usual_sum if self._usual_sum else np.ones_like(sums)
        samples: NDArray[np.float64] = -(2 ** (-shares))
        return samples

    def attributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Say how many splits sooner each feature isolates a row: positive makes it more anomalous.

        At each split of a row's path, the expected path length falls or rises from the node to the child that the row
        goes to; expected is the mean over the training rows that came through. The fall is the split's feature's
        credit. Summed over a path and averaged over the trees, a row's credits add up to what the training rows need
        on average less what this row needs: `expected_path_length` minus its mean path length.

        Parameters
        ----------
        matrix : ndarray of shape (n_rows, n_features), float32

        Returns
        -------
        ndarray of shape (n_rows, n_features), float64
            In splits, the mean over the trees.
        """
        falls = np.empty((len(matrix), int(self.n_features)), np.float64)
        for rows in _blocks(len(matrix), self._block_rows):
            self._credit(matrix[rows], falls[rows])
        falls /= len(self.root)
        return falls

    @cached_property
    def expected_path_length(self) -> float:
        """The mean path length of the rows that the trees were grown on, in splits."""
        return float(self._expected[self.root].mean())

    def mean_path_length(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give each row's path length, the mean over the trees, in splits; shape (n_rows,), float64."""
        sums = np.empty(len(matrix), np.float64)
        self._add_path_lengths(matrix, sums)
        return sums / len(self.root)

    def _in_parts(self, work: Callable[[slice], None], rows: int, threads: int) -> None:
        parts = _blocks(rows, max(-(-rows // threads), self._block_rows))
        if len(parts) <= 1:
            for part in parts:
                work(part)
            return
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, parts))

    def _add_path_lengths(self, matrix: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
        every = self._every_split if len(matrix) >= LEAST_ROWS else None
        if every is None:
            self._walk_down(matrix, sums)
            return
        blocks = -(-len(matrix) // BLOCK_ROWS)
        for rows in _blocks(len(matrix), -(-len(matrix) // blocks)):
            work = self._walk_down if np.isnan(matrix[rows]).any() else every.add_path_lengths
            work(matrix[rows], sums[rows])

    def _walk_down(self, matrix: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
        full = self._full_trees
        room: Room | None = None
        for rows in _blocks(len(matrix), self._block_rows):
            block = np.ascontiguousarray(matrix[rows], np.float32)
            if full is None:
                walk = _Walk(self, block)
                for _ in range(int(self.levels)):
                    walk.go_down()
                lengths = self.path_length[walk.node]
            else:
                if room is None or room.place.shape[1] != len(block):
                    room = Room(len(self.root), *block.shape)
                lengths = full.path_lengths(block, room)
            # numpy adds up the columns in the order of the rows, but a lone column pairwise.
            sums[rows] = np.add.reduce(lengths, axis=0) if len(block) > 1 else np.add.accumulate(lengths[:, 0])[-1]

    def _add_path_lengths_by_kernel(self, matrix: NDArray[np.float32], sums: NDArray[np.float64]) -> None:
        from anomaly_detection import batch_kernel

        if self._every_split is None:
            self._add_path_lengths(matrix, sums)
        else:
            batch_kernel.add_path_lengths(self._every_split, matrix, sums)

    @cached_property
    def _block_rows(self) -> int:
        return max(BLOCK_CELLS // len(self.root), 1)

    @cached_property
    def _usual_sum(self) -> float:
        return float(len(self.root) * self.usual_path_length)

    @cached_property
    def _full_trees(self) -> FullTrees | None:
        return FullTrees(self) if self.levels <= FULL_LEVELS else None

    @cached_property
    def _every_split(self) -> EverySplit | None:
        return EverySplit(self) if self.levels <= FULL_LEVELS and EverySplit.fits(self) else None

    def _credit(self, matrix: NDArray[np.float32], falls: NDArray[np.float64]) -> None:
        walk = _Walk(self, matrix)
        width = falls.shape[1]
        cells = np.zeros(walk.rows * width, np.float64)
        for _ in range(int(self.levels)):
            before = walk.node
            walk.go_down()
            place = self.feature[before] + np.arange(walk.rows) * width
            fall = self._expected[before] - self._expected[walk.node]
            cells += np.bincount(place.ravel(), fall.ravel(), minlength=cells.size)
        falls[:] = cells.reshape(-1, width)

    @cached_property
    def _expected(self) -> NDArray[np.float64]:
        """Each node's path length, expected over the training rows that came through it."""
        expected = self.path_length.copy()
        is_split = self.left != np.arange(len(self.left))
        # Children lie behind their parents: from the last level up.
        depth = self._depth
        for level in range(int(self.levels) - 1, -1, -1):
            nodes = np.flatnonzero(is_split & (depth == level))
            left = self.left[nodes]
            n_left, n_right = self.n_samples[left], self.n_samples[left + 1]
            weighed = n_left * expected[left] + n_right * expected[left + 1]
            expected[nodes] = weighed / (n_left + n_right)
        return expected

    @cached_property
    def _depth(self) -> NDArray[np.int32]:
        depth = np.zeros(len(self.left), np.int32)
        nodes = self.root
        for level in range(1, int(self.levels) + 1):
            splits = nodes[self.left[nodes] != nodes]
            nodes = np.concatenate([self.left[splits], self.left[splits] + 1])
            depth[nodes] = level
        return depth


class _Walk:
    """A block of rows on its way down all trees, node by node."""

    def __init__(self, forest: FlatForest, block: NDArray[np.float32]) -> None:
        self.rows = len(block)
        self._forest = forest
        self._values = np.ascontiguousarray(block.T, np.float32).ravel()
        self._row = np.arange(self.rows)
        self._has_missing = bool(np.isnan(self._values).any())
        self.node: NDArray[np.intp] = np.repeat(forest.root.astype(np.intp)[:, None], self.rows, axis=1)
        """Where each row is in each tree; shape (n_trees, n_rows)."""

    def go_down(self) -> None:
        """Take every row one split further in every tree."""
        forest, node = self._forest, self.node
        value = self._values[forest.feature[node] * self.rows + self._row]
        goes_right = value > forest.threshold[node]
        if self._has_missing:
            goes_right |= np.isnan(value) & forest.missing_goes_right[node]
        self.node = forest.left[node] + goes_right


def _blocks(rows: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def _flat_tree(tree: Any, columns: NDArray[Any], lengths: NDArray[np.float64], first: int) -> dict[str, NDArray[Any]]:
    order = _level_by_level(tree.children_left, tree.children_right)
    place = np.empty_like(order)
    place[order] = np.arange(first, first + len(order))
    is_split = tree.children_left[order] >= 0
    threshold = np.where(is_split, _rounded_down(tree.threshold[order]), np.float32(np.inf))
    goes_left = tree.missing_go_to_left[order].astype(bool)
    return {
        "root": np.array([first], np.int32),
        "left": np.where(is_split, place[tree.children_left[order]], place[order]).astype(np.int32),
        "feature": np.where(is_split, columns[np.maximum(tree.feature[order], 0)], 0).astype(np.int32),
        "threshold": threshold.astype(np.float32),
        "missing_goes_right": is_split & ~goes_left,
        "path_length": lengths[order],
        "n_samples": tree.n_node_samples[order].astype(np.int32),
    }


def _level_by_level(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.intp]:
    level = np.zeros(1, np.intp)
    levels = []
    while level.size:
        levels.append(level)
        splits = level[left[level] >= 0]
        level = np.column_stack([left[splits], right[splits]]).ravel()
    return np.concatenate(levels)


def _rounded_down(doubles: NDArray[np.float64]) -> NDArray[np.float32]:
    """Round to the largest float32 that is not larger."""
    with np.errstate(over="ignore"):
        singles = doubles.astype(np.float32)
    return np.where(singles > doubles, np.nextafter(singles, np.float32(-np.inf)), singles)
