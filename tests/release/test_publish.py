"""Publication: whole or not at all, whatever happens in between."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import rasterio
from release_model import GRID, NAMES, make_l1c, make_l2a

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.io import schema
from s2dask.io.object_store import DeadlineS3
from s2dask.io.opener import open_tree
from s2dask.io.template import create
from s2dask.release.publish import publish, verify
from s2dask.release.tile import release_l1c, release_l2a


def text(name: str, content: str = "x") -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        (folder / name).write_text(content)

    return build


def test_everything_appears_with_its_checksums(tmp_path: Path) -> None:
    paths = publish([text("a", "one"), text("b", "two!")], tmp_path / "deep" / "delivery")
    assert [Path(p).name for p in paths] == ["a", "b", "manifest.json"]
    content = json.loads((tmp_path / "deep" / "delivery" / "manifest.json").read_text())
    assert content["products"] == ["a", "b"]
    assert content["bytes"] == 7
    assert content["files"][0] == {
        "path": "a",
        "bytes": 3,
        "sha256": "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
    }
    assert verify(tmp_path / "deep" / "delivery") == []
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["delivery"]


def test_a_builder_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "half").write_text("begun")
        assert (folder / "a").exists()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        publish([text("a"), broken, text("c")], tmp_path / "delivery")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_nothing_visible(tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from s2dask.release.publish import publish
        def build(folder):
            (folder / "half").write_text("begun")
            os.kill(os.getpid(), signal.SIGKILL)
        publish([build], Path({str(tmp_path)!r}) / "delivery")
    """)
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    left = list(tmp_path.iterdir())
    assert [p.name.startswith(".delivery.") for p in left] == [True]
    assert (left[0] / "half").exists()
    publish([text("a")], tmp_path / "delivery")
    assert left[0].exists()
    os.utime(left[0], (0, 0))
    publish([text("a")], tmp_path / "delivery")
    assert [p.name for p in tmp_path.iterdir()] == ["delivery"]


def test_the_same_again_is_harmless_and_others_are_refused(tmp_path: Path) -> None:
    first = publish([text("a")], tmp_path / "delivery")
    assert publish([text("a")], tmp_path / "delivery") == first
    with pytest.raises(ConfigurationError, match="other content"):
        publish([text("a", "y")], tmp_path / "delivery")
    assert (tmp_path / "delivery" / "a").read_text() == "x"
    assert [p.name for p in tmp_path.iterdir()] == ["delivery"]


def test_damage_is_named(tmp_path: Path) -> None:
    publish([text("a"), text("b"), text("c")], tmp_path / "d")
    (tmp_path / "d" / "a").write_text("z")
    (tmp_path / "d" / "b").unlink()
    (tmp_path / "d" / "new").write_text("z")
    assert verify(tmp_path / "d") == ["b is missing", "new is not in the manifest", "a has changed"]
    with pytest.raises(InputMissing, match=r"manifest\.json"):
        verify(tmp_path)


def test_strange_places_and_stores_without_a_key_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="local or s3://"):
        publish([], "memory://delivery")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    DeadlineS3.clear_instance_cache()
    with pytest.raises(ConfigurationError, match="AWS_ACCESS_KEY_ID"):
        publish([], "s3://bucket/delivery")
    DeadlineS3.clear_instance_cache()


def test_l1c_delivery(tmp_path: Path) -> None:
    url = make_l1c(tmp_path / "work.zarr")
    paths = release_l1c(url, str(tmp_path / "out"))
    name = NAMES["L1C"]
    assert [Path(p).name for p in paths] == [
        f"{name}.SAFE",
        f"{name}.json",
        f"{name}.zarr",
        f"{name}_rgb.png",
        "manifest.json",
    ]
    folder = tmp_path / "out" / name
    assert verify(folder) == []
    with rasterio.open(f"SENTINEL2_L1C:{folder}/{name}.SAFE/MTD_MSIL1C.xml:10m:EPSG_32628") as source:
        assert source.shape == GRID.shape(10)
    item = json.loads((folder / f"{name}.json").read_text("utf-8"))
    assert all((folder / asset["href"]).exists() for asset in item["assets"].values())
    tree = open_tree(str(folder / f"{name}.zarr"))
    assert tree.attrs["stac_discovery"]["id"] == name
    assert "stac_discovery" not in open_tree(url).attrs
    assert release_l1c(url, str(tmp_path / "out")) == paths


def test_l2a_delivery(tmp_path: Path) -> None:
    l1c, l2a = make_l1c(tmp_path / "l1c.zarr"), make_l2a(tmp_path / "l2a.zarr")
    paths = release_l2a(l2a, str(tmp_path / "out"), l1c)
    assert {Path(p).name.removeprefix(NAMES["L2A"]) for p in paths} == {
        ".SAFE",
        ".json",
        ".zarr",
        "_rgb.png",
        "_scl.png",
        "manifest.json",
    }
    assert verify(tmp_path / "out" / NAMES["L2A"]) == []


def test_a_tile_that_lacks_a_variable_is_not_delivered(tmp_path: Path) -> None:
    url = make_l1c(tmp_path / "work.zarr")
    attrs = dict(open_tree(url).attrs)
    part = {k: v for k, v in schema.l1c(GRID, [6, 7]).items() if "l1c_classification" not in k}
    create(url, part, attrs)
    with pytest.raises(Exception, match="l1c_classification"):
        release_l1c(url, str(tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []
