"""Account names, resource tags and cost categories: which columns hold them, and how they are written.

- **Legacy CUR**: tags `resource_tags_user_owner` (parquet), `resourceTags/user:Owner` (CSV). Cost categories:
  `cost_category_team`, `costCategory/Team`. AWS writes no account names, but `line_item_usage_account_name` is read if
  it was joined to the report.
- **CUR 2.0**: `line_item_usage_account_name`, maps `resource_tags` and `cost_category`, or their entries as columns.
- **FOCUS**: `SubAccountName`, `Tags`, `AllocatedTags` (since 1.3), and AWS's own `x_CostCategories`.

CUR 2.0 may have all in one map `tags`, with `resourceTags/`, `accountTag/` and `costCategory/` before the keys. A map
is a map, a list of pairs, or a JSON object as text:
https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2-tag-columns.html

A bill may have 60 tags. Those that are asked for are kept, in any case and with any separators, under the name by which
they are asked for: `user:CostCenter` and `user_cost_center` are both `cost-center`. Cost categories are all kept, as
`cost_category:NAME`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from egress_features.sources.columns import quoted_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from egress_features.sources.columns import ExportFile

WANTED_TAGS = (
    "application",
    "cost-center",
    "department",
    "environment",
    "name",
    "owner",
    "project",
    "service",
    "team",
)
CATEGORY = "cost_category:"
# A tag's value has at most 256 characters in AWS.
_MAX_TAG = 256
# The characters that AWS allows in a tag's key, apart from letters and digits.
_SEPARATORS = str.maketrans("", "", "-+=._:/@ ")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_TAG_COLUMN = re.compile(r"resource_?tags?[_/:.](.+)", re.IGNORECASE)
_CATEGORY_COLUMN = re.compile(r"cost_?categor(?:y|ies)[_/:.](.+)", re.IGNORECASE)
_MAPS = ("resource_tags", "tags", "AllocatedTags", "cost_category", "x_CostCategories")
_CATEGORY_MAPS = ("cost_category", "x_CostCategories")
# Tags of the people that used a service, not of the resource.
_OF_PEOPLE = ("userAttribute/", "iamPrincipal/")


class LabelColumn(NamedTuple):
    """A column that holds a tag or a cost category named `key`, or a map of them if `key` is empty."""

    name: str
    sql: str
    key: str = ""
    is_category: bool = False


def label_columns(file: ExportFile, wanted: Sequence[str]) -> tuple[LabelColumn, ...]:
    """Return the columns of an export that hold the tags that are wanted, and cost categories."""
    maps = {name: found for name in _MAPS if (found := file.find(name))}
    columns = [_map_column(file, own, is_category=name in _CATEGORY_MAPS) for name, own in maps.items()]
    spellings = _spellings(wanted)
    # Engines ignore case in names, so they cannot distinguish columns whose names differ only in case.
    times = Counter(name.lower() for name in file.names)
    columns += [
        _single_column(name, spellings) for name in file.names if name not in maps.values() and times[name.lower()] == 1
    ]
    return tuple(column for column in columns if column is not None)


def tags_text(values: Iterable[tuple[LabelColumn, str | None]], wanted: Sequence[str]) -> tuple[str, str]:
    """Return tags and cost categories of a line as canonical JSON, and the first text that is no JSON object.

    Canonical JSON has sorted pairs, no blanks, UTF-8, and U+FFFD for a control character. It is empty without pairs.
    If several keys match one wanted name, the first one in order counts.
    """
    spellings = _spellings(wanted)
    found: dict[str, str] = {}
    broken = ""
    for column, text in values:
        if not text:
            continue
        entries = [(column.key, text)] if column.key else _entries(text)
        if entries is None:
            broken = broken or text
            continue
        for key, value in _named(entries, spellings, is_category=column.is_category or column.key.startswith(CATEGORY)):
            found.setdefault(key, value)
    return _canonical_tags(found), broken


def _canonical_tags(tags: dict[str, str]) -> str:
    """Return tags as canonical JSON: see `tags_text`."""
    pairs = sorted(f"{_quoted(key)}:{_quoted(value[:_MAX_TAG])}" for key, value in tags.items() if value)
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _normal_key(key: str) -> str:
    """Return a tag's key in the form for comparisons: in lower case, without separators and AWS's prefix."""
    return re.sub("^user[:_]", "", key).translate(_SEPARATORS).lower()


def _quoted(text: str) -> str:
    clean = _CONTROL.sub("\ufffd", text)
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _spellings(wanted: Sequence[str]) -> dict[str, str]:
    return {_normal_key(name): name for name in reversed(wanted)}


def _map_column(file: ExportFile, name: str, *, is_category: bool) -> LabelColumn | None:
    encoding, column = file.map_encoding(name), quoted_name(name)
    by_encoding = {
        "json": f"CAST({column} AS VARCHAR)",
        "map": f"CAST(TO_JSON({column}) AS VARCHAR)",
        "pairs": f"CAST(TO_JSON(MAP_FROM_ENTRIES({column})) AS VARCHAR)",
    }
    return LabelColumn(name, by_encoding[encoding], is_category=is_category) if encoding else None


def _single_column(name: str, spellings: dict[str, str]) -> LabelColumn | None:
    sql = f"CAST({quoted_name(name)} AS VARCHAR)"
    if category := _CATEGORY_COLUMN.fullmatch(name):
        return LabelColumn(name, sql, CATEGORY + category[1])
    tag = _TAG_COLUMN.fullmatch(name)
    key = spellings.get(_normal_key(tag[1].lower())) if tag else None
    return LabelColumn(name, sql, key) if key else None


def _entries(text: str) -> list[tuple[str, str]] | None:
    """Return the entries of a JSON object in order, or None if it is none."""
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return sorted((key, _text(value)) for key, value in found.items() if value not in (None, "", {}, []))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _named(
    entries: Iterable[tuple[str, str]], spellings: dict[str, str], *, is_category: bool
) -> Iterator[tuple[str, str]]:
    """Return the entries by their names in alerts. The tags of an account come after those of the resource."""
    of_account = []
    for key, value in entries:
        prefix, slash, rest = key.partition("/")
        if is_category or (slash and prefix == "costCategory"):
            yield f"{CATEGORY}{(key if is_category else rest).removeprefix(CATEGORY)}", value
        elif not key.startswith(_OF_PEOPLE):
            is_prefixed = bool(slash) and prefix in ("resourceTags", "accountTag")
            name = spellings.get(_normal_key(rest if is_prefixed else key))
            if name and prefix == "accountTag":
                of_account.append((name, value))
            elif name:
                yield name, value
    yield from of_account


def tags_sql(tags: str, categories: str, wanted: str) -> str:
    """Return the SQL of `tags_text` for two maps: for Athena, where no Python runs between two queries.

    Parameters
    ----------
    tags, categories : str
        Columns of type MAP(VARCHAR, VARCHAR).
    wanted : str
        The list of names as SQL.
    """
    is_wanted = f"{_normal_sql('k')} = {_normal_sql('w')} AND {tags}[k] <> ''"
    key = f"LIST_MIN(LIST_FILTER(MAP_KEYS({tags}), lambda k: {is_wanted}))"
    pair = _pair_sql("w", f"{tags}[{key}]")
    pairs = f"LIST_FILTER(LIST_TRANSFORM({wanted}, lambda w: {pair}), lambda p: p IS NOT NULL)"
    category = _pair_sql(f"'{CATEGORY}' || k", f"{categories}[k]")
    given = f"LIST_FILTER(MAP_KEYS({categories}), lambda k: {categories}[k] <> '')"
    named = f"LIST_TRANSFORM({given}, lambda k: {category})"
    every = f"ARRAY_TO_STRING(LIST_SORT(LIST_CONCAT({pairs}, COALESCE({named}, []))), ',')"
    return f"COALESCE('{{' || NULLIF({every}, '') || '}}', '')"


def _normal_sql(key: str) -> str:
    return f"LOWER(TRANSLATE(REGEXP_REPLACE({key}, '^user[:_]', ''), '-+=._:/@ ', ''))"


def _pair_sql(key: str, value: str) -> str:
    cut = f"SUBSTR({value}, 1, {_MAX_TAG})"
    return f"""'"' || {_clean_sql(key)} || '":"' || {_clean_sql(cut)} || '"'"""


def _clean_sql(text: str) -> str:
    printed = f"REGEXP_REPLACE({text}, '\\p{{Cc}}', '\ufffd', 'g')"
    return f"""REPLACE(REPLACE({printed}, '\\', '\\\\'), '"', '\\"')"""
