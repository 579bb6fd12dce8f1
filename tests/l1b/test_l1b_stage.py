"""The L1B chain of a detector: closure on truth, independence of the cut, flags, intermediates, refusals."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import radiometry_model as model
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.instrument import BANDS, band, unit
from s2dask.instrument.quality import (
    DEFECTIVE,
    DETECTOR_SHIFT,
    MSI_DEGRADED,
    MSI_LOST,
    NODATA,
    PARTIALLY_CORRECTED,
    SATURATED,
)
from s2dask.l1b.coding import code, radiance
from s2dask.l1b.parameters import BandParameters, RadiometricParameters, band_parameters
from s2dask.l1b.relative_response import BILINEAR, CUBIC
from s2dask.l1b.stage import STEPS, GranuleBand, margins, process_granule, radiometric_parameters
from s2dask.l1b.step_by_step import INTERMEDIATES

DETECTOR = 6
BASE = DETECTOR << DETECTOR_SHIFT
TRIO = ("B10", "B11", "B12")
START, STOP = datetime(2020, 8, 16, 12, 2, tzinfo=UTC), datetime(2020, 8, 16, 12, 3, tzinfo=UTC)


def _band(p: model.Pixels) -> BandParameters:
    values = unit("S2A").bands[p.name]
    return band_parameters(
        p.name,
        dark=p.dark,
        blind=band(p.name).blind_columns,
        model=CUBIC if p.cubic else BILINEAR,
        response=p.response,
        defective=p.defective,
        gain=values.gain,
        solar_irradiance=values.solar_irradiance,
    )


def _crosstalk() -> np.ndarray:
    table = np.zeros((13, 13))
    for (victim, source), coefficient in model.CROSSTALK.items():
        table[band(victim).index, band(source).index] = coefficient
    return table


INSTRUMENT = {
    name: model.pixels(name, defective=(band(name).blind + 40, band(name).blind + 41)) for name in ("B04", "B01", *TRIO)
}
PARAMETERS = RadiometricParameters(
    "S2A", DETECTOR, {name: _band(p) for name, p in INSTRUMENT.items()}, crosstalk=_crosstalk()
)


def _lines(name: str, lines_60m: int) -> int:
    return lines_60m * 6 // band(name).line_factor


def _telemetry(
    bands: tuple[str, ...], lines_60m: int, first_60m: int = 0
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the equalised truth and the raw lines of the bands."""
    truth = {n: model.scene(n, _lines(n, lines_60m), high=700 if n == "B10" else 2500) for n in bands}
    y = {n: model.unequalised(z, INSTRUMENT[n], model.useful(n)) for n, z in truth.items()}
    raw = {}
    for n, image in model.disturbed(y).items():
        offset = 5 * np.cos(np.arange(image.shape[0]) / 11.0)
        raw[n] = model.raw_counts(image, INSTRUMENT[n], offset, _lines(n, first_60m))
    return truth, raw


def _coded(image: np.ndarray, shift: int) -> np.ndarray:
    out = np.empty(image.shape, np.uint16)
    code(image, shift, out)
    return out


