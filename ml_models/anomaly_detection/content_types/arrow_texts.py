"""Formats many numbers with Arrow in the way that Python's `repr` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

# In this range, Arrow and Python both write all digits without an exponent.
SMALLEST, LARGEST = 1e-4, 1e9


def float_texts(values: NDArray[np.float64], whole: str = ".0") -> Any:
    """Return `repr` of each value.

    Parameters
    ----------
    values : ndarray of shape (n,), float64
    whole : str
        The suffix of a whole number below a billion: Python's ".0", or "".

    Returns
    -------
    pyarrow.Array of n texts
    """
    texts = pa.array(values).cast(pa.string())
    sizes = np.abs(values)
    is_whole = (values == np.trunc(values)) & (sizes < LARGEST)
    if whole and is_whole.any():
        texts = pc.if_else(pa.array(is_whole), pc.binary_join_element_wise(texts, whole, ""), texts)
    is_other = ~(is_whole | ((sizes >= SMALLEST) & (sizes < LARGEST)))
    if is_other.any():
        texts = pc.replace_with_mask(texts, pa.array(is_other), pa.array(map(repr, values[is_other].tolist())))
    return texts
