"""The flat forest: scikit-learn's scores to the bit over forests of every shape, and attributions that add up."""

import itertools
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.ensemble import IsolationForest

from anomaly_detection.forest import FlatForest, scoring

FLOATS = st.one_of(
    st.floats(width=32, allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf, -math.inf, 3.4028234663852886e38, 1e-45, -1.1754944e-38]),
)


@st.composite
def forests(draw: st.DrawFn) -> tuple[IsolationForest, np.ndarray]:
    """A fitted forest of any shape, with the rows that it was fitted on."""
    rows, features = draw(st.integers(2, 60)), draw(st.integers(1, 5))
    values = draw(
        hnp.arrays(
            np.float32,
            (rows, features),
            elements=st.one_of(st.integers(-3, 3), st.floats(-(2.0**99), 2.0**99, width=32), st.just(math.nan)),
            fill=st.floats(-1, 1, width=32),
        )
    )
    forest = IsolationForest(
        n_estimators=draw(st.integers(1, 12)),
        max_samples=draw(st.one_of(st.integers(1, rows), st.just(1.0))),
        max_features=draw(st.one_of(st.just(1.0), st.integers(1, features))),
        bootstrap=draw(st.booleans()),
        contamination=draw(st.sampled_from(["auto", 0.1, 0.5])),
        random_state=draw(st.integers(0, 2**32 - 1)),
    )
    return forest.fit(values), values


@settings(max_examples=100, deadline=None)
@given(forests(), st.data())
def test_scores_are_those_of_scikit_learn_to_the_bit(pair: tuple[IsolationForest, np.ndarray], data: Any) -> None:
    forest, fitted = pair
    flat = FlatForest.from_sklearn(forest)
    shape = st.tuples(st.integers(1, 8), st.just(fitted.shape[1]))
    strange = data.draw(hnp.arrays(np.float32, shape, elements=FLOATS))
    finite = flat.threshold[np.isfinite(flat.threshold)]
    edge = np.resize(finite if finite.size else np.float32(0), (1, fitted.shape[1]))
    up, down = np.nextafter(edge, np.float32(np.inf)), np.nextafter(edge, np.float32(-np.inf))
    for rows in (fitted, strange, strange[:1], edge, np.concatenate([up, edge, down])):
        expected = forest.decision_function(rows)
        assert flat.scores(rows).tobytes() == expected.tobytes()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_rows_in_blocks_and_on_threads(threads: int) -> None:
    values = np.random.default_rng(0).normal(size=(3001, 7)).astype(np.float32)
    values[::50, 3] = np.nan
    forest = IsolationForest(n_estimators=40, contamination=0.05, random_state=1).fit(values)
    flat = FlatForest.from_sklearn(forest)
    assert flat.scores(values, threads).tobytes() == forest.decision_function(values).tobytes()
    assert flat.scores(values[:0], threads).shape == (0,)
    assert np.array_equal(np.concatenate([flat.scores(row[None]) for row in values[:20]]), flat.scores(values[:20]))


@settings(max_examples=50, deadline=None)
@given(forests(), st.data())
def test_every_split_gives_the_same_bits(pair: tuple[IsolationForest, np.ndarray], data: Any) -> None:
    forest, fitted = pair
    shape = st.tuples(st.integers(1, 8), st.just(fitted.shape[1]))
    strange = data.draw(hnp.arrays(np.float32, shape, elements=FLOATS.filter(lambda value: not math.isnan(value))))
    rows = np.concatenate([np.nan_to_num(fitted), strange])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "LEAST_ROWS", 1)
        patch.setattr(scoring, "EVERY_SPLIT_ROWS", 7)
        patch.setattr(scoring.PathLengths, "_walk_down", None)
        assert FlatForest.from_sklearn(forest).scores(rows).tobytes() == forest.decision_function(rows).tobytes()


@pytest.mark.parametrize("threads", [1, 2])
def test_large_requests_with_some_missing_values(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "EVERY_SPLIT_ROWS", 2500)
    values = np.random.default_rng(0).standard_t(3, size=(10_001, 7)).astype(np.float32)
    values[:500:50, 3] = np.nan
    forest = IsolationForest(n_estimators=40, contamination=0.05, random_state=1).fit(values)
    assert (
        FlatForest.from_sklearn(forest).scores(values, threads).tobytes() == forest.decision_function(values).tobytes()
    )


