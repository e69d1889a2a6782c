"""The release archive: the files in it, and the files that are left out. tests/terraform/applied installs one."""

import hashlib
import tarfile
from importlib.metadata import version
from pathlib import Path

from egress_sentinel.deployment.release import write_release

SHIPPED = {
    "LICENSE",
    "terraform/main.tf",
    "terraform/examples/serverless/main.tf",
    "build/anomaly_detector.zip",
    "build/model.tar.gz",
    "build/athena/01_hours.sql",
}
LEFT_OUT = {
    "terraform/.terraform/modules/modules.json",
    "terraform/examples/serverless/terraform.tfvars",
    "terraform/examples/serverless/model_package.auto.tfvars.json",
    "terraform/examples/serverless/terraform.tfstate",
    "terraform/examples/serverless/terraform.tfstate.backup",
    "terraform/examples/serverless/egress_sentinel_local_override.tf",
    "build/mutation/setup.cfg",
    "README.md",
}


def write_tree(root: Path) -> None:
    for name in SHIPPED | LEFT_OUT:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, encoding="utf-8")


def test_it_has_what_terraform_deploys_and_nothing_of_a_users(tmp_path: Path) -> None:
    write_tree(tmp_path)
    archive = write_release(tmp_path, tmp_path / "build", tmp_path / "dist")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    files = {str(p.relative_to(tmp_path / "unpacked")) for p in (tmp_path / "unpacked").rglob("*") if p.is_file()}
    assert files == SHIPPED | {"SHA256SUMS"}
    lines = (tmp_path / "unpacked" / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert {line.partition("  ")[2]: line.partition("  ")[0] for line in lines} == {
        name: hashlib.sha256(name.encode()).hexdigest() for name in SHIPPED
    }


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    write_tree(tmp_path)
    first = write_release(tmp_path, tmp_path / "build", tmp_path / "one")
    second = write_release(tmp_path, tmp_path / "build", tmp_path / "two")
    assert first.read_bytes() == second.read_bytes()
    assert first.with_name(f"{first.name}.sha256").read_text(encoding="utf-8").split() == [
        hashlib.sha256(first.read_bytes()).hexdigest(),
        first.name,
    ]


def test_the_wheel_of_this_version_has_a_checksum_too(tmp_path: Path) -> None:
    write_tree(tmp_path)
    dist = tmp_path / "dist"
    dist.mkdir()
    wheel, earlier = (
        dist / f"egress_sentinel-{number}-py3-none-any.whl" for number in (version("egress-sentinel"), "0")
    )
    for path in (wheel, earlier):
        path.write_bytes(b"a wheel")
    write_release(tmp_path, tmp_path / "build", dist)
    line = f"{hashlib.sha256(b'a wheel').hexdigest()}  {wheel.name}\n"
    assert (dist / f"{wheel.name}.sha256").read_text(encoding="utf-8") == line
    assert not (dist / f"{earlier.name}.sha256").exists()
