"""Working stores in memory and on a real S3 server: made, written block by block and read like local ones."""

from pathlib import Path

import fsspec
import numpy as np
import pytest
from distributed import Client

from s2dask.cluster.local import local_client
from s2dask.errors import SchemaError
from s2dask.graph.tasks import TaskGraph
from s2dask.io.storage import exists, open_array, remove
from s2dask.io.template import add_variable, create, set_attributes
from s2dask.io.variables import Schema, VariableSpec
from s2dask.io.writer import write_block, write_whole

IMAGE = "measurements/d05/b04/img"
SCHEMA: Schema = {
    IMAGE: VariableSpec(("line", "column"), (1000, 700), (400, 700), "uint16"),
    "conditions/time": VariableSpec(("line",), (5,), (5,), "float64"),
}


def image() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 4095, (1000, 700), dtype=np.uint16)


def write(url: str, start: int) -> int:
    return write_block(url, {IMAGE: image()[start : start + 400]}, {IMAGE: (start, 0)})


def fill(url: str) -> None:
    create(url, SCHEMA, {"level": "L1B"})
    for start in (0, 400, 800):
        write(url, start)
    write_whole(url, "conditions/time", np.arange(5.0))
    set_attributes(url, {"done": True})
    add_variable(url, "quality/mask", VariableSpec(("line",), (3,), (3,), "uint8"))


def check(url: str) -> None:
    assert (np.asarray(open_array(url, IMAGE)[...]) == image()).all()
    assert list(np.asarray(open_array(url, "conditions/time")[...])) == [0.0, 1.0, 2.0, 3.0, 4.0]
    with pytest.raises(SchemaError, match="cuts a chunk"):
        write_block(url, {IMAGE: image()[:100]}, {IMAGE: (0, 0)})
    create(url, SCHEMA, {})
    assert not np.asarray(open_array(url, IMAGE)[...]).any()
    remove(url)
    assert not exists(url)


def test_in_memory() -> None:
    fill("memory://working/l1b.zarr")
    check("memory://working/l1b.zarr")
    assert fsspec.filesystem("memory").find("/working") == []


@pytest.mark.slow
def test_on_a_server(bucket: str, tmp_path: Path) -> None:
    url = f"{bucket}/stores/l1b.zarr"
    fill(url)
    fill(str(tmp_path / "l1b.zarr"))
    fs = fsspec.filesystem("s3")
    names = {name.partition("l1b.zarr/")[2] for name in fs.find(f"{url.removeprefix('s3://')}")}
    local = {p.relative_to(tmp_path / "l1b.zarr").as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert names == local
    for name in names:
        if "/c/" in name:
            assert fs.cat_file(f"{url}/{name}") == (tmp_path / "l1b.zarr" / name).read_bytes()
    check(url)


@pytest.mark.slow
def test_workers_write_blocks_of_a_store_on_a_server(bucket: str) -> None:
    url, graph = f"{bucket}/stores/l1b.zarr", TaskGraph()
    create(url, SCHEMA, {})
    for start in (0, 400, 800):
        graph.add(f"RADIO_AB-{start}", write, url, start)
    with local_client(2, dashboard=False) as client:
        assert isinstance(client, Client)
        assert sum(outcome.result for outcome in graph.run(client).values()) == 1000 * 700 * 2
    assert (np.asarray(open_array(url, IMAGE)[...]) == image()).all()
