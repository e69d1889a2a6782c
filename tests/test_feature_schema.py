"""The columns of a feature file are written in three places, and are the same in each."""

import re
from pathlib import Path

from egress_alerts import rows
from egress_features import FEATURES, KEYS, MEASURES

TABLES = Path(__file__).resolve().parents[1] / "terraform" / "modules" / "features" / "main.tf"


def test_the_detector_knows_the_keys_and_measures() -> None:
    assert rows.KEYS == KEYS
    assert rows.MEASURES == MEASURES


def test_the_glue_table_has_these_columns_and_no_others() -> None:
    text = TABLES.read_text(encoding="utf-8")
    locals_ = dict(re.findall(r"^  (keys|measures|features) += \[(.*?)\]$", text, re.MULTILINE | re.DOTALL))
    hours = re.search(r"^  hours = concat\((.*?)^  \)", text, re.MULTILINE | re.DOTALL)
    assert hours
    named = [name for part in [*locals_.values(), hours[1]] for name in re.findall(r'"(\w+)"', part)]
    types = {"timestamp", "string", "double", "boolean", "float"}
    assert sorted(set(named) - types) == sorted([*KEYS, *MEASURES, *(feature.name for feature in FEATURES)])