def test_deep_trees() -> None:
    values = np.random.default_rng(0).exponential(size=(4000, 2)).astype(np.float32)
    forest = IsolationForest(n_estimators=5, max_samples=1.0, random_state=1).fit(values)
    assert FlatForest.from_sklearn(forest).scores(values).tobytes() == forest.decision_function(values).tobytes()


def test_a_file_gives_the_same_forest_and_the_same_forest_the_same_bytes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    flat = FlatForest.from_sklearn(IsolationForest(n_estimators=10, random_state=1).fit(values))
    flat.save(tmp_path / "forest.npz")
    loaded = FlatForest.load(tmp_path / "forest.npz")
    assert loaded.scores(values).tobytes() == flat.scores(values).tobytes()
    loaded.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "forest.npz").read_bytes()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"no zip at all"])
def test_a_file_that_is_no_forest(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "forest.npz").write_bytes(content)
    with pytest.raises(ValueError, match="forest"):
        FlatForest.load(tmp_path / "forest.npz")


def changed(arrays: dict[str, np.ndarray], name: str, place: int | None, value: Any) -> dict[str, np.ndarray]:
    """Return arrays of which one has another value at a place, or is another array."""
    array = arrays[name].copy()
    if place is None:
        array = np.asarray(value) if not callable(value) else value(array)
    elif array.ndim:
        array[place] = value
    else:
        array = np.array(value, array.dtype)
    return arrays | {name: array}


def with_shared_child(left: np.ndarray) -> np.ndarray:
    second, third = np.flatnonzero(left != np.arange(len(left)))[1:3]
    left[second] = left[third]
    return left


