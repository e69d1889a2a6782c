"""The serving forest: scores equal to scikit-learn's bit for bit, without scikit-learn, and their attributions."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from anomaly_detection.forest.attribution import Attribution
from anomaly_detection.forest.scoring import PathLengths
from anomaly_detection.forest.trees import Trees

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FlatForest(Trees):
    """An Isolation Forest that scores rows. `Trees` describes its arrays."""

    def scores(self, matrix: NDArray[np.float32], threads: int = 1) -> NDArray[np.float64]:
        """Return scikit-learn's `decision_function`, bit for bit: lower is more anomalous, below 0 is anomalous.

        Parameters
        ----------
        matrix : ndarray of shape (n_rows, n_features), float32
            NaN takes the same branch as in scikit-learn.
        threads : int
            Each thread scores a part of the rows.

        Returns
        -------
        ndarray of shape (n_rows,), float64
        """
        scores: NDArray[np.float64] = self.score_samples(matrix, threads) - self.offset
        return scores

    def score_samples(self, matrix: NDArray[np.float32], threads: int = 1) -> NDArray[np.float64]:
        """Return scikit-learn's `score_samples`, bit for bit: the scores before the threshold is subtracted."""
        sums = self._path_lengths.sums(matrix, threads)
        # As in scikit-learn: a forest fitted on single rows has no average path length, and all shares are 1.
        shares = sums / self._usual_sum if self._usual_sum else np.ones_like(sums)
        samples: NDArray[np.float64] = -(2 ** (-shares))
        return samples

    def attributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how many splits sooner each feature isolates a row: positive makes it more anomalous.

        The expected path length of a node is the mean over the training rows that reached it. At each split on a row's
        path, the expected path length decreases or increases from the node to the child. The decrease is credited to
        the split's feature. A row's credits, summed over the path and averaged over the trees, equal
        `expected_path_length` minus the row's mean path length.

        Parameters
        ----------
        matrix : ndarray of shape (n_rows, n_features), float32

        Returns
        -------
        ndarray of shape (n_rows, n_features), float64
            Mean number of splits over the trees.
        """
        return self._attribution.of(matrix)

    @cached_property
    def expected_path_length(self) -> float:
        """The mean path length of the training rows, in splits."""
        return float(self._attribution.expected[self.root].mean())

    def mean_path_length(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each row's mean path length over the trees, in splits, shape (n_rows,), float64."""
        return self._path_lengths.sums(matrix) / len(self.root)

    @cached_property
    def _path_lengths(self) -> PathLengths:
        return PathLengths(self)

    @cached_property
    def _attribution(self) -> Attribution:
        return Attribution(self, self._path_lengths.block_rows)

    @cached_property
    def _usual_sum(self) -> float:
        return float(len(self.root) * self.usual_path_length)
