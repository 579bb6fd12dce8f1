"""MTD_DS.xml of a tile: complete and valid where the tile brings its datastrip's metadata, and theirs in content."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from l1_store_model import strip_store
from lxml import etree
from release_model import make_l1c, make_l2a

from s2dask.errors import InputError
from s2dask.io.datastrip_document import DATASTRIP, archived_document, read_document, write_document
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.safe_facts import datastrip_facts
from s2dask.io.storage import open_array
from s2dask.production.convert import convert
from s2dask.release.safe_datastrip_xml import datastrip_metadata
from s2dask.release.safe_l1ab import write_safe_l1ab
from s2dask.release.safe_l1c import write_safe_l1c
from s2dask.release.tile_store import TileStore

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MAKE = {"L1C": make_l1c, "L2A": make_l2a}
REAL = {
    "L1B": "radiometry/metadata/l1b/S2A_OPER_MTD_L1B_DS_DPRM_20140630T140000_S20200816T120220.xml",
    "L1C": "radiometry/metadata/l1c/S2B_OPER_MSI_L1C_DS_REFS_20221124T170956_S20221011T064025_N04.00/"
    "S2B_OPER_MTD_L1C_DS_REFS_20221124T170956_S20221011T064025.xml",
}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the metadata of an L1B datastrip of ours."""
    where = tmp_path_factory.mktemp("strip")
    product = write_safe_l1ab(strip_store(where, detectors=(6,), names=("B09",), scenes=1), where, CREATED)
    told = archived_document(SafeArchive.open(product))
    assert told is not None
    return told


def tile(folder: Path, level: str, told: bytes) -> str:
    url = MAKE[level](folder / f"{level}.zarr")
    write_document(url, told)
    return url


def check(document: etree._Element, level: str, reference: Path) -> None:
    path = reference / f"radiometry/xsd/psd148_s2tbx/S2_PDI_Level-{level[1:]}_Datastrip_Metadata.xsd"
    if not path.exists():
        pytest.skip(f"no schema at {path}")
    etree.XMLSchema(etree.parse(path)).assertValid(etree.ElementTree(document))


@pytest.mark.row("IPF-34")
@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_valid_with_the_metadata_of_our_datastrip(
    level: str, ours: bytes, tmp_path: Path, reference_data: Path
) -> None:
    document = datastrip_metadata(TileStore.open(tile(tmp_path, level, ours)))
    check(etree.fromstring(etree.tostring(document)), level, reference_data)


@pytest.mark.parametrize("level", ["L1C", "L2A"])
@pytest.mark.parametrize("source", sorted(REAL))
def test_valid_with_real_metadata(level: str, source: str, tmp_path: Path, reference_data: Path) -> None:
    if not (path := reference_data / REAL[source]).exists():
        pytest.skip(f"no metadata at {path}")
    store = TileStore.open(tile(tmp_path, level, path.read_bytes()))
    document = datastrip_metadata(store)
    check(etree.fromstring(etree.tostring(document)), level, reference_data)
    real = etree.parse(path).getroot()
    for tag in ("GPS_Point", "QUATERNION_VALUES", "Band_Time_Stamp", "Radiometric_Quality", "Spectral_Information"):
        assert len(list(document.iter(tag))) == len(list(real.iter(tag))) > 0, tag
    facts = datastrip_facts(real)
    assert document.findtext(".//DATASTRIP_SENSING_STOP") == facts["datastrip_stop"]
    assert document.findtext(".//RECEPTION_STATION") == facts["station"]
    assert document.findtext(".//UT1_UTC") == real.findtext(".//UT1_UTC")


def test_a_tile_that_brings_none_says_what_it_knows(tmp_path: Path) -> None:
    document = datastrip_metadata(TileStore.open(make_l1c(tmp_path / "t.zarr")))
    assert document.find(".//Ephemeris") is None
    assert [e.text for e in document.iter("ACTIVE_DETECTOR")] == ["06", "07"]


def test_the_metadata_travel_through_both_forms(ours: bytes, tmp_path: Path) -> None:
    url = tile(tmp_path, "L1C", ours)
    safe = write_safe_l1c(url, tmp_path / "a")
    again = convert(str(safe), str(tmp_path / "b.zarr"))
    (written,) = safe.glob("DATASTRIP/*/MTD_DS.xml")
    assert read_document(again) == written.read_bytes()
    assert open_array(again, DATASTRIP).dtype == "uint8"
    back = convert(again, str(tmp_path / "c.SAFE"))
    (last,) = Path(back).glob("DATASTRIP/*/MTD_DS.xml")
    assert last.read_bytes() == written.read_bytes()


def test_damaged_metadata_are_refused(tmp_path: Path) -> None:
    store = TileStore.open(tile(tmp_path, "L1C", b"<half>"))
    with pytest.raises(InputError, match="not well-formed"):
        datastrip_metadata(store)
