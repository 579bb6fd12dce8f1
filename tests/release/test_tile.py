"""Delivery of a tile of which other processes made the files: the same bytes, again and again, and never in part."""

import json
from pathlib import Path

import pytest
import rasterio
import zarr
from release_model import GRID, make_l1c, make_l2a

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.io.schema import reflectance_path
from s2dask.release.publish import file_list, verify
from s2dask.release.tile import Prepared, TileRelease, release_l1c, release_tile


@pytest.fixture(scope="module", params=["L1C", "L2A"])
def what(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TileRelease:
    folder = tmp_path_factory.mktemp("tile")
    l1c = make_l1c(folder / "l1c.zarr")
    return TileRelease(l1c) if request.param == "L1C" else TileRelease(make_l2a(folder / "l2a.zarr"), l1c)


def contents(paths: list[str]) -> list[dict[str, object]]:
    return [entry for path in paths if Path(path).is_dir() for entry in file_list(Path(path))]


def test_made_apart_and_made_here_are_the_same(what: TileRelease, tmp_path: Path) -> None:
    whole = release_tile(what, str(tmp_path / "a"))
    fresh = TileRelease(what.url, what.l1c)
    counts = [fresh.write_piece(piece, tmp_path / "parts") for piece in reversed(fresh.pieces)]
    fresh.write_zarr(tmp_path / "parts")
    prepared = Prepared(str(tmp_path / "parts"), counts)
    first = release_tile(fresh, str(tmp_path / "b"), prepared)
    assert contents(first) == contents(whole)
    assert verify(Path(first[0]).parent) == []
    # a task that is run again, its worker lost after the delivery, finds everything where it was
    assert release_tile(fresh, str(tmp_path / "b"), prepared) == first
    assert contents(release_tile(fresh, str(tmp_path / "c"), prepared)) == contents(whole)


def test_a_file_that_is_not_there_keeps_the_tile_back(what: TileRelease, tmp_path: Path) -> None:
    prepared = Prepared.make(what, tmp_path / "parts")
    piece = what.pieces[-2]
    (tmp_path / "parts" / f"{what.name}.SAFE" / piece.path(what.store.names)).unlink()
    with pytest.raises(InputMissing, match="1 files are not written"):
        release_tile(what, str(tmp_path / "out"), prepared)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_form_for_map_servers_is_delivered_where_it_is_asked_for(tmp_path: Path) -> None:
    paths = release_l1c(make_l1c(tmp_path / "t.zarr"), str(tmp_path / "out"), zarr_form="geozarr")
    url = next(path for path in paths if path.endswith(".zarr"))
    group = zarr.open_group(url, mode="r")
    assert {"zarr_conventions", "proj:code"} <= group.attrs.keys()
    assert group["measurements/reflectance"].attrs["multiscales"]["layout"][0]["asset"] == "r10m"
    assert group[reflectance_path(10, "B02")].shape == GRID.shape(10)
    item = json.loads(Path(next(path for path in paths if path.endswith(".json"))).read_text("utf-8"))
    asset = item["assets"]["zarr"]
    assert asset["type"] == "application/vnd+zarr; version=3; profile=multiscales"
    assert (asset["zarr:zarr_format"], asset["zarr:consolidated"]) == (3, True)
    assert any("/zarr/" in extension for extension in item["stac_extensions"])
    with pytest.raises(ConfigurationError, match="no form cog"):
        TileRelease("nowhere", zarr_form="cog")  # type: ignore[arg-type]


def test_names_of_the_pieces_are_those_of_the_files(what: TileRelease) -> None:
    paths = [piece.path(what.store.names) for piece in what.pieces]
    labels = [str(piece) for piece in what.pieces]
    assert len(set(paths)) == len(set(labels)) == len(paths)
    assert {"B04-10m", "QUALIT-B8A-20m", "CLASSI-B00-60m", "PVI-10m"} <= set(labels)


def test_files_keep_their_place_in_the_image(what: TileRelease, tmp_path: Path) -> None:
    piece = next(p for p in what.pieces if str(p) == "DETFOO-B05-20m")
    assert what.write_piece(piece, tmp_path) == (0, 0, 0)
    with rasterio.open(tmp_path / f"{what.name}.SAFE" / piece.path(what.store.names)) as source:
        assert tuple(source.transform)[:6] == GRID.transform(20)


def test_a_tile_as_zarr_alone(what: TileRelease, tmp_path: Path) -> None:
    both, alone = release_tile(what, str(tmp_path / "a")), TileRelease(what.url, what.l1c, safe=False)
    assert alone.pieces == []
    paths = release_tile(alone, str(tmp_path / "b"), Prepared.make(alone, tmp_path / "parts"))
    assert [Path(path).name for path in paths] == [Path(p).name for p in both if not p.endswith(".SAFE")]
    item = json.loads(next(Path(path) for path in paths if path.endswith(f"{alone.name}.json")).read_text("utf-8"))
    assert "zarr" in item["assets"]
    assert not any("SAFE" in asset["href"] for asset in item["assets"].values())
