"""A result appears whole or not at all."""

from pathlib import Path

import pytest

from egress_sentinel.errors import UserError
from egress_sentinel.output_files import replaced_directory


def make(directory: Path, text: str) -> None:
    with replaced_directory(directory) as work:
        (work / "alerts.json").write_text(text)


def test_the_new_directory_takes_the_old_ones_place(tmp_path: Path) -> None:
    output = tmp_path / "deep" / "output"
    make(output, "first")
    (output / "left-over").touch()
    make(output, "second")
    assert (output / "alerts.json").read_text() == "second"
    assert not (output / "left-over").exists()
    assert [path.name for path in output.parent.iterdir()] == ["output"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    output = tmp_path / "output"
    make(output, "first")
    with pytest.raises(RuntimeError, match="half-way"), replaced_directory(output) as work:  # noqa: PT012
        (work / "alerts.json").write_text("half")
        raise RuntimeError("half-way")
    assert (output / "alerts.json").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["output"]


def test_foreign_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds files that egress-sentinel did not make"):
        make(tmp_path, "x")
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_an_empty_directory_may_be_used(tmp_path: Path) -> None:
    make(tmp_path / "output", "x")
    empty = tmp_path / "empty"
    empty.mkdir()
    make(empty, "y")
    assert (empty / "alerts.json").read_text() == "y"


def test_a_file_in_the_way_and_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(UserError, match="is a file; a directory is needed"):
        make(file, "x")
    with pytest.raises(UserError, match="cannot write to"):
        make(file / "below", "x")
    assert file.read_text() == "mine"
