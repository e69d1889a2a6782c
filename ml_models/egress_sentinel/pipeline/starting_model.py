"""Builds the model of a first deployment, until a model of the team's bill replaces it. The same bytes each time.

    python -m egress_sentinel.pipeline.starting_model build/model.tar.gz

It is trained on a generated bill without incidents. Features are relative to each series' past, so the model works on
any bill, although not as well as a model of that bill.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from egress_features import build_features
from egress_sentinel.demo import write_demo_bill
from egress_sentinel.pipeline.training import train


def write_starting_model(model_tar: Path) -> None:
    """Write model.tar.gz atomically.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="egress-sentinel-") as temporary:
        work = Path(temporary)
        bill = write_demo_bill(work / "cur", with_incidents=False)
        build_features(bill.files, work / "features.parquet")
        train(work / "features.parquet", model_tar)


if __name__ == "__main__":
    write_starting_model(Path(sys.argv[1]))
    print(sys.argv[1])
