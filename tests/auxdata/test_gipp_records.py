"""Every GIPP type: what is written reads back equal and fits the published schemas; what cannot be is refused."""

import csv
import json
import re
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import gipp_examples as examples
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from s2dask.auxdata.gipp_binning import binning, write_r2binn
from s2dask.auxdata.gipp_container import read_gipp
from s2dask.auxdata.gipp_defect_filters import DefectFilter, DefectFilters
from s2dask.auxdata.gipp_equalisation import OnboardEqualisation, onboard_table, write_r2eob2
from s2dask.auxdata.gipp_file import Gipp, GippHeader, pack
from s2dask.auxdata.gipp_rearrangement import SwirRearrangement, write_r2swir
from s2dask.auxdata.gipp_record import Taps
from s2dask.auxdata.gipp_restoration import BandNoise, NoiseModel
from s2dask.auxdata.gipp_scenario import operational_scenario, write_r2para
from s2dask.auxdata.gipp_set import GippFile
from s2dask.auxdata.gipp_types import PER_BAND, TYPES, gipp_type
from s2dask.auxdata.gipp_values import frozen
from s2dask.auxdata.selection import RULES
from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import BANDS

DECLARED = sorted(name for name, one in TYPES.items() if issubclass(one.record, Gipp) and one.reader is None)
"""The types that are read and written by the annotations of their record."""
FILE = "S2B_OPER_GIP_XXXXXX_MPC__20200801T000000_V20150622T000000_21000101T000000_B00"


