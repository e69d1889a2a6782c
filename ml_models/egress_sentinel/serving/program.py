"""Imports the inference program of a model artifact and calls it in process, as its container would."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import tarfile
import tempfile
import traceback
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    Transform = Callable[[Any, str | bytes, str, str], Any]

DEFAULT_PROGRAM = "anomaly_detection.inference_script"
# Bodies of exactly these types are passed as text, all others as bytes.
TEXT_TYPES = ("text/csv", "application/json")


class ProgramError(UserError):
    """The model cannot be served, or its program rejects a request. The message is one sentence."""


@contextlib.contextmanager
def model_in_process(model_tar: Path) -> Iterator[Callable[[bytes, str, str], bytes]]:
    """Yield a function that takes a body, a content type and an Accept, and responds as the model's container does.

    If the artifact's code equals the installed `anomaly_detection`, the installed package is used. Any other code is
    imported from the artifact, and removed from the imported modules after the block.

    Parameters
    ----------
    model_tar : Path
        A model.tar.gz.

    Raises
    ------
    ProgramError
        The artifact cannot be served. From the function: the program raised an exception or rejected the request.
    """
    with tempfile.TemporaryDirectory(prefix="egress-sentinel-model-") as directory:
        unpack(model_tar, directory)
        with _program(Path(directory) / "code") as program:
            try:
                transform = transform_function(program)
            except TypeError as error:
                raise ProgramError(str(error)) from error
            with _as_program_error(f"the model {model_tar} cannot be loaded"):
                model = program.model_fn(directory)

            def ask(body: bytes, content_type: str, accept: str) -> bytes:
                with _as_program_error("the model's program failed"):
                    given = body.decode("utf-8", errors="replace") if content_type in TEXT_TYPES else body
                    return _content(transform(model, given, content_type, accept))

            yield ask


def unpack(model_tar: Path, directory: str | Path) -> None:
    """Unpack a model.tar.gz.

    Raises
    ------
    ProgramError
        The archive cannot be read.
    """
    from anomaly_detection.artifact import unpack as extract

    try:
        with tarfile.open(model_tar) as tar:
            extract(tar, Path(directory))
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        reason = str(error).splitlines()[0].rstrip(":")
        raise ProgramError(
            f"cannot read the model {model_tar}: {reason}; accepted are a model.tar.gz and a model directory"
        ) from error


def load_program(code: Path) -> ModuleType:
    """Import the inference program only from the artifact's code/, as the container does.

    Parameters
    ----------
    code : Path
        The folder. The environment variable SAGEMAKER_PROGRAM names the program in it.

    Raises
    ------
    ProgramError
        The program is missing or cannot be imported.
    """
    name = _program_name()
    package = name.split(".", 1)[0]
    if not any((code / candidate).exists() for candidate in (package, f"{package}.py")):
        raise ProgramError(f"{code.parent} has no code/{package}: the artifact must bring the code that serves it")
    for loaded in _modules_of(package):
        del sys.modules[loaded]
    sys.path.insert(0, str(code))
    # Do not change a model directory that is served in place.
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except (ImportError, SyntaxError) as error:
        traceback.print_exc()
        raise ProgramError(f"cannot import {name} from the artifact's code/: {error}") from error


def transform_function(program: ModuleType) -> Transform:
    """Return the program's `transform_fn`, or one that chains its `input_fn`, `predict_fn` and `output_fn`.

    Raises
    ------
    TypeError
        The program lacks one of its functions.
    """
    names = ["model_fn"] if hasattr(program, "transform_fn") else ["model_fn", "input_fn", "predict_fn", "output_fn"]
    missing = [name for name in names if not hasattr(program, name)]
    if missing:
        raise TypeError(f"inference program {program.__name__} lacks {', '.join(missing)}")
    if hasattr(program, "transform_fn"):
        transform_fn: Transform = program.transform_fn
        return transform_fn

    def transform(model: Any, body: str | bytes, content_type: str, accept: str) -> Any:
        data = program.input_fn(body, content_type)
        return program.output_fn(program.predict_fn(data, model), accept)

    return transform


@contextlib.contextmanager
def _program(code: Path) -> Iterator[ModuleType]:
    if _program_name() == DEFAULT_PROGRAM and _is_installed(code):
        yield importlib.import_module(DEFAULT_PROGRAM)
        return
    package = _program_name().split(".", 1)[0]
    path, writes_no_bytecode = list(sys.path), sys.dont_write_bytecode
    replaced = {name: sys.modules[name] for name in _modules_of(package)}
    try:
        # The program's output must not mix with the command's output.
        with contextlib.redirect_stdout(sys.stderr):
            yield load_program(code)
    finally:
        for name in _modules_below(code):
            del sys.modules[name]
        sys.modules.update(replaced)
        sys.path[:], sys.dont_write_bytecode = path, writes_no_bytecode


def _program_name() -> str:
    return os.environ.get("SAGEMAKER_PROGRAM", DEFAULT_PROGRAM).removesuffix(".py")


def _is_installed(code: Path) -> bool:
    """Return whether code/ has the same sources as the installed `anomaly_detection`."""
    package = DEFAULT_PROGRAM.split(".", 1)[0]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return False
    return _sources(code / package) == _sources(Path(spec.origin).parent)


def _sources(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.py")}


def _modules_of(package: str) -> list[str]:
    return [name for name in sys.modules if name == package or name.startswith(f"{package}.")]


def _modules_below(folder: Path) -> list[str]:
    return [
        name
        for name, module in sys.modules.items()
        if (file := getattr(module, "__file__", None)) and Path(file).is_relative_to(folder)
    ]


@contextlib.contextmanager
def _as_program_error(what: str) -> Iterator[None]:
    try:
        yield
    except ProgramError:
        raise
    except Exception as error:  # as in the container, every exception is a failure of the program
        traceback.print_exc()
        raise ProgramError(f"{what}: {type(error).__name__}: {error}") from error


def _content(result: Any) -> bytes:
    """Convert the result of a program's output function (text, bytes, a tuple or a Flask response) to bytes."""
    body = result[0] if isinstance(result, tuple) else result
    if hasattr(body, "get_data"):
        content: bytes = body.get_data()
        if body.status_code >= 400:
            raise ProgramError(f"the model's program answered {body.status_code}: {content.decode(errors='replace')}")
        return content
    return body.encode() if isinstance(body, str) else bytes(body)
