"""`s2dask tiles` and `s2dask locate` on real datastrips."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from s2dask.cli import app
from s2dask.errors import S2Error

RUN = CliRunner()


@pytest.fixture(scope="module")
def data(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("reference_data")


def _options(data: Path) -> list[str]:
    folder = data / "geometry"
    return [
        "--gipp", str(folder / "gipp"), "--dem", str(folder / "dem"),
        "--geoid", str(next(folder.glob("geoid/*.gtx"))), "--iers", str(next(folder.glob("iers/*.txt"))),
    ]  # fmt: skip


def _json(*arguments: str) -> Any:
    result = RUN.invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _fails(*arguments: str) -> Result:
    result = RUN.invoke(app, list(arguments))
    assert isinstance(result.exception, S2Error)
    assert "\n" not in str(result.exception)
    return result


@pytest.mark.row("IPF-27")
def test_tiles_of_a_real_l1b_datastrip(data: Path) -> None:
    strip = str(next((data / "geometry/l1b/DATASTRIP").glob("*/*.xml")))
    found = {tile["tile"]: tile for tile in _json("tiles", strip, *_options(data))}
    assert found["28SBB"] == {
        "tile": "28SBB", "crs": "EPSG:32628", "ulx": 199_980.0, "uly": 3_700_020.0, "lrx": 309_780.0,
        "lry": 3_590_220.0,
    }  # fmt: skip
    assert len(found) == 14
    # the footprints that the granules themselves state touch the same tiles
    lines = RUN.invoke(app, ["tiles", strip]).stdout.splitlines()
    assert [line[:5] for line in lines] == sorted(found)
    assert lines[0].endswith("EPSG:32627  UL 600000 3600000  LR 709800 3490200")


@pytest.mark.row("IPF-27")
def test_tiles_of_a_real_l0_datastrip(data: Path) -> None:
    strip = str(next((data / "ops/l0c").glob("S2B*.xml")))
    whole = {tile["tile"] for tile in _json("tiles", strip)}
    image = _json("tiles", strip, "--gipp", str(data / "gipp_tgz/S2B"))
    assert {tile["crs"] for tile in image} == {"EPSG:32740"}
    assert all((tile["ulx"] - tile["lrx"], tile["uly"] - tile["lry"]) == (-109_800, 109_800) for tile in image)
    # the L1B images begin and end inside the polygon of the telemetry: 19 tiles of its 23
    assert len(image) == 19
    assert {tile["tile"] for tile in image} < whole
    result = RUN.invoke(app, ["tiles", strip, "--gipp", str(data / "gipp_tgz/S2B")])
    assert "assumed: GIPP S2B_OPER_GIP_SPAMOD" in result.stderr


def test_there_and_back(data: Path) -> None:
    strip, options = str(data / "geometry/l1b"), _options(data)
    place = _json("locate", strip, "B02", "9", "--line", "5000", "--column", "1000.25", *options)
    assert place["inside"] is True
    assert place["date"].startswith("2020-08-16T12:02:")
    assert (round(place["lon"], 3), round(place["lat"], 3)) == (-16.907, 32.939)
    where = ["--lon", str(place["lon"]), "--lat", str(place["lat"])]
    pixel = _json("locate", strip, "B02", "9", *where, *options)
    assert (pixel["line"], pixel["column"]) == (pytest.approx(5000, abs=1e-4), pytest.approx(1000.25, abs=1e-4))
    higher = _json("locate", strip, "B02", "9", *where, "--height", "1000", *options, "--mode", "sxgeo")
    assert abs(higher["column"] - pixel["column"]) > 3.0
    text = RUN.invoke(app, ["locate", strip, "B02", "9", *where, *options]).stdout
    assert text.splitlines()[0].split() == ["band", "B02"]


def test_what_cannot_be_is_one_line(data: Path) -> None:
    strip, options = str(data / "geometry/l1b"), _options(data)
    _fails("locate", strip, "B02", "9", "--line", "5000", *options)
    _fails("locate", strip, "B02", "9", "--line", "5", "--column", "7", "--lon", "3", "--lat", "4", *options)
    _fails("locate", strip, "B02", "9", "--line", "5", "--column", "7")
    _fails("locate", strip, "B99", "9", "--line", "5", "--column", "7", *options)
    _fails("locate", strip, "B02", "13", "--line", "5", "--column", "7", *options)
    _fails("locate", strip, "B02", "9", "--lon", "5", "--lat", "6", *options)
    _fails("tiles", strip, *options, "--mode", "exact")
    _fails("tiles", str(data / "geometry" / "gipp"), *options)
    _fails("tiles", str(data / "nothing.xml"))
