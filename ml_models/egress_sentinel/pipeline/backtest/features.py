"""The features that a delivery could have been turned into: those of its files, or a cut of the whole bill's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from egress_features import build_features

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from egress_sentinel.pipeline.backtest.deliveries import Delivery

# A delivery of its own files restates hours; hours that the schedule scores again in AWS are scored again here.
RESTATED_HOURS = 48


@dataclass(frozen=True)
class Arrived:
    """A delivery and its features, of which the hours before `visible_until` (UTC) are to be seen."""

    moment: datetime
    visible_until: datetime
    features: Path
    restated_hours: int = 0

    def rows(self, start: datetime) -> pa.Table:
        """Return the rows of the hours [start, visible_until)."""
        hour = ds.field("hour_utc")
        dataset = ds.dataset(self.features, format="parquet")
        return dataset.to_table(filter=(hour >= start) & (hour < self.visible_until))


def cuts(features: Path, deliveries: Sequence[Delivery]) -> Iterator[Arrived]:
    """Give each delivery the same features, to be seen until its own hour: windows look back alone."""
    for delivery in deliveries:
        if delivery.visible_until is not None:
            yield Arrived(delivery.arrived, delivery.visible_until, features)


def built(deliveries: Iterable[Delivery], folder: Path) -> Iterator[Arrived]:
    """Build the features of each delivery's own files, one after the other."""
    for delivery in deliveries:
        path = folder / "delivered_features.parquet"
        summary = build_features(delivery.files, path)
        last = summary.end_hour_utc.timestamp() + 3600
        until = datetime.fromtimestamp(last, tz=delivery.arrived.tzinfo)
        yield Arrived(delivery.arrived, until, path, RESTATED_HOURS)


def as_seen(features: Path, output: Path, until: datetime) -> None:
    """Write the rows of the hours before `until`, each provisional, as it was when it arrived.

    A month's invoice is issued after the month, and then hours are no longer provisional: that would be to know what
    came later.
    """
    dataset = ds.dataset(features, format="parquet")
    place = dataset.schema.get_field_index("is_provisional")
    with pq.ParquetWriter(output, dataset.schema) as writer:
        for batch in dataset.to_batches(filter=ds.field("hour_utc") < until):
            if batch.num_rows:
                provisional = pa.array([True] * batch.num_rows, dataset.schema.field(place).type)
                writer.write_batch(batch.set_column(place, dataset.schema.field(place), provisional))
