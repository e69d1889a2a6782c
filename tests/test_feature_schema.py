"""The columns of a feature file are written in three places, and are the same in each."""

import re
from pathlib import Path

from egress_alerts import rows
from egress_features import FEATURES, KEYS, LABELS, MEASURES
from egress_features.sources.labels import WANTED_TAGS

TABLES = Path(__file__).resolve().parents[1] / "terraform" / "modules" / "features" / "main.tf"


def test_the_detector_knows_the_keys_and_measures() -> None:
    assert rows.KEYS == KEYS
    assert rows.MEASURES == MEASURES
    assert rows.LABELS == LABELS


def test_the_glue_table_has_these_columns_and_no_others() -> None:
    text = TABLES.read_text(encoding="utf-8")
    locals_ = dict(re.findall(r"^  (keys|measures|labels|features) += \[(.*?)\]$", text, re.MULTILINE | re.DOTALL))
    hours = re.search(r"^  hours = concat\((.*?)^  \)", text, re.MULTILINE | re.DOTALL)
    assert hours
    named = [name for part in [*locals_.values(), hours[1]] for name in re.findall(r'"(\w+)"', part)]
    types = {"timestamp", "string", "double", "boolean", "float"}
    assert sorted(set(named) - types) == sorted([*KEYS, *MEASURES, *LABELS, *(feature.name for feature in FEATURES)])


def test_terraform_keeps_the_same_tags() -> None:
    text = (TABLES.parents[2] / "variables.tf").read_text(encoding="utf-8")
    found = re.search(r"alert_tags = optional\(list\(string\), \[(.*?)\]\)", text, re.DOTALL)
    assert found
    assert tuple(re.findall(r'"([^"]+)"', found[1])) == WANTED_TAGS
