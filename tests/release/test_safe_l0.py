"""Level-0 products in SAFE form: the real samples read, written and read again, and against the mission's schemas."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from lxml import etree

from s2dask.errors import InputError
from s2dask.instrument import BANDS, SCENE_SECONDS, band
from s2dask.instrument.telemetry import ANNOTATION_BYTES, detector_and_band
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.safe_l0 import (
    LOST,
    band_variables,
    conditions,
    gps_date,
    manifest_sizes,
    read_datastrip,
    read_granule,
    read_records,
)
from s2dask.io.safe_l0_metadata import datastrip_facts, granule_facts
from s2dask.release.name_form import parse_iso
from s2dask.release.names import AncillaryName, DatastripName, GranuleName
from s2dask.release.safe_l0_ancillary import annotation
from s2dask.release.safe_l0_xml import datastrip_metadata, granule_metadata

Tree = tuple[str, tuple[tuple[str, str], ...], object, tuple["Tree", ...]]
_PARSER = etree.XMLParser(remove_comments=True)


def _value(text: str) -> object:
    try:
        return tuple(float(word) for word in text.split())
    except ValueError:
        return text.strip()


def _tree(node: etree._Element) -> Tree:
    """Return a metadata tree without what no reader looks at: prefixes, blanks, how a number is spelled."""
    attributes = tuple(sorted((k, v) for k, v in node.attrib.items() if "schemaLocation" not in k))
    return etree.QName(node).localname, attributes, _value(node.text or ""), tuple(_tree(child) for child in node)


def _again(root: etree._Element) -> etree._Element:
    return etree.fromstring(etree.tostring(root))


def _paths(node: etree._Element, above: str = "") -> Iterator[str]:
    where = f"{above}/{etree.QName(node).localname}"
    yield where
    for child in node.iterchildren("*"):
        yield from _paths(child, where)


@pytest.fixture
def granule_file(reference_data: Path) -> Path:
    return next((reference_data / "ops/l0_granule").glob("S2A_OPER_MTD_*.xml"))


@pytest.fixture
def datastrip_file(reference_data: Path) -> Path:
    return next((reference_data / "ops/l0c").glob("S2B_OPER_MTD_*.xml"))


def test_the_real_granule_metadata_come_back_element_by_element(granule_file: Path) -> None:
    root = etree.parse(granule_file, _PARSER).getroot()
    expected = _tree(root)
    facts = granule_facts(root)
    assert (facts.detector, facts.position, facts.cloud_percentage) == (1, 2305, 0.0)
    assert facts.packets == {b.index: (1, 1, b.packets_per_scene) for b in BANDS.values()}
    written = _again(granule_metadata(facts))
    assert _tree(written) == expected


def test_the_real_datastrip_metadata_come_back_element_by_element(datastrip_file: Path) -> None:
    root = etree.parse(datastrip_file, _PARSER).getroot()
    expected = _tree(root)
    facts = datastrip_facts(root)
    assert _tree(_again(datastrip_metadata(facts))) == expected
    assert facts.degradation == (0.0, 0, 0, 0)
    assert {n for _, _, n in facts.packets.values()} == {16 * n for n in (24, 72, 144)}
    for granules in facts.granules.values():
        assert [position for _, position in granules] == [1 + 2304 * scene for scene in range(16)]


def test_the_real_datastrip_stops_with_the_start_of_its_last_scene(datastrip_file: Path) -> None:
    facts = read_datastrip(datastrip_file.parent)
    seconds = (parse_iso(facts.stop) - parse_iso(facts.start)).total_seconds()
    assert seconds == pytest.approx(15 * SCENE_SECONDS, abs=1e-3)
    # and all bands of all detectors begin together, at the datastrip's start, GPS being 18 s ahead
    (date,) = {date for _, date in facts.dates.values()}
    assert gps_date(date) - gps_date(facts.start.rstrip("Z")) == pytest.approx(18e9, abs=1.1e6)


@pytest.mark.parametrize("kind", ["Granule", "Datastrip"])
def test_what_is_written_of_the_real_samples_is_valid(
    kind: str, granule_file: Path, datastrip_file: Path, reference_data: Path
) -> None:
    schema = reference_data / f"radiometry/xsd/psd148_s2tbx/S2_PDI_Level-0_{kind}_Metadata.xsd"
    if kind == "Granule":
        made = granule_metadata(granule_facts(etree.parse(granule_file, _PARSER).getroot()))
    else:
        made = datastrip_metadata(datastrip_facts(etree.parse(datastrip_file, _PARSER).getroot()))
    etree.XMLSchema(etree.parse(schema)).assertValid(_again(made))


def test_cut_band_files_are_refused_by_name(reference_data: Path) -> None:
    with pytest.raises(InputError, match=r"B01\.bin has 1024 of 284448 bytes and 12 more.*allow_truncated"):
        read_granule(reference_data / "ops/l0_granule")


def test_the_heads_of_cut_band_files_are_read_on_request(reference_data: Path) -> None:
    granule = read_granule(reference_data / "ops/l0_granule", allow_truncated=True)
    assert tuple(granule.bands) == ("B01", "B02", "B03", "B05", "B09", "B11")
    assert (granule.scene, granule.codec, len(granule.notes)) == (1, "mrcpb", 13 + 6)
    for name, records in granule.bands.items():
        assert detector_and_band(int(records.apid[0])) == (1, band(name).index)
        # CUC 4+3 of the packet is the sensing time of the metadata, 18 s of GPS ahead
        assert records.time[0] == pytest.approx(gps_date("2019-10-01T08:37:08.840101"), abs=1000)
        assert records.packets.shape == (1, band(name).packet_length)
        # when it was received, 86 minutes after it was taken, and in as many frames as its length needs
        received = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(records.downlink[0]) // 1000)
        assert timedelta(0) <= received - datetime(2019, 10, 1, 10, 3, 21, 645000, tzinfo=UTC) < timedelta(seconds=4)
        least = -(-band(name).packet_length // 1904)
        assert int(records.frames[0]) in (least, least + 1)
        again = annotation(20, band(name).packet_length, 0, int(records.frames[0]), int(records.downlink[0]))
        assert again == records.annotation[0].tobytes()
        variables = band_variables(records, band(name))
        assert (variables["status"] == LOST).sum() == band(name).packets_per_scene - 1
        assert variables["status"][0] == 2


def test_the_manifest_sizes_are_those_of_the_records(reference_data: Path) -> None:
    sizes = manifest_sizes(SafeArchive.open(reference_data / "ops/l0_granule"))
    for name, size in sizes.items():
        if name.endswith(".bin"):
            b = band(name[-7:-4])
            assert size == b.packets_per_scene * (ANNOTATION_BYTES + b.packet_length)


def test_the_real_ancillary_file_is_read_and_is_what_the_manifest_says(reference_data: Path) -> None:
    folder = reference_data / "ops/l0c"
    path = next((folder / "ANC_DATA").iterdir())
    records = read_records(path.read_bytes(), path.name, "ancillary")
    assert (records.count.size, set(records.apid.tolist()), set(np.diff(records.count).tolist())) == (15, {150}, {1})
    assert np.allclose(np.diff(records.time), 10e9, atol=1e6)
    assert hashlib.sha3_256(path.read_bytes()).hexdigest().upper() in (folder / "manifest.safe").read_text()
    name = AncillaryName.parse(path.name)
    assert (str(name), name.content, name.orbit) == (path.stem, "S09123", 34)


def test_the_real_datastrip_gives_the_conditions_of_a_store(reference_data: Path) -> None:
    made = conditions(read_datastrip(reference_data / "ops/l0c"))
    assert made["conditions/ephemeris/position"].shape == (123, 3)
    assert np.allclose(np.linalg.norm(made["conditions/ephemeris/position"], axis=1), 7.165e6, rtol=0.002)
    assert np.allclose(np.linalg.norm(made["conditions/attitude/quaternion"], axis=1), 1.0, atol=1e-6)
    assert made["conditions/datation/first_line_date"].shape == (12, 13)


def test_real_names_of_unconsolidated_products_come_back(reference_data: Path) -> None:
    for path in sorted((reference_data / "ops/l0u").glob("*.xml")):
        root = etree.parse(path, _PARSER).getroot()
        found = root.findtext(".//GRANULE_ID")
        name = GranuleName.parse(found) if found else DatastripName.parse(str(root.get("datastripIdentifier")))
        assert (name.level, name.baseline, name.metadata) == ("L0U", "00.00", path.name)
        assert str(name) == (found or root.get("datastripIdentifier"))


def test_an_unconsolidated_granule_is_read_without_its_geometry(reference_data: Path) -> None:
    path = next((reference_data / "ops/l0u").glob("*GR*D02.xml"))
    facts = granule_facts(etree.parse(path, _PARSER).getroot())
    assert (facts.detector, facts.footprint.size, facts.packets[1]) == (2, 0, (1, 1, 144))
