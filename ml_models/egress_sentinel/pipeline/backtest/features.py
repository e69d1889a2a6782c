"""The features of a delivery: built from its files, or cut from the features of the whole bill."""

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

# A delivery with its own files may restate hours. As in AWS, the last hours are scored again.
RESTATED_HOURS = 48


@dataclass(frozen=True)
class Arrived:
    """A delivery and its features. Only the hours before `visible_until` (UTC) count."""

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
    """Yield each delivery with the same features up to its own hour. Features depend only on past hours."""
    for delivery in deliveries:
        if delivery.visible_until is not None:
            yield Arrived(delivery.arrived, delivery.visible_until, features)


def built(deliveries: Iterable[Delivery], folder: Path) -> Iterator[Arrived]:
    """Build the features of each delivery's files, one delivery after another."""
    for delivery in deliveries:
        path = folder / "delivered_features.parquet"
        summary = build_features(delivery.files, path)
        last = summary.end_hour_utc.timestamp() + 3600
        until = datetime.fromtimestamp(last, tz=delivery.arrived.tzinfo)
        yield Arrived(delivery.arrived, until, path, RESTATED_HOURS)


def as_seen(features: Path, output: Path, until: datetime) -> None:
    """Write the rows of the hours before `until`, all provisional, as they were on arrival.

    Hours become final with the month's invoice, which is issued later and therefore not known yet.
    """
    dataset = ds.dataset(features, format="parquet")
    place = dataset.schema.get_field_index("is_provisional")
    with pq.ParquetWriter(output, dataset.schema) as writer:
        for batch in dataset.to_batches(filter=ds.field("hour_utc") < until):
            if batch.num_rows:
                provisional = pa.array([True] * batch.num_rows, dataset.schema.field(place).type)
                writer.write_batch(batch.set_column(place, dataset.schema.field(place), provisional))
