"""The fitted forest as flat numpy arrays: converted from scikit-learn, saved and loaded without it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_detection.forest.checks import check_trees
from anomaly_detection.npy import read_npz

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from numpy.typing import NDArray

FOREST_FILE = "forest.npz"
# A thousand trees that are grown on ten thousand rows each need half of this.
MOST_BYTES = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Trees:
    """The trees of an Isolation Forest, one after another, each in level order.

    The children of a split are adjacent, so one index identifies both. A leaf is its own left child and has an infinite
    threshold, so a row that has reached a leaf stays there in all further steps.

    Parameters
    ----------
    root : ndarray of shape (n_trees,), int32
        The first node of each tree.
    left : ndarray of shape (n_nodes,), int32
        The left child. The right child is the next node.
    feature : ndarray of shape (n_nodes,), int32
        The column that a split compares. 0 for a leaf.
    threshold : ndarray of shape (n_nodes,), float32
        A row goes left if its value is at most this. It is scikit-learn's float64 threshold rounded down, which gives
        the same result for every float32.
    missing_goes_right : ndarray of shape (n_nodes,), bool
        Whether NaN goes to the right child.
    path_length : ndarray of shape (n_nodes,), float64
        Splits from the root to the node. For a leaf, plus the average number of splits to isolate its training rows.
    n_samples : ndarray of shape (n_nodes,), int32
        The tree's training rows that reached the node.
    levels : ndarray of shape (), int32
        Splits on the longest path.
    n_features : ndarray of shape (), int32
        The number of columns that a matrix must have.
    usual_path_length : ndarray of shape (), float64
        The average path length for the number of rows that a tree was grown on. Scores are relative to it.
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
    def from_sklearn(cls, forest: Any) -> Self:
        """Convert a fitted `sklearn.ensemble.IsolationForest` (scikit-learn 1.9)."""
        from sklearn.ensemble._iforest import _average_path_length

        # If a forest uses all features, scikit-learn does not reorder the columns for a tree.
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
    def load(cls, path: Path) -> Self:
        """Read a file that `save` wrote.

        Raises
        ------
        ValueError
            The file is not an .npz file of a forest.
        OSError
            The file cannot be read.
        """
        try:
            arrays = read_npz(path, MOST_BYTES)
            trees = cls(**{field.name: arrays[field.name] for field in fields(cls)})
            check_trees(trees)
        except KeyError as error:
            raise ValueError(f"{path.name} does not hold a flat forest: it has no array {error}") from error
        except ValueError as error:
            raise ValueError(f"{path.name} does not hold a flat forest: {error}") from error
        return trees

    def save(self, path: Path) -> None:
        """Write an .npz file. The same forest always gives the same bytes.

        Raises
        ------
        OSError
            The file cannot be written.
        """
        with path.open("wb") as file:
            np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})


class Walk:
    """A block of rows that moves down all trees, split by split."""

    def __init__(self, trees: Trees, block: NDArray[np.float32]) -> None:
        self.rows = len(block)
        self._trees = trees
        self._values = np.ascontiguousarray(block.T, np.float32).ravel()
        self._row = np.arange(self.rows)
        self._has_missing = bool(np.isnan(self._values).any())
        self.node: NDArray[np.intp] = np.repeat(trees.root.astype(np.intp)[:, None], self.rows, axis=1)
        """The current node of each row in each tree, shape (n_trees, n_rows)."""

    def go_down(self) -> None:
        """Move every row one split down in every tree."""
        trees, node = self._trees, self.node
        value = self._values[trees.feature[node] * self.rows + self._row]
        goes_right = value > trees.threshold[node]
        if self._has_missing:
            goes_right |= np.isnan(value) & trees.missing_goes_right[node]
        self.node = trees.left[node] + goes_right


def blocks(rows: int, size: int) -> list[slice]:
    """Split a number of rows into slices of at most `size` rows."""
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
    """Round to the largest float32 that is not greater."""
    with np.errstate(over="ignore"):
        singles = doubles.astype(np.float32)
    return np.where(singles > doubles, np.nextafter(singles, np.float32(-np.inf)), singles)
