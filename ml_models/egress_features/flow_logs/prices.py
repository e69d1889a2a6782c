"""The price table: dollars per GB by egress class and region, in a file that a user can replace."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from egress_features.errors import BadInputError

DEFAULT_PRICES = Path(str(files("egress_features").joinpath("flow_logs", "prices.json")))
# The classes that flow logs are priced as. Other traffic is free, or flow logs lack the facts to price it.
PRICED_CLASSES = ("internet", "inter_az", "inter_region", "nat_gateway")
ANY_REGION = "*"


class Price(NamedTuple):
    """USD per GB of 10^9 bytes. `region` is "*" for every region without a separate price."""

    egress_class: str
    region: str
    usd_per_gb: float


class PriceTable(NamedTuple):
    """Prices, their source, and the day on which they were read there."""

    source: str
    read_on: str
    prices: tuple[Price, ...]


def read_prices(path: Path | None = None) -> PriceTable:
    """Read a price table: `{"source", "read_on", "prices": [{"egress_class", "region", "usd_per_gb"}, ...]}`.

    Raises
    ------
    BadInputError
        The file is missing or is no price table, a class has two prices for a region, or none for "*".
    """
    path = path or DEFAULT_PRICES
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"cannot read the price table {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadInputError(f"the price table {path} is no JSON: {error}") from error
    try:
        table = PriceTable(
            str(content["source"]), str(content["read_on"]), tuple(_price(path, entry) for entry in content["prices"])
        )
    except (KeyError, TypeError) as error:
        raise BadInputError(
            f"the price table {path} lacks {error}; it has source, read_on and prices, each with egress_class, region "
            "and usd_per_gb"
        ) from error
    _check(path, table)
    return table


def _price(path: Path, entry: dict[str, Any]) -> Price:
    value = entry["usd_per_gb"]
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1000
    if not is_number or entry["egress_class"] not in PRICED_CLASSES:
        raise BadInputError(
            f"the price table {path} has {json.dumps(entry)[:200]}; accepted are dollars from 0 for one of "
            f"{', '.join(PRICED_CLASSES)}"
        )
    return Price(entry["egress_class"], str(entry["region"]), float(value))


def _check(path: Path, table: PriceTable) -> None:
    keys = [price[:2] for price in table.prices]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise BadInputError(f"the price table {path} has two prices of {twice[0][0]} in {twice[0][1]}; one is accepted")
    for name in PRICED_CLASSES:
        if (name, ANY_REGION) not in keys:
            raise BadInputError(f'the price table {path} has no price of {name} for the region "*", every other region')
