"""GIPPs of the telemetry: the real ones, and what is refused."""

from pathlib import Path

import pytest

from s2dask.auxdata.gipp_datation import (
    AncillaryAnalysis,
    ImageAnalysis,
    read_ancillary_analysis,
    read_datation,
    read_image_analysis,
)
from s2dask.errors import InputError
from s2dask.instrument import BANDS, DETECTORS, GPS_MINUS_TAI, LINE_PERIOD


def _real(reference_data: Path, kind: str) -> Path:
    return next((reference_data / "ops/aux").glob(f"*GIP_{kind}*/*.DBL"))


@pytest.mark.row("IPF-03")
def test_the_real_datation(reference_data: Path) -> None:
    found = read_datation(_real(reference_data, "DATATI"), "S2B")
    assert found.line_period == pytest.approx(LINE_PERIOD, rel=1e-15)
    assert found.refined_period == pytest.approx(LINE_PERIOD, rel=1e-15)
    assert found.gps_minus_tai == GPS_MINUS_TAI == -19
    assert found.time_shift == dict.fromkeys(BANDS, 0.0)
    assert (found.largest_period_error, found.sigmas, found.largest_residual) == pytest.approx((0.009, 3.0, 0.009))
    assert found.delta_on_t0 == {(d, name): -0.002 for d in DETECTORS for name in BANDS}


def test_the_real_analyses(reference_data: Path) -> None:
    image = read_image_analysis(_real(reference_data, "ATMIMA"), "S2B")
    assert image == ImageAnalysis("S2B", image.file, True, 0, 75, 50, "NOMINAL", header=image.header)
    assert (image.header.version, image.header.start) == ("0001", "2017-01-01T00:00:00.0Z")
    packets = read_ancillary_analysis(_real(reference_data, "ATMSAD"), "S2B")
    assert packets == AncillaryAnalysis("S2B", packets.file, True, 27, 143, header=packets.header)


def test_relative_orbits(reference_data: Path) -> None:
    # the real datatake GS2B_20221011T064029_029232 names its files A000034; orbit 26904 of S2A is R023
    assert read_ancillary_analysis(_real(reference_data, "ATMSAD"), "S2B").relative_orbit(29_232) == 34
    assert AncillaryAnalysis("S2A", "", False, 141, 143).relative_orbit(26_904) == 23
    assert [AncillaryAnalysis("S2B", "", False, 27, 143).relative_orbit(27 + k) for k in (0, 142, 143)] == [1, 143, 1]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('band_id="4"', 'band_id="3"', "TIME_SHIFT_LIST/TIME_SHIFT[band_id=3][unit=ms]: B04 is there twice"),
        (
            "<DETECTOR_ID>07</DETECTOR_ID>",
            "<DETECTOR_ID>06</DETECTOR_ID>",
            "BAND_PARAMETERS[BAND_ID=0]/DETECTOR_PARAMETERS: 6 is there twice",
        ),
        ("<DETECTOR_ID>07</DETECTOR_ID>", "<DETECTOR_ID>13</DETECTOR_ID>", "13 outside 1 to 12"),
        ("-0.002</DELTA_ON_T0>", "nan</DELTA_ON_T0>", "outside -10 to 10"),
        ('PERIOD unit="ms"', 'PERIOD unit="us"', "unit 'us' instead of 'ms'"),
        (">-19<", ">19<", "19 outside -19 to -19"),
        ("<NSIG_THRESHOLD>3</NSIG_THRESHOLD>", "", "NSIG_THRESHOLD: missing"),
        ("<SATELLITE>S2B", "<SATELLITE>S2A", "a GIPP of S2A for S2B"),
    ],
)
def test_what_is_no_datation_is_refused(reference_data: Path, tmp_path: Path, old: str, new: str, what: str) -> None:
    text = _real(reference_data, "DATATI").read_text("utf-8")
    assert old in text
    path = tmp_path / "S2B_OPER_GIP_DATATI.DBL"
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(InputError, match=r"GIP_DATATI\.DBL: ") as error:
        read_datation(path, "S2B")
    assert what in str(error.value)


def test_another_kind_is_refused(reference_data: Path) -> None:
    with pytest.raises(InputError, match="root element"):
        read_image_analysis(_real(reference_data, "ATMSAD"), "S2B")
