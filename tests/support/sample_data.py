"""The real sample bills beside the checkout: absent for users, present in CI."""

import os
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def sample(relative: str) -> Path:
    """Return a sample folder; skip where it is absent, and fail in CI."""
    path = SHARED_DATA / relative
    if not path.exists():
        _absent(f"the sample data ../shared/data/{relative} is not beside this checkout")
    return path


def required_program(*names: str) -> str:
    """Return the path of the first of these programs; skip where there is none, and fail in CI."""
    import shutil

    for name in names:
        found = shutil.which(name)
        if found:
            return found
    return _absent(f"none of {', '.join(names)} is installed")


def required_module(name: str) -> None:
    """Skip where a package of an extra is not installed, and fail in CI."""
    from importlib.util import find_spec

    if find_spec(name) is None:
        _absent(f"{name} is not installed")


def _absent(reason: str) -> str:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI must not skip this")
    pytest.skip(reason)
