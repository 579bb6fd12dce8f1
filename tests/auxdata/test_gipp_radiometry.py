"""Readers of the radiometric GIPPs: what is written comes back, what is wrong is refused by file and field."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import radiometry_model as model

from s2dask.auxdata.gipp_radiometry import read_blindp, read_r2abca, read_r2crco, read_r2depi, read_r2eqog
from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS, unit


def _write(folder: Path, kind: str, text: str, band_name: str = "B00") -> Path:
    path = folder / model.gipp_name(kind, band_name)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["B04", "B8A", "B01", "B11", "B10"])
def test_r2eqog_comes_back(tmp_path: Path, name: str) -> None:
    p = model.pixels(name)
    read = read_r2eqog(_write(tmp_path, "R2EQOG", model.r2eqog(p, (5, 6)), name), "S2A", name, (6,))
    assert list(read.detectors) == [6]
    response = read.detectors[6]
    assert response.model == ("CUBIC" if p.cubic else "BI-LINEAR")
    assert response.dark.shape == (BANDS[name].chronogram_lines, BANDS[name].raw_columns)
    np.testing.assert_allclose(response.dark, p.dark, rtol=1e-11)
    np.testing.assert_allclose(response.coefficients, p.response, rtol=1e-11)


def test_r2eqog_takes_the_table_of_the_tdi_configuration(tmp_path: Path) -> None:
    other = model.r2eqog(model.pixels("B03", seed=1)).replace('"APPLIED"', '"LINE_A"')
    applied = model.pixels("B03", seed=2)
    extra = re.search(r"<COEFFICIENTS_LIST.*</COEFFICIENTS_LIST>", model.r2eqog(applied), re.DOTALL)
    assert extra is not None
    text = other.replace("</DATA>", extra.group() + "</DATA>")
    read = read_r2eqog(_write(tmp_path, "R2EQOG", text, "B03"), "S2A", "B03")
    np.testing.assert_allclose(read.detectors[6].dark, applied.dark, rtol=1e-11)
    with pytest.raises(InputError, match="TDI configuration of B03"):
        read_r2eqog(_write(tmp_path, "R2EQOG", other, "B03"), "S2A", "B03")


def test_r2abca_comes_back(tmp_path: Path) -> None:
    read = read_r2abca(_write(tmp_path, "R2ABCA", model.r2abca()), "S2A")
    assert dict(read.gains) == {n: b.gain for n, b in unit("S2A").bands.items()}
    assert dict(read.solar_irradiance) == {n: b.solar_irradiance for n, b in unit("S2A").bands.items()}


def test_r2crco_comes_back_as_victim_by_source(tmp_path: Path, reference_data: Path) -> None:
    read = read_r2crco(_write(tmp_path, "R2CRCO", model.r2crco()), "S2A")
    lines = (reference_data / "radiometry/csv/crosstalk_electronic.csv").read_text().splitlines()
    rows = [r for r in csv.DictReader(x for x in lines if not x.startswith("#")) if r["unit"] == "S2A"]
    assert len(rows) == 6
    for row in rows:
        k, source = BANDS[row["victim_k"]].index, BANDS[row["source_l"]].index
        assert read.electrical[k, source] == float(row["coefficient"])
    assert np.count_nonzero(read.electrical) == 6
    assert not read.optical.any()


def test_r2depi_gathers_every_singularity(tmp_path: Path) -> None:
    text = model.r2depi({("B11", 6): (812, 500), ("B11", 7): (), ("B02", 6): (3,)})
    more = '<SINGULARITY type="BLIND"><POSITION detector_id="06"><COLUMNS>7 500</COLUMNS></POSITION></SINGULARITY>'
    text = text.replace("</SINGULARITY_LIST></BAND>", more + "</SINGULARITY_LIST></BAND>")
    read = read_r2depi(_write(tmp_path, "R2DEPI", text), "S2A")
    assert read.columns["B11", 6] == (7, 500, 812)
    assert read.columns["B02", 6] == (3, 7, 500)
    assert ("B11", 7) not in read.columns


def test_the_real_blindp_agrees_with_the_band_table(reference_data: Path) -> None:
    path = next((reference_data / "radiometry/gipp").glob("S2A_OPER_GIP_BLINDP*"))
    read = read_blindp(path, "S2A")
    for detector in range(1, 13):
        for b in BANDS.values():
            assert read.valid[b.name, detector] == b.blind_columns
            both = {*read.valid[b.name, detector], *read.invalid[b.name, detector]}
            assert both == {*range(b.blind), *range(b.raw_columns - b.blind, b.raw_columns)}


def _replace(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text or re.search(old, text), old
        return re.sub(old, new, text, count=1)

    return change


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (_replace(r"<COEFF_A>\S+", "<COEFF_A>nan"), "COEFF_A: value nan at position 0"),
        (_replace(r"<LINE3>\S+", "<LINE3>inf"), "LINE3: value inf"),
        (_replace(r"<LINE2>\S+", "<LINE2>-3"), r"LINE2: value -3.0 at position 0 is outside 0 to 4095"),
        (_replace(r"<LINE2>\S+", "<LINE2>4e2x"), "LINE2: not a list of numbers"),
        (_replace(r"<LINE6>\S+ ", "<LINE6>"), "LINE6: 2591 values instead of 2592"),
        (_replace(r"(<COEFF_C>(?:\S+ ){700})\S+", r"\g<1>1e30"), "COEFF_C: value 1e.30 at position 680"),
        (_replace("<NB_OF_PIXELS>2592", "<NB_OF_PIXELS>2552"), "NB_OF_PIXELS: 2552 outside 2592"),
        (_replace("<BAND_ID>3", "<BAND_ID>2"), "BAND_ID: band 2 instead of 3"),
        (_replace('detector_id="06"', 'detector_id="13"'), "@detector_id: 13 outside 1 to 12"),
        (_replace('detector_id="06"', 'detector_id="07"'), "none of the detectors 6"),
        (_replace("LINE4>", "LIGNE4>"), r"no well-formed XML|LINE4"),
        (_replace("<SATELLITE>S2A", "<SATELLITE>S2B"), "HEADER/SATELLITE: a GIPP of S2B for S2A"),
        (_replace("CUBIC>.*</CUBIC", "BI-LINEAR></BI-LINEAR"), "GROUND_EQUALIZATION/CUBIC: missing"),
    ],
)
def test_a_bad_r2eqog_is_refused_by_file_and_field(tmp_path: Path, change: Callable[[str], str], field: str) -> None:
    path = _write(tmp_path, "R2EQOG", change(model.r2eqog(model.pixels("B04"))), "B04")
    with pytest.raises(InputError, match=field) as caught:
        read_r2eqog(path, "S2A", "B04", (6,))
    assert caught.value.where == path.name


def test_blind_pixels_may_hold_any_response(tmp_path: Path) -> None:
    text = re.sub(r"<COEFF_C>\S+", "<COEFF_C>0", model.r2eqog(model.pixels("B04")))
    assert read_r2eqog(_write(tmp_path, "R2EQOG", text, "B04"), "S2A", "B04").detectors[6].coefficients[2, 0] == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (_replace(r"<PHYSICAL_GAINS>[\d.]+", "<PHYSICAL_GAINS>0"), "PHYSICAL_GAINS: 0.0 is not above 0.0"),
        (_replace(r"<PHYSICAL_GAINS>[\d.]+", "<PHYSICAL_GAINS>NaN"), r"BAND\[band_id=0\]/PHYSICAL_GAINS: value nan"),
        (_replace("W/m²/µm", "mW/m2/nm"), "SOLAR_IRRADIANCE/@unit: unit 'mW/m2/nm'"),
        (_replace('band_id="1"', 'band_id="0"'), "B01 is there twice"),
        (_replace('<BAND band_id="8">.*?</BAND>', ""), "BAND: no B8A"),
        (_replace('band_id="12"', 'band_id="13"'), "@band_id: 13 outside 0 to 12"),
        (_replace(r"<SOLAR_IRRADIANCE.*?</SOLAR_IRRADIANCE>", ""), "SOLAR_IRRADIANCE: missing"),
    ],
)
def test_a_bad_r2abca_is_refused_by_field(tmp_path: Path, change: Callable[[str], str], field: str) -> None:
    path = _write(tmp_path, "R2ABCA", change(model.r2abca()))
    with pytest.raises(InputError, match=field):
        read_r2abca(path, "S2A")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (_replace(r"<ELECTRICAL>\S+", "<ELECTRICAL>0.5"), "ELECTRICAL: value 0.5"),
        (_replace(r"<OPTICAL>\S+ ", "<OPTICAL>"), "OPTICAL: 12 values instead of 13"),
        (_replace('<CROSSTALK_COEFF band_id_k="11">.*?</CROSSTALK_COEFF>', ""), "CROSSTALK_COEFF_LIST: no B11"),
    ],
)
def test_a_bad_r2crco_is_refused_by_field(tmp_path: Path, change: Callable[[str], str], field: str) -> None:
    with pytest.raises(InputError, match=field):
        read_r2crco(_write(tmp_path, "R2CRCO", change(model.r2crco())), "S2A")


def test_a_defective_column_outside_the_line_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"COLUMNS: column outside 0 to 1295"):
        read_r2depi(_write(tmp_path, "R2DEPI", model.r2depi({("B11", 6): (1296,)})), "S2A")


def test_entities_are_not_expanded(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("S2A")
    text = model.r2abca().replace("<!-- test -->", f'<!DOCTYPE x [<!ENTITY leak SYSTEM "{secret.as_uri()}">]>')
    text = text.replace("<SATELLITE>S2A<", "<SATELLITE>&leak;<")
    with pytest.raises(InputError):
        read_r2abca(_write(tmp_path, "R2ABCA", text), "S2A")


def test_files_that_are_absent_cut_or_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match="R2ABCA"):
        read_r2abca(tmp_path / model.gipp_name("R2ABCA"), "S2A")
    with pytest.raises(InputError, match="no well-formed XML"):
        read_r2abca(_write(tmp_path, "R2ABCA", model.r2abca()[:-30]), "S2A")
    with pytest.raises(InputError, match="instead of GS2_ABSOLUTE_CALIBRATION"):
        read_r2abca(_write(tmp_path, "R2CRCO", model.r2crco()), "S2A")
