"""Compares a recording of AWS's answers with one of the local AWS: members and their types."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from local_aws.service_model import service_model

Members = dict[str, set[str]]
# The members of an item of a list that is empty are not known.
EMPTY = "empty"


def deviations(recorded: dict[str, Any], local: dict[str, Any]) -> list[str]:
    """Return a sentence for each way in which the local AWS answers otherwise."""
    return [
        f"{call}: {sentence}"
        for call, (of_aws, of_local) in sorted(_pairs(recorded, local).items())
        for sentence in _differences(of_aws, of_local)
    ]


def _pairs(recorded: dict[str, Any], local: dict[str, Any]) -> dict[str, tuple[Members, Members]]:
    of_aws, of_local = _by_call(recorded), _by_call(local)
    return {call: (of_aws.get(call, {}), of_local.get(call, {})) for call in of_aws | of_local}


def _by_call(recording: dict[str, Any]) -> dict[str, Members]:
    """Return the members that all answers to a call have together; an error counts as a member of its code."""
    found: dict[str, Members] = defaultdict(lambda: defaultdict(set))
    for call in recording["calls"]:
        service, _, operation = call["call"].partition(":")
        shape = service_model(service).operation_model(operation).output_shape
        known = [(f"the error {call['error']}", "error")] if "error" in call else _members(shape, call["answer"], "")
        for path, kind in known:
            found[call["call"]][path].add(kind)
    return found


def _members(shape: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    kind = shape.type_name if shape is not None else ""
    if kind == "structure" and isinstance(value, dict):
        for name, member in value.items():
            yield from _members(shape.members.get(name), member, f"{path}.{name}".lstrip("."))
        return
    if path:
        yield path, type(value).__name__
    if kind in {"list", "map"} and isinstance(value, list | dict):
        items, of_item = (value, shape.member) if kind == "list" else (list(value.values()), shape.value)
        if not items:
            yield f"{path}[]", EMPTY
        for item in items:
            yield from _members(of_item, item, f"{path}[]")


def _differences(of_aws: Members, of_local: Members) -> Iterator[str]:
    unknown = tuple(path for members in (of_aws, of_local) for path, kinds in members.items() if kinds == {EMPTY})
    for path in sorted(of_aws.keys() | of_local.keys()):
        if any(path.startswith(empty) for empty in unknown):
            continue
        if path not in of_local:
            yield f"AWS answers {path}, the local AWS does not"
        elif path not in of_aws:
            yield f"the local AWS answers {path}, AWS does not"
        elif of_aws[path] - {EMPTY} != of_local[path] - {EMPTY}:
            there, here = ("/".join(sorted(members[path])) for members in (of_aws, of_local))
            yield f"{path} is {there} in AWS, {here} in the local AWS"
