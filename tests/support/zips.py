"""What a Lambda function has beside its zip on this machine: the packages of the runtime and of the layer."""

from importlib.util import find_spec
from pathlib import Path

RUNTIME = ("boto3", "botocore", "s3transfer", "dateutil", "urllib3", "six", "numpy", "pyarrow")


def link_runtime(folder: Path) -> Path:
    """Link the packages into an empty folder, to import from it and from nowhere else."""
    for name in RUNTIME:
        found = find_spec(name)
        assert found is not None
        assert found.origin is not None
        source = Path(found.origin)
        source = source.parent if source.stem == "__init__" else source
        (folder / source.name).symlink_to(source)
        for libraries in source.parent.glob(f"{name}.libs"):
            (folder / libraries.name).symlink_to(libraries)
    return folder
