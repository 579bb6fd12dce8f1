"""Graphs of named tasks: once each, in order, with the step's name in the key."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client
from distributed.utils import key_split

from s2dask.cluster.local import local_client
from s2dask.errors import ConfigurationError, InputError
from s2dask.graph.tasks import Outcome, Ref, TaskGraph, collect


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with local_client(workers=2, dashboard=False) as one:
        yield one


def count(folder: str, name: str, *inputs: float) -> float:
    with (Path(folder) / name).open("a") as file:
        file.write("x")
    return 1.0 + sum(inputs)


def fail(folder: str) -> None:
    raise InputError("broken on purpose", folder)


def total(values: list[float]) -> float:
    return sum(values)


def diamond(folder: str) -> tuple[TaskGraph, Ref]:
    graph = TaskGraph()
    root = graph.add("DECOMP-D05-G00", count, folder, "root")
    sides = [graph.add(f"RADIO_AB-D05-G{i:02d}", count, folder, f"side{i}", root) for i in range(4)]
    return graph, graph.add("OLQC-T28SCB", total, sides)


def test_every_task_runs_once_and_results_flow(client: Client, tmp_path: Path) -> None:
    graph, last = diamond(str(tmp_path))
    seen: list[str] = []
    outcomes = graph.run(client, lambda outcome: seen.append(outcome.step))
    assert outcomes[last.key].result == 8.0
    assert sorted(seen) == ["DECOMP", "OLQC", "RADIO_AB", "RADIO_AB", "RADIO_AB", "RADIO_AB"]
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == dict.fromkeys(
        ("root", "side0", "side1", "side2", "side3"), "x"
    )
    assert all(isinstance(o, Outcome) and o.peak_bytes > 1e7 for o in outcomes.values())


def half(values: bytes) -> int:
    return len(values) // 2


def test_a_large_result_stays_and_its_cost_comes_back(client: Client) -> None:
    graph = TaskGraph()
    large = [graph.add(f"L2A_DDV-{i}", bytes, 1000 * i, stays=True) for i in range(3)]
    middle = graph.add("L2A_AOT_WV-all", b"".join, large, stays=True)
    ends = [graph.add(f"L2A_AC-{i}", half, middle) for i in range(2)]
    idle = graph.add("PVI-alone", bytes, 3, stays=True)  # nobody waits for it: it is run all the same
    futures = graph.submit(client)
    assert {str(f.key).rpartition("-")[0] for f in futures} == {"L2A_AC-0", "L2A_AC-1", "PVI-alone"}
    heard: list[Outcome] = []
    outcomes = collect(client, futures, heard.append)
    assert [outcomes[ref.key].result for ref in (*large, middle, *ends, idle)] == [None] * 4 + [1500, 1500, b"\0" * 3]
    assert sorted(outcome.key for outcome in heard) == sorted(graph.keys)
    assert all(outcome.seconds > 0 and not outcome.brought for outcome in heard)


def test_keys_carry_the_step(tmp_path: Path) -> None:
    graph, last = diamond(str(tmp_path))
    assert graph.keys[0] == "DECOMP-D05-G00"
    assert key_split(graph.delayed(last).key) == "OLQC"
    assert len(graph) == 6


def test_a_failure_is_raised_as_it_was(client: Client, tmp_path: Path) -> None:
    graph = TaskGraph()
    bad = graph.add("EISP-ch_1", fail, str(tmp_path))
    graph.add("MSI_Merge-all", count, str(tmp_path), "never", after=(bad,))
    with pytest.raises(InputError, match="broken on purpose"):
        graph.run(client)
    assert not (tmp_path / "never").exists()


def test_names_are_unique(tmp_path: Path) -> None:
    graph = TaskGraph()
    graph.add("A-1", count, str(tmp_path), "a")
    with pytest.raises(ConfigurationError, match="A-1"):
        graph.add("A-1", count, str(tmp_path), "a")
