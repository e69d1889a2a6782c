"""Reads a table of rows, written by the detector or from any other source. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from drift_monitor.day import Day
from drift_monitor.reference import SCORE

if TYPE_CHECKING:
    from drift_monitor.reference import Reference

MODEL_ID = "model_id"
SERIES = ("account_id", "region", "service", "egress_class", "resource_id")


def day_of_table(day: str, table: pa.Table, reference: Reference, kind: Literal["day", "batch"] = "day") -> Day:
    """Collect the features, scores and keys of a table.

    Parameters
    ----------
    day : str
    table : pa.Table
        Features, keys and, if a model scored the rows, `anomaly_score` or other outputs. The optional column
        `model_id` names the model.
    reference : Reference
    kind : str
        See `Day`.
    """
    there = [name for name in reference.columns if name != SCORE and name in table.column_names]
    wrong = {name: str(table.schema.field(name).type) for name in there if not is_number(table.schema.field(name).type)}
    scores = _floats(table[SCORE]) if SCORE in table.column_names else np.full(table.num_rows, np.nan)
    if MODEL_ID in table.column_names:
        ours = pc.or_kleene(pc.is_null(table[MODEL_ID]), pc.is_in(table[MODEL_ID], pa.array(["", reference.model_id])))
        scores[~ours.to_numpy(zero_copy_only=False)] = np.nan
    return Day(
        day=day,
        columns={name: _floats(table[name]) for name in there if name not in wrong},
        scores=scores,
        categories={name: _texts(table[name]) for name in reference.categories if name in table.column_names},
        wrong_types=wrong,
        series=_series(table),
        kind=kind,
    )


def _series(table: pa.Table) -> np.ndarray | None:
    """Return the index of each row's series. None if the rows have no keys."""
    if not set(SERIES) <= set(table.column_names):
        return None
    keys = [pc.fill_null(table[name].cast(pa.string()), "") for name in SERIES]
    joined = pc.binary_join_element_wise(*keys, "\x1f").combine_chunks()
    return np.asarray(joined.dictionary_encode().indices.to_numpy(), np.int64)


def _floats(column: Any) -> np.ndarray:
    values: np.ndarray = column.cast(pa.float64(), safe=False).to_numpy()
    return np.array(values, np.float64)


def _texts(column: Any) -> np.ndarray:
    """Return values as text, as training counted them. Codes and flags are text, too."""
    return np.array([None if value is None else str(value) for value in column.to_pylist()], object)


def is_number(kind: Any) -> bool:
    """Return whether a column of an Arrow type can be measured."""
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    )
