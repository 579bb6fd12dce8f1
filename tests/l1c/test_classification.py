"""The classification on textbook spectra."""

import numpy as np
import pytest

from s2dask.l1c.classification import CIRRUS, OPAQUE, SNOW, average, classify

SPECTRA = {
    # B03, B04, B8A, B10, B11
    "cloud": ((0.60, 0.59, 0.65, 0.02, 0.45), OPAQUE),
    "thin cloud over sea": ((0.22, 0.20, 0.25, 0.003, 0.22), OPAQUE),
    "cirrus over land": ((0.12, 0.11, 0.30, 0.02, 0.20), CIRRUS),
    "snow": ((0.75, 0.76, 0.70, 0.004, 0.10), SNOW),
    "bright sand": ((0.30, 0.38, 0.50, 0.002, 0.55), 0),
    "forest": ((0.06, 0.04, 0.35, 0.001, 0.15), 0),
    "sea": ((0.05, 0.02, 0.01, 0.001, 0.005), 0),
    "no data": ((np.nan,) * 5, 0),
}


@pytest.mark.row("IPF-31")
@pytest.mark.parametrize("name", list(SPECTRA))
def test_spectra(name: str) -> None:
    values, expected = SPECTRA[name]
    bands = ("B03", "B04", "B8A", "B10", "B11")
    image = {band: np.full((2, 3), v, np.float32) for band, v in zip(bands, values, strict=True)}
    assert (classify(image, (2, 3)) == expected).all()


def test_a_rule_without_its_bands_finds_nothing() -> None:
    only = {"B10": np.full((1, 1), 0.05, np.float32), "B03": np.full((1, 1), 0.6, np.float32)}
    assert classify(only, (1, 1)) == CIRRUS
    assert classify({}, (4, 5)).shape == (4, 5)


def test_average_leaves_out_no_data() -> None:
    values = np.arange(36, dtype=np.float32).reshape(6, 6)
    values[0, 0] = np.nan
    values[3:, 3:] = np.nan
    found = average(values, 3)
    assert found[0, 0] == pytest.approx(np.nanmean(values[:3, :3]))
    assert found[1, 0] == pytest.approx(values[3:, :3].mean())
    assert np.isnan(found[1, 1])
    assert average(values, 1) is values
