"""The forest that serves: scikit-learn's scores to the bit, without scikit-learn, and what they are made of."""

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
    """An Isolation Forest that scores; its arrays are those of `Trees`."""

    def scores(self, matrix: NDArray[np.float32], threads: int = 1) -> NDArray[np.float64]:
        """Return scikit-learn's `decision_function`, bit for bit: lower is more anomalous, below 0 is anomalous.

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
        """Return scikit-learn's `score_samples`, bit for bit: the scores before the threshold is taken off."""
        sums = self._path_lengths.sums(matrix, threads)
        # scikit-learn's own expressions: a forest of single rows has no usual length, and shares of 1.
        shares = sums / self._usual_sum if self._usual_sum else np.ones_like(sums)
        samples: NDArray[np.float64] = -(2 ** (-shares))
        return samples

    def attributions(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how many splits sooner each feature isolates a row: positive makes it more anomalous.

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
        return self._attribution.of(matrix)

    @cached_property
    def expected_path_length(self) -> float:
        """The mean path length of the rows that the trees were grown on, in splits."""
        return float(self._attribution.expected[self.root].mean())

    def mean_path_length(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return each row's path length, the mean over the trees, in splits; shape (n_rows,), float64."""
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
