"""Our packages import each other in one direction: no cycle, imports inside functions and for types alone included."""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]


def test_no_module_imports_itself_by_way_of_others() -> None:
    folders = (*(ROOT / "ml_models").iterdir(), *(ROOT / "lambdas").iterdir())
    packages = sorted(folder.name for folder in folders if (folder / "__init__.py").is_file())
    assert {"egress_features", "egress_sentinel", "anomaly_detector"} <= set(packages)
    graph = grimp.build_graph(*packages, cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imported) > len(packages)
    assert cycles_in(imported) == []


def test_a_cycle_is_found() -> None:
    imported = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a", "e"}, "e": {"d"}}
    assert sorted(map(sorted, cycles_in(imported))) == [["a", "b", "c"], ["d", "e"]]


def cycles_in(imported: dict[str, set[str]]) -> list[list[str]]:
    """Return cycles, each cut at one import before the next one is looked for."""
    remaining = {module: set(others) for module, others in imported.items()}
    cycles = []
    while True:
        try:
            TopologicalSorter(remaining).prepare()
        except CycleError as error:
            # Each module of the list is imported by the next one. The first one is also the last one.
            found: list[str] = error.args[1]
            cycles.append(found[:-1])
            remaining[found[1]].discard(found[0])
        else:
            return cycles
