"""What a test requires of the machine: absent for some users, present in CI."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def sample(relative: str) -> Path:
    """Return a sample folder; skip where it is absent, and fail in CI."""
    path = SHARED_DATA / relative
    if not path.exists():
        skip_outside_ci(f"the sample data ../shared/data/{relative} is not beside this checkout")
    return path


def required_program(*names: str) -> str:
    """Return the path of the first of these programs; skip where there is none, and fail in CI."""
    import shutil

    found = next(filter(None, map(shutil.which, names)), "")
    if not found:
        skip_outside_ci(f"none of {', '.join(names)} is installed")
    return found


def required_module(name: str) -> None:
    """Skip where a package of an extra is not installed, and fail in CI."""
    from importlib.util import find_spec

    if find_spec(name) is None:
        skip_outside_ci(f"{name} is not installed")


def skip_outside_ci(reason: str) -> NoReturn:
    """Skip a test that lacks something; with CI=true that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI must not skip this")
    pytest.skip(reason)
