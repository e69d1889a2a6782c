"""The schema of a features file: names, order, units and hash, from the parquet metadata or the manifest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Version of the document's form. A change of the features changes the hash, not the version.
SCHEMA_VERSION = 1
SCHEMA_KEY = b"egress_sentinel.schema"
SCHEMA_HASH_KEY = b"egress_sentinel.schema_hash"


@dataclass(frozen=True)
class FeatureSchema:
    """A features file's schema.

    Parameters
    ----------
    document : dict
        ``{"version": 1, "keys": [...], "measures": [...], "features": [{"name": ...}, ...]}``.

    Raises
    ------
    ValueError
        The document is not such a schema.
    """

    document: dict[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.document, dict) or self.document.get("version") != SCHEMA_VERSION:
            raise ValueError(f"a feature schema of version {SCHEMA_VERSION} is expected")
        features = self.document.get("features")
        if not isinstance(features, list) or not all(_has_name(feature) for feature in features):
            raise ValueError("the feature schema must list its features, each with a name")
        names = [feature["name"] for feature in features]
        if not names or len(set(names)) != len(names):
            raise ValueError("the feature schema must name at least one feature, and no feature twice")

    @property
    def feature_names(self) -> list[str]:
        """The features in the model's order."""
        return [feature["name"] for feature in self.document["features"]]

    @property
    def hash(self) -> str:
        """The sha256, in hex, of the canonical JSON."""
        return hashlib.sha256(canonical_json(self.document)).hexdigest()

    @classmethod
    def from_names(cls, names: Sequence[str]) -> FeatureSchema:
        """Create a schema from the numeric columns of a file without one."""
        features = [{"name": name, "unit": "", "description": "", "dtype": "float32"} for name in names]
        return cls({"version": SCHEMA_VERSION, "keys": [], "measures": [], "features": features})

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None) -> FeatureSchema | None:
        """Read the schema from a parquet file's key-value metadata.

        Returns
        -------
        FeatureSchema or None
            None if the file has no schema.

        Raises
        ------
        ValueError
            The schema cannot be read, or does not match its hash.
        """
        if not metadata or SCHEMA_KEY not in metadata:
            return None
        schema = cls(json.loads(metadata[SCHEMA_KEY]))
        stated = metadata.get(SCHEMA_HASH_KEY, b"").decode("ascii", "replace")
        if stated != schema.hash:
            raise ValueError(f"the schema has the hash {schema.hash}, but the metadata has {stated or 'none'}")
        return schema


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """Encode a document in the form that is hashed: sorted keys, no whitespace, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _has_name(feature: Any) -> bool:
    return isinstance(feature, dict) and isinstance(feature.get("name"), str)
