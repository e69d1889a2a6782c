"""The pictures of the documentation can be made again."""

from pathlib import Path

import pytest

from tests.support.docs_images import make_pictures

IMAGES = Path(__file__).parents[3] / "docs" / "images"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
@pytest.mark.integration
def test_each_picture_is_made_as_large_as_the_one_in_the_docs(tmp_path: Path) -> None:
    make_pictures(tmp_path)
    made = sorted(tmp_path.iterdir())
    assert [path.name for path in made] == ["alert.png", "report-dark.png", "report.png"]
    for path in made:
        head, committed = path.read_bytes()[:24], (IMAGES / path.name).read_bytes()
        assert head[:8] == PNG
        if path.name != "alert.png":  # whose height is that of its text
            assert head[16:24] == committed[16:24]
        assert len(committed) < 250_000