def _good(raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {n: np.zeros(image.shape[0], bool) for n, image in raw.items()}


def _zero(raw: Mapping[str, np.ndarray]) -> dict[str, int]:
    return dict.fromkeys(raw, 0)


@pytest.mark.row("IPF-12")
@pytest.mark.row("IPF-13")
@pytest.mark.row("IPF-18")
def test_the_chain_closes_on_the_truth() -> None:
    truth, raw = _telemetry(("B04", "B01", *TRIO), 20, first_60m=7)
    first = {n: _lines(n, 7) for n in raw}
    granule = process_granule(DETECTOR, first, raw, _good(raw), PARAMETERS)
    for name, image in granule.items():
        z = truth[name]
        if band(name).binning == 3:
            z = z[:, :1275].reshape(z.shape[0], 425, 3).mean(axis=2)
        assert image.counts.shape == (z.shape[0], band(name).columns)
        gain = PARAMETERS.bands[name].gain
        error = radiance(image.counts, gain, PARAMETERS.shift) * gain - z
        # Two roundings, of the converter and of the coding, and that of the offset from 12 or 32 blind pixels.
        assert np.abs(error).max() <= 1.6
        assert abs(error.mean() / z.mean()) <= 1e-3
        assert abs(error.mean()) <= 0.1
        expected = np.full(image.quality.shape, BASE, np.uint16)
        columns = sorted({c // band(name).binning for c in (40, 41)})
        expected[:, columns] |= DEFECTIVE
        np.testing.assert_array_equal(image.quality, expected)


@pytest.mark.row("IPF-14")
def test_crosstalk_is_removed_from_the_product() -> None:
    truth, raw = _telemetry(TRIO, 16)
    clean = {n: model.unequalised(z, INSTRUMENT[n], model.useful(n)) for n, z in truth.items()}
    off = RadiometricParameters("S2A", DETECTOR, PARAMETERS.bands)
    with_it = process_granule(DETECTOR, _zero(raw), raw, _good(raw), PARAMETERS, "crosstalk")
    without = process_granule(DETECTOR, _zero(raw), raw, _good(raw), off, "crosstalk")
    for name in TRIO:
        before = abs((without[name] - clean[name]).mean())
        after = abs((with_it[name] - clean[name]).mean())
        assert after <= before / 10 + 0.02, name


@pytest.mark.parametrize("absent", TRIO)
def test_a_swir_band_that_is_not_there_leaves_partially_corrected_pixels(absent: str) -> None:
    _, raw = _telemetry(TRIO, 6)
    del raw[absent]
    granule = process_granule(DETECTOR, _zero(raw), raw, _good(raw), PARAMETERS)
    for image in granule.values():
        assert ((image.quality & PARTIALLY_CORRECTED) != 0).all()
    off = RadiometricParameters("S2A", DETECTOR, PARAMETERS.bands)
    for image in process_granule(DETECTOR, _zero(raw), raw, _good(raw), off).values():
        assert not (image.quality & PARTIALLY_CORRECTED).any()


def test_a_saturated_or_lost_source_is_flagged_in_its_victims() -> None:
    _, raw = _telemetry(TRIO, 6)
    bad = _good(raw)
    raw["B11"][4, band("B11").blind + 300] = 4095
    bad["B12"][12] = True
    granule = process_granule(DETECTOR, _zero(raw), raw, bad, PARAMETERS)
    partly = {n: (g.quality & PARTIALLY_CORRECTED) != 0 for n, g in granule.items()}
    assert np.argwhere(partly["B10"][:4]).tolist() == [[1, 100]]
    assert np.flatnonzero(partly["B10"].all(axis=1)).tolist() == [4]
    assert np.argwhere(partly["B12"]).tolist() == [[4, 300]]
    # The lost line of B12 is interpolated from two others, which saw B11; B11 of that line lacks B12.
    assert np.flatnonzero(partly["B11"].all(axis=1)).tolist() == [12]
    assert ((granule["B11"].quality & SATURATED) != 0).sum() == 1


def _random_bad(draw: st.DrawFn, lines: int) -> np.ndarray:
    bad = np.zeros(lines, bool)
    for start in draw(st.lists(st.integers(0, lines - 1), max_size=4)):
        bad[start : start + draw(st.integers(1, 6))] = True
    return bad


@st.composite
def cuts(draw: st.DrawFn) -> tuple[dict[str, np.ndarray], list[int], int]:
    lines_60m = 14
    bad = {n: _random_bad(draw, _lines(n, lines_60m)) for n in ("B04", *TRIO)}
    inner = draw(st.lists(st.integers(1, lines_60m - 1), max_size=3, unique=True))
    return bad, [0, *sorted(inner), lines_60m], draw(st.integers(0, 9))


WHOLE_TRUTH, WHOLE_RAW = _telemetry(("B04", *TRIO), 14)


@settings(max_examples=25, deadline=None)
@given(cuts())
def test_any_cut_along_the_lines_gives_the_same_bytes(case: tuple[dict[str, np.ndarray], list[int], int]) -> None:
    bad, edges, shift = case
    first = {n: _lines(n, shift) for n in WHOLE_RAW}
    degraded = {"B04": np.arange(WHOLE_RAW["B04"].shape[0]) % 5 == 0}
    whole = process_granule(DETECTOR, first, WHOLE_RAW, bad, PARAMETERS, degraded=degraded)
    margin = margins(PARAMETERS)
    parts: dict[str, list[GranuleBand]] = {n: [] for n in WHOLE_RAW}
    for a, b in pairwise(edges):
        window = {n: (_lines(n, a + shift), _lines(n, b + shift)) for n in WHOLE_RAW}
        low = {n: max(window[n][0] - margin[n] - first[n], 0) for n in WHOLE_RAW}
        high = {n: window[n][1] + margin[n] - first[n] for n in WHOLE_RAW}
        part = process_granule(
            DETECTOR,
            {n: first[n] + low[n] for n in WHOLE_RAW},
            {n: raw[low[n] : high[n]] for n, raw in WHOLE_RAW.items()},
            {n: flags[low[n] : high[n]] for n, flags in bad.items()},
            PARAMETERS,
            window=window,
            degraded={n: flags[low[n] : high[n]] for n, flags in degraded.items()},
        )
        for n, image in part.items():
            parts[n].append(image)
    for n, image in whole.items():
        np.testing.assert_array_equal(np.concatenate([p.counts for p in parts[n]]), image.counts)
        np.testing.assert_array_equal(np.concatenate([p.quality for p in parts[n]]), image.quality)


@settings(max_examples=10, deadline=None)
@given(cuts())
def test_the_single_pass_equals_the_steps_one_after_the_other(
    case: tuple[dict[str, np.ndarray], list[int], int],
) -> None:
    bad, _, shift = case
    first = {n: _lines(n, shift) for n in WHOLE_RAW}
    granule = process_granule(DETECTOR, first, WHOLE_RAW, bad, PARAMETERS)
    steps = process_granule(DETECTOR, first, WHOLE_RAW, bad, PARAMETERS, INTERMEDIATES[-1])
    for n, image in granule.items():
        np.testing.assert_array_equal(image.counts, _coded(steps[n], PARAMETERS.shift))


def test_intermediates_are_the_physics_they_are_named_after() -> None:
    raw = {n: image.copy() for n, image in WHOLE_RAW.items()}
    bad = _good(raw)
    bad["B04"][[10, 30, 31, 32, 33]] = True
    window = {n: (_lines(n, 1), _lines(n, 13)) for n in raw}
    images = {
        name: process_granule(DETECTOR, _zero(raw), raw, bad, PARAMETERS, name, window=window) for name in INTERMEDIATES
    }
    b = band("B04")
    assert images["dark_signal"]["B04"].shape == (72, b.raw_columns)
    assert images["blind_pixels"]["B04"].shape == (72, b.useful_columns)
    assert images["missing_lines"]["B10"].shape == (12, 1276)
    assert images["binning"]["B10"].shape == (12, 425)
    z = WHOLE_TRUTH["B04"][6:78]
    y = model.unequalised(z, INSTRUMENT["B04"], model.useful("B04"))
    np.testing.assert_allclose(images["blind_pixels"]["B04"][0], y[0], atol=0.7)
    equalised = images["relative_response"]["B04"]
    assert np.isnan(equalised[4]).all()
    assert np.nanmax(np.abs(equalised - z)) <= 1.1
    filled = images["missing_lines"]["B04"]
    assert np.abs(filled[4] - z[4]).max() <= 2
    assert np.isnan(filled[24:28]).all()
    np.testing.assert_array_equal(images["crosstalk"]["B04"], images["blind_pixels"]["B04"])
    with pytest.raises(ConfigurationError, match="no step 'sharpening'"):
        process_granule(DETECTOR, _zero(raw), raw, bad, PARAMETERS, "sharpening")


@pytest.mark.row("IPF-15")
def test_lost_lines_are_flagged_interpolated_or_without_data() -> None:
    truth, raw = _telemetry(("B04",), 8)
    bad = _good(raw)
    bad["B04"][[0, 20, 21, 30, 31, 32, 33]] = True
    raw["B04"][bad["B04"]] = 4095
    image = process_granule(DETECTOR, _zero(raw), raw, bad, PARAMETERS)["B04"]
    empty = [0, 30, 31, 32, 33]
    assert not image.counts[empty].any()
    assert (image.quality[empty] == BASE | MSI_LOST | NODATA).all()
    assert (image.counts[np.setdiff1d(np.arange(48), empty)] > 0).all()
    between = image.quality[[20, 21]]
    assert (np.delete(between, [40, 41], axis=1) == BASE | MSI_LOST).all()
    # The curvature of the scene over the gap is 4.2 LSB.
    assert np.abs(image.counts[[20, 21]] - 100.0 - truth["B04"][[20, 21]]).max() <= 4.2 + 1.1
    assert not (image.quality[[19, 22]] & MSI_LOST).any()
    record = image.statistics()
    assert record["nodata"] == 5 * 2552
    assert record["lost"] == 7 * 2552


@pytest.mark.row("IPF-15")
def test_dead_pixels_take_the_value_of_their_neighbours() -> None:
    truth, raw = _telemetry(("B04", "B01"), 8)
    for name in raw:
        raw[name][:, [band(name).blind + 40, band(name).blind + 41]] = [0, 4095]
    granule = process_granule(DETECTOR, _zero(raw), raw, _good(raw), PARAMETERS)
    b04 = granule["B04"]
    assert np.abs(b04.counts[:, 40:42] - 100.0 - truth["B04"][:, 40:42]).max() <= 3
    assert (b04.quality[:, 40:42] == BASE | DEFECTIVE).all()
    assert (granule["B01"].quality[:, 13] == BASE | DEFECTIVE).all()
    assert (granule["B01"].quality[:, 12] == BASE).all()


def test_degraded_and_saturated_pixels_are_flagged() -> None:
    _, raw = _telemetry(("B04",), 8)
    raw["B04"][3, band("B04").blind + 7] = 4095
    kept = {"B04": np.zeros(48, bool)}
    kept["B04"][16:32] = True
    image = process_granule(DETECTOR, _zero(raw), raw, _good(raw), PARAMETERS, degraded=kept)["B04"]
    assert image.quality[3, 7] == BASE | SATURATED
    assert np.flatnonzero((image.quality & MSI_DEGRADED).all(axis=1)).tolist() == list(range(16, 32))
    assert image.statistics()["saturated"] == 1


def test_only_the_bands_of_the_window_come_back() -> None:
    _, raw = _telemetry(TRIO, 6)
    everything = process_granule(DETECTOR, _zero(raw), raw, _good(raw), PARAMETERS)
    one = process_granule(DETECTOR, _zero(raw), raw, _good(raw), PARAMETERS, window={"B11": (3, 9)})
    assert list(one) == ["B11"]
    np.testing.assert_array_equal(one["B11"].counts, everything["B11"].counts[3:9])


def test_read_only_lines_of_any_layout_give_the_same_bytes() -> None:
    _, raw = _telemetry(("B04",), 4)
    expected = process_granule(DETECTOR, _zero(raw), raw, _good(raw), PARAMETERS)["B04"]
    other = np.asfortranarray(raw["B04"])
    other.setflags(write=False)
    image = process_granule(DETECTOR, _zero(raw), {"B04": other}, _good(raw), PARAMETERS)["B04"]
    np.testing.assert_array_equal(image.counts, expected.counts)


@pytest.mark.row("IPF-18")
def test_parameters_come_from_the_gipps_of_the_sensing_time(tmp_path: Path) -> None:
    model.write_gipps(tmp_path, INSTRUMENT)
    gipps = GippSet.open(tmp_path, "S2A", START, STOP)
    bands = tuple(INSTRUMENT)
    read = radiometric_parameters(gipps, DETECTOR, bands)
    assert read is radiometric_parameters(GippSet.open(tmp_path, "S2A", START, STOP), DETECTOR, bands)
    assert read.gipp_id == gipps.id
    np.testing.assert_array_equal(read.crosstalk, PARAMETERS.crosstalk)
    for name, p in read.bands.items():
        expected = PARAMETERS.bands[name]
        assert (p.gain, p.solar_irradiance, p.model) == (expected.gain, expected.solar_irradiance, expected.model)
        np.testing.assert_allclose(p.dark, expected.dark, rtol=1e-6)
        np.testing.assert_allclose(p.response, expected.response, rtol=1e-6)
        np.testing.assert_array_equal(p.blind, expected.blind)
        np.testing.assert_array_equal(p.defects.column, expected.defects.column)
    with pytest.raises(InputMissing, match="GIP_R2EQOG of S2A for B02"):
        radiometric_parameters(gipps, DETECTOR)


def test_the_steps_name_the_gipps_that_they_read() -> None:
    assert [step.name for step in STEPS] == ["RADIO_AB", "RADIO_FINALIZE"]
    always = {"BLINDP", "R2EQOG", "R2CRCO", "R2DEPI", "R2ABCA"}
    where_there = {"R2PARA", "R2SWIR", "R2DEFI", "R2BINN", "R2NOMO", "R2DECT", "R2DENT", "R2WAFI", "R2L2NC"}
    assert set(STEPS[0].gipp + STEPS[1].gipp) == always | where_there
    assert margins(PARAMETERS) == {"B04": 3, "B01": 3, "B10": 3, "B11": 9, "B12": 9}


def test_what_does_not_fit_is_refused() -> None:
    _, raw = _telemetry(("B04",), 4)
    first, bad = _zero(raw), _good(raw)
    with pytest.raises(ConfigurationError, match="parameters of detector 6"):
        process_granule(5, first, raw, bad, PARAMETERS)
    with pytest.raises(ConfigurationError, match=r"raw lines of shape \(24, 2552\)"):
        process_granule(DETECTOR, first, {"B04": raw["B04"][:, 40:]}, bad, PARAMETERS)
    with pytest.raises(ConfigurationError, match="3 line flags for 24 lines"):
        process_granule(DETECTOR, first, raw, {"B04": np.zeros(3, bool)}, PARAMETERS)
    for strange in ({"B02": (0, 1)}, {"B01": (0, 1)}):
        with pytest.raises(ConfigurationError, match=f"no lines or no parameters of {next(iter(strange))}"):
            process_granule(DETECTOR, first, raw, bad, PARAMETERS, window=strange)
    with pytest.raises(ConfigurationError, match="outside the lines given"):
        process_granule(DETECTOR, first, raw, bad, PARAMETERS, window={"B04": (0, 25)})
    with pytest.raises(ConfigurationError, match="B04: 2 degraded flags for 24 lines"):
        process_granule(DETECTOR, first, raw, bad, PARAMETERS, degraded={"B04": np.zeros(2, bool)})
    with pytest.raises(ConfigurationError, match="no step 'polish'"):
        process_granule(DETECTOR, first, raw, bad, PARAMETERS, only={"polish"})
    optical = np.zeros((13, 13))
    optical[0, 1] = 1e-3
    with pytest.raises(ConfigurationError, match="outside B10, B11, B12"):
        RadiometricParameters("S2A", DETECTOR, {}, crosstalk=optical)
    optical[1, 1] = np.nan
    with pytest.raises(ConfigurationError, match="GIP_R2CRCO OPTICAL"):
        RadiometricParameters("S2A", DETECTOR, {}, optical=optical)
    p = INSTRUMENT["B04"]
    good = {"dark": p.dark, "blind": (0,), "model": CUBIC, "response": p.response, "gain": 4.0, "solar_irradiance": 1.0}
    for wrong in (
        {"dark": p.dark[:3]},
        {"response": p.response[:, 1:]},
        {"binning": (0.5, 0.5)},
        {"blind": ()},
        {"missing_lines": -1},
        {"arrangement": np.ones((3, 5))},
    ):
        with pytest.raises(ConfigurationError, match="B04"):
            band_parameters("B04", **(good | wrong))
    assert set(BANDS) >= set(PARAMETERS.bands)
