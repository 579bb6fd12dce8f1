"""The SAFE of an L2A tile."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from lxml import etree
from release_model import GRID, image, make_l1c, make_l2a

from s2dask.instrument import band
from s2dask.io.schema import L2A_BANDS
from s2dask.release.safe_l2a import class_percentages, write_safe_l2a


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("l2a")
    l1c = make_l1c(where / "l1c.zarr")
    l2a = make_l2a(where / "l2a.zarr", aot_retrieval_method="DDV", record={"ozone_mean": 310.5})
    return write_safe_l2a(l2a, where, l1c)


@pytest.mark.row("IPF-36")
@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("S2_User_Product_Level-2A_Metadata.xsd", "MTD_MSIL2A.xml"),
        ("S2_PDI_Level-2A_Tile_Metadata.xsd", "GRANULE/*/MTD_TL.xml"),
    ],
)
def test_metadata_are_valid_against_the_psd(folder: Path, reference_data: Path, schema: str, pattern: str) -> None:
    path = reference_data / "radiometry" / "xsd" / "psd148_s2tbx" / schema
    if not path.exists():
        pytest.skip(f"no schema at {path}")
    etree.XMLSchema(etree.parse(str(path))).assertValid(etree.parse(str(next(folder.glob(pattern)))))


def test_the_same_elements_as_a_real_product(folder: Path, reference_data: Path) -> None:
    real = next((reference_data / "l2a" / "metadata").glob("S2A_MSIL2A_*.SAFE"))
    left_out = {"Spectral_Information_List", "Spectral_Information", "RESOLUTION", "Wavelength", "MIN", "MAX",
                "CENTRAL", "Spectral_Response", "STEP", "VALUES", "GRI_FILENAME", "ECMWF_DATA_REF"}
    for pattern in ("MTD_MSIL2A.xml", "MTD_TL.xml"):
        theirs = {etree.QName(e).localname for e in etree.parse(str(real / pattern)).getroot().iter("*")}
        ours = {
            etree.QName(e).localname for e in etree.parse(str(next(folder.rglob(pattern)))).getroot().iter("*")
        }
        assert theirs - ours <= left_out
        assert not ours - theirs


def test_images_of_every_resolution(folder: Path) -> None:
    granule = next(folder.glob("GRANULE/*"))
    for resolution, names in L2A_BANDS.items():
        extra = {"AOT", "WVP", "TCI"} | ({"SCL"} if resolution != 10 else set())
        where = granule / "IMG_DATA" / f"R{resolution}m"
        assert {p.name for p in where.iterdir()} == {
            f"T28SCB_20200816T120221_{name}_{resolution}m.jp2" for name in (*names, *extra)
        }
        for name in names:
            with rasterio.open(where / f"T28SCB_20200816T120221_{name}_{resolution}m.jp2") as source:
                np.testing.assert_array_equal(source.read(1), image(GRID, resolution, band(name).index))
    with rasterio.open(granule / "IMG_DATA" / "R20m" / "T28SCB_20200816T120221_AOT_20m.jp2") as source:
        assert (source.read(1) == 125).all()


def test_probabilities_at_60_m_are_means(folder: Path) -> None:
    for name, value in (("CLDPRB", 40), ("SNWPRB", 5)):
        for resolution in (20, 60):
            with rasterio.open(next(folder.glob(f"GRANULE/*/QI_DATA/MSK_{name}_{resolution}m.jp2"))) as source:
                assert source.shape == GRID.shape(resolution)
                assert (source.read(1) == value).all()


def test_content_is_measured(folder: Path) -> None:
    root = etree.parse(str(next(folder.glob("GRANULE/*/MTD_TL.xml")))).getroot()
    text = {e.tag: e.text for e in root.iter() if isinstance(e.tag, str)}
    assert float(text["GRANULE_MEAN_AOT"]) == pytest.approx(0.125)
    assert float(text["GRANULE_MEAN_WV"]) == pytest.approx(2.5)
    assert (text["AOT_RETRIEVAL_METHOD"], text["OZONE_SOURCE"]) == ("SEN2COR_DDV", "AUX_ECMWFT")
    assert float(text["OZONE_VALUE"]) == 310.5
    assert text["L1C_TILE_ID"] == "S2A_OPER_MSI_L1C_TL_S2DK_20200816T143017_A026904_T28SCB_N05.11"
    kinds = [e.get("type") for e in root.iter("MASK_FILENAME")]
    assert kinds.count("MSK_DETFOO") == kinds.count("MSK_QUALIT") == 13
    assert kinds.count("MSK_CLASSI") == 1
    assert kinds.count("MSK_CLDPRB") == kinds.count("MSK_SNWPRB") == 2


def test_class_shares() -> None:
    classes = np.repeat(np.array([0, 4, 6, 8, 9, 11], np.uint8), [10, 40, 20, 10, 10, 10]).reshape(10, 10)
    shares = class_percentages(classes)
    assert shares["NODATA_PIXEL_PERCENTAGE"] == 10
    assert shares["VEGETATION_PERCENTAGE"] == pytest.approx(100 * 40 / 90)
    assert shares["CLOUDY_PIXEL_PERCENTAGE"] == pytest.approx(100 * 20 / 90)
    assert shares["CLOUDY_PIXEL_OVER_LAND_PERCENTAGE"] == pytest.approx(100 * 20 / 70)
    assert shares["SNOW_ICE_PERCENTAGE"] == pytest.approx(100 * 10 / 90)
    assert class_percentages(np.zeros((3, 3), np.uint8))["NODATA_PIXEL_PERCENTAGE"] == 100
