"""Checks that arrays from a file form valid trees. Scoring follows their indexes without any check."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

_MOST_FEATURES = 100_000
_PER_NODE = ("left", "feature", "threshold", "missing_goes_right", "path_length", "n_samples")


def check_trees(trees: Any) -> None:
    """Check types, sizes, every index and every number of `Trees`.

    Raises
    ------
    ValueError
        An array does not match the description in `Trees`. The message names the fault.
    """
    _check_shapes(trees)
    _check_children(trees)
    _check_levels(trees)
    _check_numbers(trees)


def _check_shapes(trees: Any) -> None:
    nodes = len(np.atleast_1d(trees.left))
    for field in fields(trees):
        array: np.ndarray = getattr(trees, field.name)
        # The annotation of a field names its type: NDArray[np.int32].
        dtype = str(field.type).partition("np.")[2].rstrip("]_")
        shape = (nodes,) if field.name in _PER_NODE else array.shape
        if array.dtype != np.dtype(dtype) or array.shape != shape or array.ndim != (field.name in {*_PER_NODE, "root"}):
            raise ValueError(f"{field.name} is an array of {array.dtype} with shape {array.shape}")
    roots = trees.root
    is_ordered = (
        len(roots) > 0 and nodes > 0 and roots[0] == 0 and roots[-1] < nodes and bool((np.diff(roots) > 0).all())
    )
    if not is_ordered:
        raise ValueError("root does not name each tree's first node, in order")


def _check_children(trees: Any) -> None:
    nodes = np.arange(len(trees.left))
    end_of_tree = np.append(trees.root[1:], len(nodes))[np.searchsorted(trees.root, nodes, side="right") - 1]
    is_split = trees.left != nodes
    left, end = trees.left[is_split], end_of_tree[is_split]
    if not ((left > nodes[is_split]) & (left < end - 1)).all():
        raise ValueError("left names a child that does not follow in the same tree")
    parents = np.zeros(len(nodes), np.intp)
    np.add.at(parents, left, 1)
    np.add.at(parents, left + 1, 1)
    parents[trees.root] += 1
    if not (parents == 1).all():
        raise ValueError("left does not give each node one parent")


def _check_levels(trees: Any) -> None:
    level, depth = trees.root, 0
    while len(level):
        splits = level[trees.left[level] != level]
        level = np.concatenate([trees.left[splits], trees.left[splits] + 1])
        depth += bool(len(level))
    if trees.levels != depth:
        raise ValueError(f"levels is {trees.levels}, but the longest path has {depth} splits")


def _check_numbers(trees: Any) -> None:
    is_leaf = trees.left == np.arange(len(trees.left))
    if not 0 < trees.n_features <= _MOST_FEATURES:
        raise ValueError(f"n_features is {trees.n_features}")
    if not ((trees.feature >= 0) & (trees.feature < trees.n_features)).all():
        raise ValueError(f"feature names a column beyond the {trees.n_features} columns")
    if np.isnan(trees.threshold).any() or not np.isposinf(trees.threshold[is_leaf]).all():
        raise ValueError("threshold is NaN at a split, or finite at a leaf")
    if trees.missing_goes_right[is_leaf].any():
        raise ValueError("missing_goes_right is set for a leaf")
    lengths = np.append(trees.path_length, trees.usual_path_length)
    if not (np.isfinite(lengths) & (lengths >= 0)).all() or not np.isfinite(trees.offset):
        raise ValueError("a path length or the offset is negative or not finite")
    if not (trees.n_samples > 0).all():
        raise ValueError("n_samples has a node without training rows")
