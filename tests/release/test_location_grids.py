"""Location grids in the form of Sen2VM: equal to the shared ones, and read by GDAL."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from s2dask.errors import ConfigurationError
from s2dask.production.ground import Ground, open_ground
from s2dask.production.location_grids import export_direct, export_inverse
from s2dask.release import location_grids as form

STEPS = {10: 600, 20: 300, 60: 100}
AREA = (199_980.0, 3_700_020.0, 309_780.0, 3_590_220.0)


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("reference_data") / "geometry"


@pytest.fixture(scope="module")
def ground(folder: Path) -> Ground:
    geoid, bulletin = next(folder.glob("geoid/*.gtx")), next(folder.glob("iers/*.txt"))
    return open_ground(folder / "l1b", folder / "gipp", folder / "dem", geoid, bulletin, "sxgeo")


@pytest.mark.row("IPF-20")
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_direct_grids_are_those_of_the_reference(folder: Path, ground: Ground, tmp_path: Path) -> None:
    vrts = export_direct(ground, folder / "l1b", tmp_path, ("B02", "B12", "B01"), (9,), STEPS)
    compared = 0
    for ours in sorted(tmp_path.glob("GRANULE/*/GEO_DATA/*.tif")):
        theirs = folder / "ref/testDirectLoc" / ours.relative_to(tmp_path)
        with rasterio.open(ours) as a, rasterio.open(theirs) as b:
            np.testing.assert_allclose(a.read((1, 2)), b.read((1, 2)), rtol=0, atol=1e-8)
            np.testing.assert_allclose(a.read(3), b.read(3), rtol=0, atol=1e-3)
            assert a.dtypes == ("float64",) * 3
            assert a.nodata == form.NODATA
            assert a.tags()["GEOREFERENCING_CONVENTION"] == "CENTER_PIXEL"
        compared += 1
    assert compared == 3 * 6
    assert [vrt.name for vrt in vrts] == [
        f"S2A_OPER_GEO_L1B_DS_DPRM_20140630T140000_S20200816T120220_D09_{name}.vrt" for name in ("B02", "B12", "B01")
    ]


def test_the_vrt_joins_the_granules(folder: Path, ground: Ground, tmp_path: Path) -> None:
    (vrt,) = export_direct(ground, folder / "l1b", tmp_path, ("B02",), (9,), STEPS, altitude=False)
    with rasterio.open(vrt) as raster:
        assert (raster.height, raster.width, raster.count) == (24, 5, 2)
        assert raster.transform.to_gdal() == (-299.5, 600.0, 0.0, -299.5, 0.0, 600.0)
        # the centre of the node of line 10 * 600 and column 2 * 600, in the corner convention
        assert raster.xy(10, 2) == (1200.5, 6000.5)
        found = raster.read()
    lon, lat, _ = ground.model.direct("B02", 9, 6000.0, 1200.0, ground.terrain)
    np.testing.assert_allclose(found[:, 10, 2], (lon, lat), rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_inverse_grids_are_those_of_the_reference(folder: Path, ground: Ground, tmp_path: Path) -> None:
    for detector, name, step, limit in ((9, "B02", 6000.0, 0.02), (5, "B09", 1000.0, 0.0105), (1, "B02", 6000.0, 0)):
        path = export_inverse(ground, folder / "l1b", tmp_path, name, detector, "EPSG:32628", AREA, step)
        theirs = folder / "ref/testInverseLoc" / path.name
        with rasterio.open(path) as a, rasterio.open(theirs) as b:
            ours, reference = a.read(masked=True).filled(np.nan), b.read()
            assert a.crs.to_epsg() == 32628
            assert a.xy(0, 0) == AREA[:2]
        assert ours.shape == reference.shape
        assert not np.isfinite(ours[~np.isfinite(reference)]).any() or detector != 1
        both = np.isfinite(ours) & np.isfinite(reference)
        if detector == 1:
            assert not both.any()
        else:
            assert both.sum() > 0.9 * np.isfinite(reference).sum() > 20
            assert np.abs(ours - reference)[both].max() < limit


def test_what_is_no_granule_has_no_grid() -> None:
    with pytest.raises(ConfigurationError, match="no granule identifier"):
        form.direct_name("S2A_D01", "B02")
