"""Aerosol and water vapour of a product against the truth, which thins with height."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from s2dask.simulate.comparison import Truth, atmosphere_errors


def test_aerosol_and_water_vapour_are_those_above_the_ground(tmp_path: Path) -> None:
    height = np.linspace(0, 1800, 20)[:, np.newaxis] + np.zeros(20)
    haze, water = 0.2 * np.exp(-height / 2000), 2.5 * np.exp(-height / 2000)
    truth = zarr.open_group(str(tmp_path / "truth.zarr"), mode="w", zarr_format=3)
    truth.attrs.update({"aot": 0.2, "water_vapour": 2.5})
    tile = zarr.open_group(str(tmp_path / "tile.zarr"), mode="w", zarr_format=3)
    clear = np.zeros((20, 20))
    for path, values in (
        ("window/r20m/height", height), ("window/r20m/class", clear + 1), ("window/r20m/shadow", clear),
        ("cloud/b8a", clear[np.newaxis]),
    ):  # fmt: skip
        truth.create_array(path, data=values.astype(np.float32))
    for name, values, error in (("aot", haze, 0.03), ("wvp", water, 0.2)):
        coded = np.kron(np.round(1000 * (values + error)), np.ones((3, 3))).astype(np.uint16)
        tile.create_array(f"quality/atmosphere/r20m/{name}", data=coded)
    aot, vapour = atmosphere_errors(str(tmp_path / "tile.zarr"), Truth(str(tmp_path / "truth.zarr")))
    assert aot == pytest.approx(0.03, abs=5e-4)
    assert vapour == pytest.approx(0.2, abs=5e-4)