def _read(name: str, text: str, band: str, suffix: str = ".DBL") -> Any:
    """Read a text as a file of a type."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE + suffix)
        path.write_bytes(pack(text, FILE) if suffix == ".TGZ" else text.encode())
        return TYPES[name].read(path, "S2B", band)


@pytest.mark.parametrize("name", DECLARED)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_written_reads_back_equal(name: str, data: st.DataObject) -> None:
    value = data.draw(examples.gipps(name, "S2B", FILE + ".DBL"))
    band = getattr(value, "band", "") if TYPES[name].per_band else ""
    assert examples.same(_read(name, TYPES[name].write(value), band), value)


@cache
def example(name: str) -> Any:
    """Return one record of a type, always the same."""
    found: list[Any] = []

    @settings(max_examples=1, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(examples.gipps(name, "S2B", FILE + ".DBL"))
    def draw(value: Any) -> None:
        found.append(value)

    draw()
    return found[-1]


@pytest.mark.parametrize("name", [name for name in DECLARED if TYPES[name].dictionary])
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_written_is_what_the_dictionary_describes(name: str, reference_data: Path, data: st.DataObject) -> None:
    root = etree.fromstring(TYPES[name].write(data.draw(examples.gipps(name, "S2B", FILE))).encode())
    for shift in root.iterfind("DATA/RADIOMETRIC_SHIFT"):
        shift.getparent().remove(shift)  # type: ignore[union-attr] # newer than the dictionary
    examples.schema(reference_data, name).assertValid(root)


def _tree(name: str) -> tuple[etree._Element, str]:
    value = example(name)
    return etree.fromstring(TYPES[name].write(value).encode()), getattr(value, "band", "") if name in PER_BAND else ""


FREE_TEXT = {"TRACE_MODE", "REPRESENTATION_TYPE", "TILE_IDENTIFIER", "HORIZONTAL_CS_CODE", "FINAL_REPRESENTATION"}
"""What any text can stand in, in GIP_TILPAR."""


@pytest.mark.parametrize("name", DECLARED)
def test_nan_is_refused_in_every_field(name: str) -> None:
    root, band = _tree(name)
    leaves: dict[str, etree._Element] = {}
    for leaf in root.iterfind("DATA//*"):
        if not len(leaf) and not (name == "TILPAR" and leaf.tag in FREE_TEXT):
            leaves.setdefault(re.sub(r"\[\d+\]", "", root.getroottree().getpath(leaf)), leaf)
    assert leaves
    for leaf in leaves.values():
        before = leaf.text
        leaf.text = " ".join(["nan", *(before or "").split()[1:]])
        with pytest.raises(InputError, match=f"^{FILE}[.]DBL: .*") as error:
            _read(name, etree.tostring(root, encoding="unicode"), band)
        assert leaf.tag in str(error.value)
        assert "\n" not in str(error.value)
        leaf.text = before


@pytest.mark.parametrize("name", DECLARED)
def test_a_band_detector_or_level_twice_is_refused(name: str) -> None:
    root, band = _tree(name)
    keyed = [e for e in root.iterfind("DATA//*") if {"band_id", "detector_id", "LEVEL_NUMBER", "level"} & set(e.keys())]
    for element in {e.tag: e for e in keyed}.values():
        parent, copy = element.getparent(), etree.fromstring(etree.tostring(element))
        assert parent is not None
        parent.insert(parent.index(element), copy)
        with pytest.raises(InputError, match="twice"):
            _read(name, etree.tostring(root, encoding="unicode"), band)
        parent.remove(copy)


@pytest.mark.parametrize("name", DECLARED)
def test_a_file_of_another_unit_band_kind_or_version_is_refused(name: str) -> None:
    root, band = _tree(name)
    text = etree.tostring(root, encoding="unicode")
    with pytest.raises(InputError, match="HEADER/SATELLITE: a GIPP of S2C for S2B"):
        _read(name, text.replace("<SATELLITE>S2B", "<SATELLITE>S2C"), band)
    with pytest.raises(InputError, match="VERSION_NUMBER: '1' is not four digits"):
        _read(name, re.sub(r"<VERSION_NUMBER>\d+", "<VERSION_NUMBER>1", text), band)
    with pytest.raises(InputError, match="APPLICABILITY_DATE: 'yesterday' is no UTC date"):
        _read(name, re.sub(r"<APPLICABILITY_DATE>[^<]+", "<APPLICABILITY_DATE>yesterday", text), band)
    with pytest.raises(InputError, match="root element"):
        _read("R2BINN" if name != "R2BINN" else "R2NOMO", text, "")
    if band:
        with pytest.raises(InputError, match=r"/DATA/BAND_ID: band \d+ instead of 1 \(B02\)"):
            _read(name, text, "B02")
        with pytest.raises(ConfigurationError, match="one file per band"):
            _read(name, text, "")


def test_an_archive_is_the_same_file() -> None:
    text = TYPES["R2NOMO"].write(example("R2NOMO"))
    assert pack(text, FILE) == pack(text, FILE)
    assert _read("R2NOMO", text, "", ".TGZ").bands == _read("R2NOMO", text, "").bands


def _write(value: Any) -> Any:
    name = next(name for name, one in TYPES.items() if one.record is type(value))
    return TYPES[name].write(value)


def test_the_onboard_table_of_the_packets() -> None:
    tables = {nuc: {6: onboard_table("B11", 455.0, 1.005, 0.995, 600.0 + nuc)} for nuc in (2, 3)}
    value = OnboardEqualisation("S2B", "EOB2.DBL", "B11", tables)
    assert value.table(3, 6).zs[0] == 603.0
    with pytest.raises(InputError, match=r"EOB2\.DBL: .*NUC_TABLE_ID: no table 5, which the packets name, but 2, 3"):
        value.table(5, 6)
    with pytest.raises(InputError, match="COEFFICIENTS: no detector 07"):
        value.table(3, 7)
    text = write_r2eob2(value)
    for old, new, what in (
        ("<NUC_TABLE_ID>3", "<NUC_TABLE_ID>2", "2 is there twice"),
        ("<COEFF_ZS>603 ", "<COEFF_ZS>", "NUC_TABLE.*COEFF_ZS: 1295 values instead of 1296"),
        ('detector_id="06"', 'detector_id="13"', "13 outside 1 to 12"),
    ):
        with pytest.raises(InputError, match=what):
            _read("R2EOB2", text.replace(old, new, 1), "B11")
    columns = " ".join(["0.01"] * 1296)
    with pytest.raises(InputError, match=r"COEFF_A1: value 0\.01 at position 0 is outside 0\.1 to 10"):
        _read("R2EOB2", re.sub("<COEFF_A1>[^<]+", f"<COEFF_A1>{columns}", text), "B11")
    with pytest.raises(InputError, match="the tables 2, 3 differ in their detectors"):
        _read("R2EOB2", text.replace('detector_id="06"', 'detector_id="05"', 1), "B11")


def test_what_is_no_number_is_not_written() -> None:
    value = onboard_table("B11", 455.0, 1.0, 1.0, np.nan)
    with pytest.raises(InputError, match="COEFF_ZS: value nan at position 0"):
        write_r2eob2(OnboardEqualisation("S2B", "x.DBL", "B11", {3: {6: value}}))
    with pytest.raises(InputError, match=r"KERNEL: its values have the sum 2 instead of 1"):
        write_r2binn(binning("S2B", {name: np.full((3, 7), 2 / 21) for name in ("B01", "B09", "B10")}))
    with pytest.raises(InputError, match="BAND: B09 is missing"):
        write_r2binn(binning("S2B", {name: np.full((3, 7), 1 / 21) for name in ("B01", "B10")}))


def test_the_lines_of_swir_columns() -> None:
    lines = {(b, d): frozen(np.zeros(BANDS[b].raw_columns, np.int8)) for b in ("B10", "B11", "B12") for d in (1, 2)}
    value = SwirRearrangement("S2B", "x.DBL", Taps.across(np.array([0.0, 2 / 3, 1 / 3])), lines)
    text = write_r2swir(value)
    assert examples.same(_read("R2SWIR", text, "").lines[("B11", 2)], lines["B11", 2])
    for old, new, what in (
        ('band_id="12"', 'band_id="9"', "B09 is none of B10, B11, B12"),
        ('detector_id="02">0', 'detector_id="02">2', "value 2.0 at position 0 is outside -1 to 1"),
        ('detector_id="02">0', 'detector_id="02">0.5', "value 0.5 at position 0 is no integer"),
        ("<NB_OF_COLS>3", "<NB_OF_COLS>4", "3 values for 1 x 4"),
    ):
        with pytest.raises(InputError, match=what):
            _read("R2SWIR", text.replace(old, new, 1), "")


def test_the_filter_of_a_defect_uses_the_most_neighbours() -> None:
    def flat(run: int, left: int, right: int) -> DefectFilter:
        return DefectFilter(run, left, right, np.full((run, left + right), 1 / (left + right)))

    value = DefectFilters("S2B", "x.DBL", "B11", (flat(1, 1, 1), flat(1, 2, 2), flat(1, 2, 0), flat(2, 1, 1)))
    assert [(f.left, f.right) for f in (value.of(1, 5, 2), value.of(1, 9, 1), value.of(1, 2, 0)) if f] == [
        (2, 2),
        (1, 1),
        (2, 0),
    ]
    assert value.of(3, 9, 9) is None
    assert value.of(1, 0, 1) is None
    text = _write(value)
    with pytest.raises(InputError, match=r"CONFIGURATION/FILTER/ARRAY/ROW: row 0 has the sum 1.5"):
        _read("R2DEFI", text.replace("<ROW>0.5 0.5", "<ROW>1 0.5", 1), "B11")


def test_the_scenario_of_operations() -> None:
    value = operational_scenario("S2B", FILE)
    assert (value.radiance_offset_l1b, value.reflectance_offset_l1c, value.missing_lines_threshold) == (-100, -1000, 3)
    assert set(value.restoration.values()) == {"NONE"}
    assert (value.defective_pixels, value.no_data_pixels) == (True, True)
    for flags in (value.equalization, value.offset, value.dark_signal):
        assert all(flags[name] for name in BANDS)
    text = write_r2para(value)
    mixed = _read("R2PARA", text.replace('band_id="3">-100<', 'band_id="3">-99<'), "")
    with pytest.raises(InputError, match="RADIANCE_OFFSET_L1B: -100 and -99 for different bands"):
        _ = mixed.radiance_offset_l1b
    older = _read("R2PARA", re.sub("<RADIOMETRIC_SHIFT>.*</RADIOMETRIC_SHIFT>", "", text, flags=re.DOTALL), "")
    assert (older.shift, older.radiance_offset_l1b) == (None, 0)
    for old, new, what in (
        ("<SATURATED_PIXELS>both", "<SATURATED_PIXELS>often", "'often' is none of no, L1A, L1B, both"),
        ("<BAND_ID>7<", "<BAND_ID>6<", r"BAND_EQUALIZATION: B07 is there twice"),
        ("<RESTORATION>false", "<RESTORATION>perhaps", "RESTORATION: 'perhaps' is neither true nor false"),
        ("<XMIN>0<", "<XMIN>4095<", "LEVELLING_VALUES/XMIN: 4095 is not below 4095"),
    ):
        with pytest.raises(InputError, match=what):
            _read("R2PARA", text.replace(old, new, 1), "")


def test_the_noise_of_a_count() -> None:
    value = NoiseModel("S2B", "", {name: BandNoise(0.5, 0.04) for name in BANDS})
    np.testing.assert_allclose(value.sigma("B04", np.array([0.0, 100.0])), [0.5, np.sqrt(4.25)])


def _real_files(folder: Path) -> list[Path]:
    patterns = (
        "radiometry/gipp/*",
        "gipp_tgz/S2C/*/*B00.TGZ",
        "gipp_tgz/*/GIP_VIEDIR/*_B8A.TGZ",
        "ops/aux/*GIP*/*.DBL",
    )
    return sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())


def test_every_real_file_reads_and_is_written_equal(reference_data: Path, tmp_path: Path) -> None:
    paths = _real_files(reference_data)
    assert len(paths) >= 20
    for path in paths:
        named = GippFile.from_path(path)
        assert named is not None
        one = TYPES[named.type]
        band = named.band if one.per_band else ""
        value = one.read(path, named.unit, band)
        again = tmp_path / path.with_suffix(".DBL").name
        again.write_text(one.write(value), "utf-8")
        found = one.read(again, named.unit, band)
        assert examples.same(found, replace(value, file=again.name))
        assert found.header.version
        content = etree.fromstring(again.read_bytes())
        for gse in content.iterfind("DATA/GSE"):
            gse.getparent().remove(gse)  # type: ignore[union-attr] # newer than the schema
        if one.dictionary:
            examples.schema(reference_data, named.type).assertValid(content)


def test_nothing_of_a_real_file_is_lost(reference_data: Path) -> None:
    """Every number and word of the real files is in what is written, whatever the layout."""
    for path in _real_files(reference_data):
        named = GippFile.from_path(path)
        assert named is not None
        one = TYPES[named.type]
        value = one.read(path, named.unit, named.band if one.per_band else "")
        before, after = (
            {
                (e.tag, *_words(e))
                for e in etree.fromstring(text).iterfind("DATA//*")
                if isinstance(e.tag, str) and not len(e)
            }
            for text in (read_gipp(path), one.write(value).encode())
        )
        assert before <= after


def _words(element: etree._Element) -> list[Any]:
    """Return the words of an element, the numbers among them as such."""
    out: list[Any] = []
    for word in [*(element.text or "").split(), *(f"{k}={v}" for k, v in sorted(element.attrib.items()))]:
        try:
            out.append(float(word))
        except ValueError:
            out.append(word)
    return out


def test_the_table_is_the_public_one(reference_data: Path) -> None:
    with (reference_data / "radiometry/csv/gipp_types.csv").open() as file:
        rows = {r["type"]: r for r in csv.DictReader(line for line in file if not line.startswith("#"))}
    known = json.loads((reference_data / "ops/orchestration/s2_aux_types.json").read_text())
    rules = {one["Name"]: one for one in known}
    for name, one in TYPES.items():
        row = rows[f"GIP_{name}"]
        assert one.levels == tuple(row["levels"].split("/"))
        assert one.per_band == (row["files_per_set"] == "13")
        assert one.unit_dependent == (row["unit_dependent"] == "yes")
        assert one.rule == row["selection_rule"]
        assert one.rule in RULES
        if not row["xsd_type"].startswith("("):
            assert one.dictionary == row["xsd_type"]
        if f"GIP_{name}" in rules:
            assert one.per_band == rules[f"GIP_{name}"]["BandDependent"]
    with pytest.raises(ConfigurationError, match="no such GIPP type: R2XXXX"):
        gipp_type("R2XXXX")


def test_the_header_of_a_name() -> None:
    header = GippHeader.of_name("S2A_OPER_GIP_R2ABCA_MPC__20200801T010203_V20150622T000000_21000101T000000_B00.DBL")
    assert (header.production_date, header.start) == ("2020-08-01T01:02:03.0Z", "2015-06-22T00:00:00.0Z")
    assert GippHeader.of_name("mine.xml") == GippHeader()
