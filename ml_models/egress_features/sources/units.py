"""Converts an amount of data to AWS's GB by the unit that the export states."""

from __future__ import annotations

# Decimal units as AWS and FOCUS use them, binary ones by their definition. Any other unit, such as Hrs, is no data.
# https://focus.finops.org/focus-specification/ (Unit Format)
GB_PER_UNIT = {
    "b": "0.000000001",
    "kb": "0.000001",
    "mb": "0.001",
    "tb": "1000",
    "kib": "0.000001024",
    "mib": "0.001048576",
    "gib": "1.073741824",
    "tib": "1099.511627776",
}
_WORDS = {
    "b": "byte",
    "kb": "kilobyte",
    "mb": "megabyte",
    "tb": "terabyte",
    "kib": "kibibyte",
    "mib": "mebibyte",
    "gib": "gibibyte",
    "tib": "tebibyte",
}
# Decimals of the amount that are kept: DECIMAL(38) has no room for more, and small units come in large numbers.
_DECIMALS = {"b": 3, "kb": 6, "kib": 6, "mb": 9, "mib": 9}


def amount_in_gb_sql(amount: str, unit: str) -> str:
    """Return the SQL of an amount in GB, unchanged if the unit is GB, is unknown, or is missing.

    Parameters
    ----------
    amount : str
        SQL of a DECIMAL(38, 12).
    unit : str
        SQL of a text, NULL perhaps, in upper or lower case.
    """
    # What AWS writes comes first: to lower and to trim each line's text costs more than all the rest.
    as_billed = f"WHEN {unit} = 'GB' THEN {amount}"
    unit = f"LOWER(TRIM({unit}))"
    others = ", ".join(_texts(name) for name in GB_PER_UNIT)
    branches = " ".join(f"WHEN {unit} IN ({_texts(name)}) THEN {_in_gb(amount, name)}" for name in GB_PER_UNIT)
    return f"CASE {as_billed} WHEN {unit} IN ({others}) THEN CASE {branches} END ELSE {amount} END"


def _texts(name: str) -> str:
    return f"'{name}', '{_WORDS[name]}', '{_WORDS[name]}s'"


def _in_gb(amount: str, name: str) -> str:
    decimals = _DECIMALS.get(name, 12)
    product = f"CAST({amount} AS DECIMAL(24, {decimals})) * CAST({GB_PER_UNIT[name]} AS DECIMAL(13, 9))"
    return f"CAST({product} AS DECIMAL(38, 12))"
