"""The viewing model against ASGARD, an engine of others that shares no code with it: needs $S2DASK_PEER_PYTHON."""

import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2dask.auxdata.terrain import Terrain
from s2dask.geometry import ViewingModel
from s2dask.instrument import band

CLIENT = runpy.run_path(str(Path(__file__).resolve().parents[2] / "benchmarks" / "peers" / "location_peer.py"))
SENSORS = (("B02", 9), ("B11", 9))
S2B_SWIR = (-0.00062665, 0.0038864, 0.0)
"""Angles of the SWIR focal plane of S2B [mrad]; those of S2A are zero."""
CLOSE = 0.15
"""Measured: 32 mm rms, 0.12 m at most; the reasons are in docs/geometry.md [m]."""


@pytest.fixture(scope="module")
def peer() -> Iterator[Any]:
    with CLIENT["location_peer"]() as running:
        if running is None:
            pytest.skip(CLIENT["MISSING"])
        yield running


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("reference_data") / "geometry"


@pytest.fixture(scope="module")
def terrain(folder: Path) -> Terrain:
    return Terrain.open(folder / "dem", geoid=next(folder.glob("geoid/*.gtx")), missing="sea")


def model_of(folder: Path, refine: bool) -> ViewingModel:
    bulletin = next(folder.glob("iers/*.txt"))
    return ViewingModel.from_datastrip(folder / "l1b", gipp=folder / "gipp", iers=bulletin, refine=refine)


def image_points(name: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    last = 13823 * 10 / band(name).resolution
    return rng.uniform(0, last, 200), rng.uniform(0, band(name).columns - 1, 200)


@pytest.mark.parametrize("refine", [True, False])
def test_direct_and_inverse_location(peer: Any, folder: Path, terrain: Terrain, refine: bool) -> None:
    model = model_of(folder, refine)
    peer.open("plain", folder, model, terrain, SENSORS, refine=refine)
    for name, detector in SENSORS:
        line, column = image_points(name)
        ground = np.stack(model.direct(name, detector, line, column, terrain), -1)
        assert np.ptp(ground[:, 2]) > 500.0
        sensor = f"{name}/D{detector:02d}"
        found = np.array(peer.ask("direct", "plain", sensor=sensor, line=line, column=column)["ground"])
        assert CLIENT["apart"](found, ground).max() < CLOSE
        assert np.abs(found - ground)[:, 2].max() < CLOSE
        back = peer.ask("inverse", "plain", sensor=sensor, ground=ground)
        error = np.hypot(np.array(back["line"]) - line, np.array(back["column"]) - column)
        assert band(name).resolution * error.max() < CLOSE


def test_the_sense_of_the_angles_of_a_focal_plane(peer: Any, folder: Path, terrain: Terrain) -> None:
    plain = model_of(folder, refine=True)
    peer.open("turned", folder, plain, terrain, (("B11", 9),), angles={"SWIR": S2B_SWIR})
    line, column = image_points("B11")
    found = np.array(peer.ask("direct", "turned", sensor="B11/D09", line=line, column=column)["ground"])
    for sense in (1.0, -1.0):
        x, y, z = (sense * 1e-3 * angle for angle in S2B_SWIR)
        planes = plain.spacecraft.focal_planes
        craft = replace(plain.spacecraft, focal_planes={**planes, "SWIR": replace(planes["SWIR"], x=x, y=y, z=z)})
        model = replace(plain, spacecraft=craft, _made={})
        distance = CLIENT["apart"](found, np.stack(model.direct("B11", 9, line, column, terrain), -1))
        if sense > 0:
            assert distance.max() < CLOSE
        else:
            # twice 3.9 microradians seen from 800 km
            assert np.abs(distance - 6.3).max() < 0.3
