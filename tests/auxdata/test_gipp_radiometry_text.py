"""The GIPPs that are written by hand-made text: what is written reads back equal, what cannot be is not written."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import gipp_examples as examples
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s2dask.auxdata.gipp_file import GippHeader, write_gipp_record
from s2dask.auxdata.gipp_geometry import FrameRotation, SpacecraftModel, ViewingDirections
from s2dask.auxdata.gipp_radiometry import (
    AbsoluteCalibration,
    BlindPixels,
    CrosstalkCorrection,
    DefectivePixels,
    DetectorResponse,
    GroundEqualisation,
)
from s2dask.auxdata.gipp_radiometry_text import (
    write_blindp,
    write_r2abca,
    write_r2crco,
    write_r2depi,
    write_r2eqog,
)
from s2dask.auxdata.gipp_types import TYPES
from s2dask.errors import InputError
from s2dask.instrument import BANDS, band

FILE = "S2C_TEST.xml"
HEADER = GippHeader(version="0042", provider="MPC")
NAMES = st.sampled_from(sorted(BANDS))
DETECTORS = st.lists(st.integers(1, 12), min_size=1, max_size=3, unique=True)
SEEDS = st.integers(0, 2**32).map(np.random.default_rng)


def again(value: Any) -> Any:
    """Return what is read from what is written."""
    name = next(name for name, one in TYPES.items() if one.record is type(value))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILE)
        path.write_text(TYPES[name].write(value), "utf-8")
        return TYPES[name].read(path, "S2C", getattr(value, "band", ""))


def equalisation(name: str, detectors: list[int], random: np.random.Generator) -> GroundEqualisation:
    b = band(name)
    cubic = b.focal_plane == "VNIR"
    low, high = (
        np.array(v)[:, np.newaxis]
        for v in (((-1e-7, -1e-3, 0.5), (1e-7, 1e-3, 2.0)) if cubic else ((0.5, 0.5, 0), (2, 2, 4000)))
    )
    tables = {
        d: DetectorResponse(
            "CUBIC" if cubic else "BI-LINEAR",
            random.uniform(0, 4095, (b.chronogram_lines, b.raw_columns)),
            random.uniform(low, high, (3, b.raw_columns)),
        )
        for d in detectors
    }
    return GroundEqualisation("S2C", FILE, name, tables, header=HEADER)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(NAMES, DETECTORS, SEEDS)
def test_r2eqog_reads_back_equal(name: str, detectors: list[int], random: np.random.Generator) -> None:
    value = equalisation(name, detectors, random)
    assert examples.same(again(value), value)


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_r2abca_and_r2crco_read_back_equal(random: np.random.Generator) -> None:
    gains, suns, accuracy = (dict(zip(BANDS, random.uniform(1, 90, 13).tolist(), strict=True)) for _ in range(3))
    value = AbsoluteCalibration("S2C", FILE, gains, suns, accuracy, header=HEADER)
    assert examples.same(again(value), value)
    tables = random.uniform(-0.1, 0.1, (2, 13, 13))
    leak = CrosstalkCorrection("S2C", FILE, tables[0], tables[1], header=HEADER)
    assert examples.same(again(leak), leak)


COLUMNS = st.lists(st.integers(0, 1295), min_size=1, max_size=5, unique=True).map(lambda c: tuple(sorted(c)))


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.tuples(st.sampled_from(["DEAD", "SATURATED_RESPONSE"]), NAMES, st.integers(1, 12)), COLUMNS))
def test_r2depi_reads_back_equal(singularities: dict[tuple[str, str, int], tuple[int, ...]]) -> None:
    value = DefectivePixels("S2C", FILE, singularities, header=HEADER)
    found = again(value)
    assert examples.same(found, value)
    for (_, name, detector), columns in singularities.items():
        assert set(columns) <= set(found.columns[name, detector])


@settings(max_examples=10, deadline=None)
@given(st.dictionaries(st.tuples(NAMES, st.integers(1, 12)), st.floats(1, 30), min_size=1), SEEDS)
def test_blindp_reads_back_equal(coefficients: dict[tuple[str, int], float], random: np.random.Generator) -> None:
    def side(name: str, low: int, high: int) -> tuple[int, ...]:
        last = band(name).raw_columns
        return (*range(low, high), *range(last - high, last - low))

    cut = int(random.integers(1, 9))
    valid = {(n, d): side(n, 0, cut) for n, d in coefficients}
    invalid = {(n, d): side(n, cut, 10) for n, d in coefficients}
    value = BlindPixels("S2C", FILE, valid, invalid, coefficients, header=HEADER)
    assert examples.same(again(value), value)


ANGLES = st.floats(-0.1, 0.1)
ROTATIONS = st.builds(FrameRotation, ANGLES, ANGLES, ANGLES, st.floats(0.5, 2.0), st.booleans())


@settings(max_examples=20, deadline=None)
@given(ROTATIONS, ROTATIONS, ROTATIONS, st.dictionaries(st.tuples(st.just("SWIR"), st.integers(1, 12)), ROTATIONS))
def test_spamod_reads_back_equal(
    piloting: FrameRotation, vnir: FrameRotation, swir: FrameRotation, detectors: dict[tuple[str, int], FrameRotation]
) -> None:
    value = SpacecraftModel(piloting, {"VNIR": vnir, "SWIR": swir}, detectors, unit="S2C", file=FILE, header=HEADER)
    assert examples.same(again(value), value)


@settings(max_examples=6, deadline=None)
@given(NAMES, DETECTORS, SEEDS)
def test_viedir_reads_back_equal(name: str, detectors: list[int], random: np.random.Generator) -> None:
    kinds = ("APPLIED", "LINE_A", "LINE_B") if band(name).tdi else ("NO_TDI",)
    tangents = {(kind, d): random.uniform(-1, 1, (2, band(name).columns)) for kind in kinds for d in detectors}
    value = ViewingDirections(name, tangents, "S2C", FILE, HEADER)
    assert examples.same(again(value), value)


def test_what_cannot_be_is_not_written() -> None:
    value = equalisation("B11", [6], np.random.default_rng(0))
    response = value.detectors[6]
    broken = response.coefficients.copy()
    broken[1, 7] = np.inf
    for wrong, what in (
        (replace(response, coefficients=broken), "COEFF_A2: value inf at position 7"),
        (replace(response, dark=response.dark[:2]), "COEFF_D: 2 lines instead of 3"),
        (replace(response, dark=response.dark[:, 1:]), "COEFF_D/LINE1: .* instead of 1296"),
    ):
        with pytest.raises(InputError, match=f"^{FILE}: {what}"):
            write_r2eqog(replace(value, detectors={6: wrong}))
    gains = dict.fromkeys(BANDS, float("nan"))
    with pytest.raises(InputError, match="PHYSICAL_GAINS: value nan at position 0"):
        write_r2abca(AbsoluteCalibration("S2C", FILE, gains, gains))
    with pytest.raises(InputError, match=r"OPTICAL: .* instead of 13"):
        write_r2crco(CrosstalkCorrection("S2C", FILE, np.zeros((13, 12)), np.zeros((13, 13))))
    tangents = {("NO_TDI", 1): np.full((2, 425), np.nan)}
    with pytest.raises(InputError, match="TAN_PSI_X_LIST: value nan"):
        write_gipp_record(ViewingDirections("B10", tangents, "S2C", FILE))


@pytest.mark.parametrize("name", ["BLINDP", "R2DEPI"])
def test_a_band_twice_is_refused(name: str, tmp_path: Path) -> None:
    blind = BlindPixels("S2C", FILE, {("B01", 1): (0, 1295)}, {("B01", 1): (1, 1294)})
    text = write_blindp(blind) if name == "BLINDP" else write_r2depi(DefectivePixels("S2C", FILE, {}))
    start, stop = text.index("<BAND "), text.index("</BAND>") + len("</BAND>")
    path = tmp_path / FILE
    path.write_text(text[:stop] + text[start:stop] + text[stop:])
    with pytest.raises(InputError, match=r"B01.* is there twice"):
        TYPES[name].read(path, "S2C")
