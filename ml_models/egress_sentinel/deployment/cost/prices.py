"""The price table: a dated file with a source for each price, which a user can replace."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Prices:
    """List prices in dollars.

    Attributes
    ----------
    date : str
        The day (ISO 8601) on which they were entered.
    region : str
    usd : dict
        Name to dollars, or to dollars by instance type.
    """

    date: str
    region: str
    usd: dict[str, Any]

    def of(self, name: str) -> float:
        """Return a price in dollars.

        Raises
        ------
        UserError
            The table lacks it.
        """
        return self._number(self.usd.get(name), name)

    def of_instance(self, name: str, instance_type: str) -> float:
        """Return the price of an hour of an instance type in dollars.

        Raises
        ------
        UserError
            The table lacks it.
        """
        by_type = self.usd.get(name)
        price = by_type.get(instance_type) if isinstance(by_type, dict) else None
        return self._number(price, f"{name} of {instance_type}")

    def _number(self, price: object, what: str) -> float:
        if isinstance(price, bool) or not isinstance(price, int | float) or price < 0:
            raise UserError(
                f"the price table of {self.date} has no dollars for {what}; add it to a copy of the table and give "
                "that with --prices"
            )
        return float(price)


def read_prices(path: Path | None = None) -> Prices:
    """Read a price table; by default the one that comes with the project.

    Raises
    ------
    UserError
        No such file, or none of the table's form.
    """
    try:
        text = (path or files("egress_sentinel.deployment.cost").joinpath("prices.json")).read_text(encoding="utf-8")
        table = json.loads(text)
        return Prices(str(table["date"]), str(table["region"]), {n: p["usd"] for n, p in table["prices"].items()})
    except OSError as error:
        raise UserError(f"cannot read the price table {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f'{path} is no price table; {{"date": ..., "region": ..., "prices": {{NAME: {{"usd": ...}}}}}} is one'
        ) from error
