"""GIPPs as written for a session, read back by the readers of the processors."""

from pathlib import Path

import numpy as np
import pytest

from s2dask.auxdata.gipp_binning import read_r2binn
from s2dask.auxdata.gipp_defect_filters import read_r2defi
from s2dask.auxdata.gipp_geometry import read_spamod, read_viedir
from s2dask.auxdata.gipp_radiometry import read_blindp, read_r2abca, read_r2crco, read_r2depi, read_r2eqog
from s2dask.auxdata.gipp_rearrangement import read_r2swir
from s2dask.auxdata.gipp_restoration import read_r2dect, read_r2dent, read_r2l2nc, read_r2nomo, read_r2wafi
from s2dask.auxdata.gipp_scenario import read_r2para
from s2dask.errors import S2Error
from s2dask.instrument import BANDS, band, unit
from s2dask.simulate.gipp import gipp_name, write_geometric, write_radiometric
from s2dask.simulate.gipp_restoration import TARGET, modulation
from s2dask.simulate.platform import focal_plane, spacecraft_model
from s2dask.simulate.sensor import CROSSTALK, DetectorState, draw_detector

DETECTORS = (6, 7)
NAMES = ("B02", "B8A", "B09", "B10", "B12")


@pytest.fixture(scope="module")
def states() -> dict[tuple[str, int], DetectorState]:
    """Detectors as drawn."""
    return {(n, d): draw_detector(n, d, 3, 4 if d == 6 else 0) for n in NAMES for d in DETECTORS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, states: dict[tuple[str, int], DetectorState]) -> Path:
    """Write the GIPPs of a session of S2B."""
    where = tmp_path_factory.mktemp("gipp")
    write_radiometric(where, "S2B", DETECTORS, states)
    write_geometric(where, "S2B", [focal_plane(n) for n in NAMES], spacecraft_model())
    return where


@pytest.mark.parametrize("name", NAMES)
def test_equalisation_is_the_one_drawn(folder: Path, states: dict[tuple[str, int], DetectorState], name: str) -> None:
    found = read_r2eqog(folder / gipp_name("S2B", "R2EQOG", name), "S2B", name, DETECTORS)
    assert sorted(found.detectors) == [6, 7]
    for d, response in found.detectors.items():
        assert response.model == ("CUBIC" if band(name).focal_plane == "VNIR" else "BI-LINEAR")
        np.testing.assert_array_equal(response.dark, states[name, d].dark)
        np.testing.assert_array_equal(response.coefficients, states[name, d].response)


def test_calibration_is_that_of_the_unit(folder: Path) -> None:
    found = read_r2abca(folder / gipp_name("S2B", "R2ABCA"), "S2B")
    assert found.gains == {n: v.gain for n, v in unit("S2B").bands.items()}
    assert found.solar_irradiance == {n: v.solar_irradiance for n, v in unit("S2B").bands.items()}
    assert found.gains != {n: v.gain for n, v in unit("S2A").bands.items()}


def test_crosstalk_is_that_of_the_read_out(folder: Path) -> None:
    found = read_r2crco(folder / gipp_name("S2B", "R2CRCO"), "S2B")
    assert not found.optical.any()
    names = list(BANDS)
    told = {(names[v], names[s]): float(found.electrical[v, s]) for v, s in np.argwhere(found.electrical)}
    assert told == CROSSTALK


def test_defective_pixels_are_the_dead_ones(folder: Path, states: dict[tuple[str, int], DetectorState]) -> None:
    found = read_r2depi(folder / gipp_name("S2B", "R2DEPI"), "S2B")
    assert {key: value for key, value in found.columns.items() if value} == {(n, 6): states[n, 6].dead for n in NAMES}


def test_blind_pixels_are_those_of_the_instrument(folder: Path) -> None:
    found = read_blindp(folder / gipp_name("S2B", "BLINDP"), "S2B")
    for b in BANDS.values():
        for d in DETECTORS:
            assert found.valid[b.name, d] == b.blind_columns
            everything = sorted((*found.valid[b.name, d], *found.invalid[b.name, d]))
            assert everything == [*range(b.blind), *range(b.raw_columns - b.blind, b.raw_columns)]


def test_the_scenario_is_that_of_operations(folder: Path) -> None:
    found = read_r2para(folder / gipp_name("S2B", "R2PARA"), "S2B")
    assert set(found.restoration.values()) == {"NONE"}
    assert (found.crosstalk_optical, found.swir_rearrangement, found.radiance_offset_l1b) == (False, False, -100)
    assert found.spatial_margin == 50
    assert not any(s.any() for s in read_r2swir(folder / gipp_name("S2B", "R2SWIR"), "S2B").lines.values())
    noise = read_r2nomo(folder / gipp_name("S2B", "R2NOMO"), "S2B")
    assert noise.alpha == {n: v.noise_alpha for n, v in unit("S2B").bands.items()}
    for kernel in read_r2binn(folder / gipp_name("S2B", "R2BINN"), "S2B").kernels.values():
        assert np.flatnonzero(kernel).tolist() == [9, 10, 11]
    assert not list(folder.glob("*_GIP_R2EOB2_*"))


@pytest.mark.parametrize("name", NAMES)
def test_restoration_is_there_for_every_band(folder: Path, name: str) -> None:
    along, across = modulation("S2B", name)
    gains = read_r2dect(folder / gipp_name("S2B", "R2DECT", name), "S2B", name).values
    assert gains[0, 0] == 1
    np.testing.assert_allclose([along * gains[-1, 0], across * gains[0, -1]], np.maximum([along, across], TARGET))
    filters = read_r2wafi(folder / gipp_name("S2B", "R2WAFI", name), "S2B", name)
    low, high = filters.low_analysis.coefficients, filters.high_analysis.coefficients
    np.testing.assert_allclose([low @ low, low @ high, low[2:] @ low[:2], low.sum()], [1, 0, 0, 2**0.5], atol=1e-12)
    thresholds = read_r2dent(folder / gipp_name("S2B", "R2DENT", name), "S2B", name)
    norms = read_r2l2nc(folder / gipp_name("S2B", "R2L2NC", name), "S2B", name)
    assert thresholds.depth == norms.depth == max(thresholds.levels) == max(norms.levels)
    assert len(read_r2defi(folder / gipp_name("S2B", "R2DEFI", name), "S2B", name).filters) == 3


@pytest.mark.parametrize("name", NAMES)
def test_viewing_directions_are_those_of_the_camera(folder: Path, name: str) -> None:
    wanted = focal_plane(name)
    found = read_viedir(folder / gipp_name("S2B", "VIEDIR", name), "S2B", name)
    assert found.tangents.keys() == wanted.tangents.keys()
    for key, tangents in found.tangents.items():
        np.testing.assert_allclose(tangents, wanted.tangents[key], rtol=1e-14)


def test_spacecraft_is_that_of_the_camera(folder: Path) -> None:
    found, wanted = read_spamod(folder / gipp_name("S2B", "SPAMOD"), "S2B"), spacecraft_model()
    assert found.piloting == wanted.piloting
    assert dict(found.focal_planes) == dict(wanted.focal_planes)
    assert dict(found.detectors) == dict(wanted.detectors)


def test_files_are_of_their_unit(folder: Path) -> None:
    with pytest.raises(S2Error):
        read_r2abca(folder / gipp_name("S2B", "R2ABCA"), "S2A")
    with pytest.raises(S2Error):
        read_viedir(folder / gipp_name("S2B", "VIEDIR", "B02"), "S2B", "B12")
