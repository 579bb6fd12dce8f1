"""Names of the PSD: real ones, and every one that can be built reads back as itself."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dask.errors import InputError
from s2dask.release.name_form import parse_iso
from s2dask.release.names import DatastripName, GranuleName, ImageName, ProductName, TileName

moments = st.datetimes(datetime(2015, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)).map(
    lambda t: t.replace(microsecond=0)
)
units = st.sampled_from(["S2A", "S2B", "S2C", "S2D"])
baselines = st.tuples(st.integers(0, 99), st.integers(0, 99)).map(lambda v: f"{v[0]:02d}.{v[1]:02d}")
tiles = st.from_regex(r"[0-9]{2}[A-Z]{3}", fullmatch=True)
sites = st.from_regex(r"[A-Z0-9]{3,4}", fullmatch=True)
strip_levels = st.sampled_from(["L0", "L1A", "L1B", "L1C", "L2A"])

PRODUCTS = (
    "S2A_MSIL1C_20171207T002051_N0206_R116_T55JEJ_20171207T032513",
    "S2C_MSIL2A_20260117T101351_N0511_R022_T32TQM_20260117T142013",
)
DATASTRIPS = (
    "S2A_OPER_MSI_L1C_DS_SGS__20171207T032513_S20171207T002252_N02.06",
    "S2A_OPER_MSI_L2A_DS_2APS_20230822T021825_S20230821T221944_N05.09",
    "S2A_OPER_MSI_L0__DS_MPS__20161018T120000_S20161017T235959_N02.04",
)
TILES = (
    "S2A_OPER_MSI_L1C_TL_SGS__20171207T032513_A012840_T55JEJ_N02.06",
    "S2A_OPER_MSI_L2A_TL_2APS_20230822T021825_A042640_T01KAB_N05.09",
)


@pytest.mark.parametrize("text", PRODUCTS)
def test_real_products(text: str) -> None:
    name = ProductName.parse(text)
    assert str(name) == text
    assert ProductName.parse(name.safe) == ProductName.parse(name.zarr) == name


@pytest.mark.parametrize("text", DATASTRIPS)
def test_real_datastrips(text: str) -> None:
    assert str(DatastripName.parse(text)) == text


@pytest.mark.parametrize("text", TILES)
def test_real_tiles(text: str) -> None:
    assert str(TileName.parse(text)) == text


def test_folders_of_a_real_product() -> None:
    start = parse_iso("2017-12-07T00:22:52.127Z")
    assert TileName.parse(TILES[0]).folder(start) == "L1C_T55JEJ_A012840_20171207T002252"
    assert DatastripName.parse(DATASTRIPS[0]).folder == "DS_SGS__20171207T032513_S20171207T002252"
    assert str(ImageName.parse("T01KAB_20230821T221941_B8A_20m.jp2")) == "T01KAB_20230821T221941_B8A_20m.jp2"
    assert ImageName.parse("T55JEJ_20171207T002051_B03").content == "B03"


@given(st.builds(ProductName, units, st.sampled_from(["L1C", "L2A"]), moments, baselines, st.integers(1, 143), tiles,
                 moments))
def test_product_round_trip(name: ProductName) -> None:
    assert ProductName.parse(str(name)) == name


@given(st.builds(DatastripName, units, strip_levels, sites, moments, moments, baselines))
def test_datastrip_round_trip(name: DatastripName) -> None:
    assert DatastripName.parse(str(name)) == name


@given(st.builds(GranuleName, units, st.sampled_from(["L0", "L1A", "L1B"]), sites, moments, moments,
                 st.integers(1, 12), baselines))
def test_granule_round_trip(name: GranuleName) -> None:
    assert GranuleName.parse(str(name)) == name
    assert name.image("B8A").endswith(f"_D{name.detector:02d}_B8A.jp2")


@given(st.builds(TileName, units, st.sampled_from(["L1C", "L2A"]), sites, moments, st.integers(0, 999999), tiles,
                 baselines))
def test_tile_round_trip(name: TileName) -> None:
    assert TileName.parse(str(name)) == name


@given(st.builds(ImageName, tiles, moments, st.sampled_from(["B01", "B8A", "TCI", "SCL"]),
                 st.sampled_from([None, 10, 20, 60])))
def test_image_round_trip(name: ImageName) -> None:
    assert ImageName.parse(str(name)) == name


@pytest.mark.parametrize("text", ["S2A_MSIL1C_20171207T002051_N206_R116_T55JEJ_20171207T032513", "../../x", ""])
def test_other_names_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        ProductName.parse(text)


def test_impossible_date_is_refused() -> None:
    with pytest.raises(InputError, match="no date"):
        ProductName.parse("S2A_MSIL1C_20171307T002051_N0206_R116_T55JEJ_20171207T032513")
    with pytest.raises(InputError, match="no ISO date"):
        parse_iso("yesterday")
