"""Archives that come from elsewhere: their files are extracted, and nothing leaves the folder."""

import io
import tarfile
from pathlib import Path

import pytest

from anomaly_detection.artifact import unpack


def archive(folder: Path, *members: tarfile.TarInfo) -> Path:
    path = folder / "archive.tar"
    with tarfile.open(path, "w") as tar:
        for member in members:
            content = b"content" if member.isfile() else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def link(name: str, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


@pytest.fixture(params=["with filters", "before Python 3.11.4"], autouse=True)
def _python(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "with filters":
        monkeypatch.delattr(tarfile, "data_filter")


@pytest.mark.filterwarnings("ignore:Python 3.14 will:DeprecationWarning")
def test_files_and_folders_are_extracted(tmp_path: Path) -> None:
    with tarfile.open(archive(tmp_path, tarfile.TarInfo("./code/model.py"), tarfile.TarInfo("manifest.json"))) as tar:
        unpack(tar, tmp_path / "out")
    assert (tmp_path / "out" / "code" / "model.py").read_bytes() == b"content"
    assert (tmp_path / "out" / "manifest.json").read_bytes() == b"content"


@pytest.mark.parametrize(
    "member", [tarfile.TarInfo("../outside"), tarfile.TarInfo("a/../../outside"), link("outside", "/etc/passwd")]
)
def test_a_member_that_leads_elsewhere_is_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    with tarfile.open(archive(tmp_path, member)) as tar, pytest.raises(tarfile.TarError):
        unpack(tar, tmp_path / "out")
    assert not (tmp_path / "outside").exists()
    assert not list((tmp_path / "out").glob("*"))
