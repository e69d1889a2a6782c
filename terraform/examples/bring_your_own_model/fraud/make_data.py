"""Makes a table like the well-known card fraud data: 28 anonymous columns, an amount, and `target`, 1 for a fraud.

python make_data.py transactions.csv --rows 20000 --seed 1
python make_data.py later.csv --rows 20000 --seed 2 --drifted      # customers and frauds have changed
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = [f"V{number}" for number in range(1, 29)]
FRAUD_SHARE = 0.02
SHOWN_BY = slice(0, 8)  # columns in which a fraud differs
SHOWN_LATER_BY = slice(8, 16)


def transactions(rows: int, seed: int, *, drifted: bool = False) -> pd.DataFrame:
    """Return the table; the same rows for the same arguments."""
    random = np.random.default_rng(seed)
    values = random.standard_normal((rows, len(COLUMNS))) * np.linspace(2.0, 0.5, len(COLUMNS))
    is_fraud = random.random(rows) < FRAUD_SHARE
    amount = random.lognormal(3.0, 1.0, rows)
    shown_by = SHOWN_LATER_BY if drifted else SHOWN_BY
    values[is_fraud, shown_by] += 2.5 * np.sign(random.standard_normal((int(is_fraud.sum()), 8)) + 0.8)
    if drifted:
        values[:, 20] += 0.5
        amount *= 1.5
    frame = pd.DataFrame(values.round(6), columns=COLUMNS)
    return frame.assign(Amount=amount.round(2), target=is_fraud.astype(int))


def main() -> None:
    """Write the table as CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drifted", action="store_true")
    given = parser.parse_args()
    transactions(given.rows, given.seed, drifted=given.drifted).to_csv(given.output, index=False)


if __name__ == "__main__":
    main()