# A split is node 0, a leaf the last one.
DAMAGE = {
    "a child behind the end": ("left", 0, 10**6),
    "a child before its parent": ("left", 3, 1),
    "a negative child": ("left", 0, -1),
    "a child in the next tree": ("left", 0, 60),
    "a child that two parents have": ("left", None, lambda left: with_shared_child(left)),
    "no root": ("root", None, np.zeros(0, np.int32)),
    "a root behind the end": ("root", -1, 10**6),
    "roots out of order": ("root", 1, 0),
    "a column that is not there": ("feature", 0, 4),
    "a negative column": ("feature", 0, -1),
    "a threshold that is NaN": ("threshold", 0, np.nan),
    "a leaf that sends rows on": ("threshold", -1, 0.0),
    "a leaf that sends NaN on": ("missing_goes_right", -1, True),
    "a path length that is NaN": ("path_length", -1, np.nan),
    "a negative path length": ("path_length", -1, -1.0),
    "no training rows": ("n_samples", 0, 0),
    "more levels than there are": ("levels", 0, 2**31 - 1),
    "fewer levels than there are": ("levels", 0, 1),
    "no features": ("n_features", 0, 0),
    "an offset that is NaN": ("offset", 0, np.nan),
    "an endless usual path": ("usual_path_length", 0, np.inf),
    "an array that is shorter": ("feature", None, lambda array: array[:-1]),
    "an array of another type": ("left", None, lambda array: array.astype(np.int64)),
    "an array of two dimensions": ("left", None, lambda array: array[:, None]),
    "texts": ("left", None, np.array(["a"])),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_forest_that_would_be_followed_out_of_bounds(tmp_path: Path, damage: str) -> None:
    values = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
    FlatForest.from_sklearn(IsolationForest(n_estimators=3, random_state=1).fit(values)).save(tmp_path / "good.npz")
    with np.load(tmp_path / "good.npz") as good:
        arrays = {name: good[name] for name in good.files}
    assert FlatForest.load(tmp_path / "good.npz").n_features == 4
    np.savez(tmp_path / "forest.npz", **changed(arrays, *DAMAGE[damage]))
    with pytest.raises(ValueError, match=r"^forest\.npz does not hold a flat forest: [^\n]+$"):
        FlatForest.load(tmp_path / "forest.npz")


def test_a_forest_that_unpacks_to_far_more_than_its_file(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "forest.npz", left=np.zeros(10**6, np.int32))
    with pytest.raises(ValueError, match="it is compressed"):
        FlatForest.load(tmp_path / "forest.npz")


def test_a_header_that_states_more_than_there_is(tmp_path: Path) -> None:
    header = b"{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999,), }"
    with zipfile.ZipFile(tmp_path / "forest.npz", "w") as archive:
        archive.writestr("left.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(40))
    with pytest.raises(ValueError, match="its header states 99999999999 of int32, but 40 bytes follow"):
        FlatForest.load(tmp_path / "forest.npz")


def test_arrays_that_are_no_forest(tmp_path: Path) -> None:
    np.savez(tmp_path / "forest.npz", root=np.zeros(1))
    with pytest.raises(ValueError, match="left"):
        FlatForest.load(tmp_path / "forest.npz")


@settings(max_examples=80, deadline=None)
@given(forests())
def test_attributions_add_up(pair: tuple[IsolationForest, np.ndarray]) -> None:
    forest, rows = pair
    flat = FlatForest.from_sklearn(forest)
    credited = flat.attributions(rows)
    gap = flat.expected_path_length - flat.mean_path_length(rows)
    assert credited.shape == rows.shape
    np.testing.assert_allclose(credited.sum(axis=1), gap, rtol=0, atol=1e-9)
    alone = np.concatenate([flat.attributions(row[None]) for row in rows[:5]])
    assert alone.tobytes() == credited[:5].tobytes()


def shapley(forest: IsolationForest, row: np.ndarray) -> np.ndarray:
    """Brute force over all sets of known features; a split on an unknown one is weighed by its training rows."""
    features = range(row.size)
    values = {known: sum(_expected(t.tree_, row, known) for t in forest.estimators_) for known in _subsets(features)}
    n = row.size
    result = np.zeros(n)
    for feature in features:
        for known, value in values.items():
            if feature not in known:
                weight = math.factorial(len(known)) * math.factorial(n - len(known) - 1) / math.factorial(n)
                result[feature] += weight * (value - values[known | {feature}])
    return result / len(forest.estimators_)


def _subsets(features: range) -> list[frozenset[int]]:
    return [frozenset(s) for size in range(len(features) + 1) for s in itertools.combinations(features, size)]


def _expected(tree: Any, row: np.ndarray, known: frozenset[int], node: int = 0, depth: int = 0) -> float:
    left, right = tree.children_left[node], tree.children_right[node]
    if left < 0:
        n = tree.n_node_samples[node]
        return depth + (0 if n <= 1 else 1 if n == 2 else 2 * (math.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n)
    if tree.feature[node] in known:
        goes_left = row[tree.feature[node]] <= tree.threshold[node]
        return _expected(tree, row, known, left if goes_left else right, depth + 1)
    share = tree.n_node_samples[left] / tree.n_node_samples[node]
    both = [_expected(tree, row, known, child, depth + 1) for child in (left, right)]
    return share * both[0] + (1 - share) * both[1]


def test_attributions_agree_with_shapley_values() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(500, 4)).astype(np.float32)
    odd = rng.normal(size=(24, 4)).astype(np.float32)
    guilty = np.arange(24) % 4
    odd[np.arange(24), guilty] = np.where(guilty % 2, 6, -6)
    forest = IsolationForest(n_estimators=40, max_samples=64, random_state=0).fit(values)
    credited = FlatForest.from_sklearn(forest).attributions(odd)
    exact = np.array([shapley(forest, row) for row in odd])
    np.testing.assert_allclose(credited.sum(axis=1), exact.sum(axis=1), rtol=0, atol=1e-9)
    assert credited.argmax(axis=1).tolist() == exact.argmax(axis=1).tolist() == guilty.tolist()
    ranks = [np.argsort(np.argsort(each, axis=1), axis=1).ravel() for each in (credited, exact)]
    assert np.corrcoef(*ranks)[0, 1] > 0.9
