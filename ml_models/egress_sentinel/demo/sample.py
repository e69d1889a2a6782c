"""Writes the sample for batch scoring: one day of four instances of the demo's bill. One of them exfiltrates data.

python -m egress_sentinel.demo.sample terraform/examples/batch/sample.csv
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from egress_features import FEATURES, build_features
from egress_sentinel.demo import write_demo_bill

_SHOWN = ("hour_utc", "account_id", "region", "egress_class", "resource_id", "usage_gb", "cost_usd")


def write_sample(path: Path) -> None:
    """Write the CSV file with the keys and amounts of each hour, and the model's features."""
    with tempfile.TemporaryDirectory(prefix="egress-sentinel-") as temporary:
        work = Path(temporary)
        bill = write_demo_bill(work / "cur")
        build_features(bill.files, work / "features.parquet")
        incident = json.loads(bill.labels.read_text(encoding="utf-8"))[0]
        table = pq.read_table(work / "features.parquet")
    day = datetime.fromisoformat(incident["start_hour_utc"]).replace(hour=0)
    table = table.filter(
        (pc.field("hour_utc") >= day)
        & (pc.field("hour_utc") < day + timedelta(days=1))
        & (pc.field("account_id") == incident["account_id"])
        & (pc.field("region") == incident["region"])
        & (pc.field("egress_class") == incident["egress_class"])
        & pc.starts_with(pc.field("resource_id"), "i-")
    ).select([*_SHOWN, *(feature.name for feature in FEATURES)])
    pa_csv.write_csv(table.replace_schema_metadata(None), path)


if __name__ == "__main__":
    write_sample(Path(sys.argv[1]))
