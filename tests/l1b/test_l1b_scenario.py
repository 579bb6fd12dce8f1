"""The correction with every step on, and what the GIPPs of the chain switch, choose and refuse."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import radiometry_model as model
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.auxdata.gipp_binning import binning, write_r2binn
from s2dask.auxdata.gipp_defect_filters import DefectFilter, DefectFilters, write_r2defi
from s2dask.auxdata.gipp_filters import InternalFilter
from s2dask.auxdata.gipp_rearrangement import SwirRearrangement, write_r2swir
from s2dask.auxdata.gipp_record import Taps
from s2dask.auxdata.gipp_restoration import BandNoise, NoiseModel, write_r2nomo
from s2dask.auxdata.gipp_scenario import (
    BandEqualisation,
    MissingLines,
    RadiometricScenario,
    operational_scenario,
    write_r2para,
)
from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import BANDS, band, unit
from s2dask.instrument.quality import (
    ANC_DEGRADED,
    ANC_LOST,
    DEFECTIVE,
    DETECTOR_SHIFT,
    MSI_LOST,
    NODATA,
    PARTIALLY_CORRECTED,
    SATURATED,
    SATURATED_L1B,
)
from s2dask.l1b.binning import binning_kernel
from s2dask.l1b.coding import code
from s2dask.l1b.parameters import STEPS, BandParameters, RadiometricParameters, band_parameters
from s2dask.l1b.relative_response import BILINEAR, CUBIC
from s2dask.l1b.restoration.deconvolution import design
from s2dask.l1b.restoration.plan import CONVOLUTION, restoration_plan
from s2dask.l1b.stage import GranuleBand, margins, process_granule, radiometric_parameters, sources
from s2dask.l1b.swir_rearrangement import arrangement_taps

DETECTOR = 6
TRIO = ("B10", "B11", "B12")
BANDS_USED = ("B02", "B01", "B05", *TRIO)
START, STOP = datetime(2020, 8, 16, 12, 2, tzinfo=UTC), datetime(2020, 8, 16, 12, 3, tzinfo=UTC)
KERNEL = np.outer([0.1, 0.8, 0.1], [0, 0, 1, 1, 1, 0, 0]) / 3
SHIFT = {name: np.random.default_rng([8, k]).integers(-1, 2, 1276) for k, name in enumerate(TRIO)}
PIXELS = {name: model.pixels(name, defective=(band(name).blind + 40, band(name).blind + 41)) for name in BANDS_USED}


def _optical() -> np.ndarray:
    table = np.random.default_rng(11).normal(0, 5e-4, (13, 13))
    np.fill_diagonal(table, 0)
    return table


def _electronic() -> np.ndarray:
    table = np.zeros((13, 13))
    for (victim, source), coefficient in model.CROSSTALK.items():
        table[band(victim).index, band(source).index] = coefficient
    return table


def _band(p: model.Pixels) -> BandParameters:
    values = unit("S2A").bands[p.name]
    restoration = None
    if p.name == "B05":
        restoration = restoration_plan(CONVOLUTION, design((0.3, 0.4), (0.5, 0.5)).kernel)
    return band_parameters(
        p.name,
        dark=p.dark,
        blind=band(p.name).blind_columns,
        model=CUBIC if p.cubic else BILINEAR,
        response=p.response,
        defective=p.defective,
        gain=values.gain,
        solar_irradiance=values.solar_irradiance,
        binning=KERNEL,
        arrangement=arrangement_taps(SHIFT[p.name], p.name) if p.name in TRIO else None,
        restoration=restoration,
    )


EVERYTHING = RadiometricParameters(
    "S2A",
    DETECTOR,
    {name: _band(p) for name, p in PIXELS.items()},
    crosstalk=_electronic(),
    optical=_optical(),
    end_of_range=2400.0,
)


def _lines(name: str, lines_60m: int) -> int:
    return lines_60m * 6 // band(name).line_factor


def _raw(lines_60m: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        n: random.integers(430, 4096, (_lines(n, lines_60m), band(n).raw_columns)).astype(np.uint16) for n in BANDS_USED
    }


@st.composite
def cuts(draw: st.DrawFn) -> tuple[dict[str, np.ndarray], list[int], int, tuple[str, ...]]:
    lines_60m = 10
    bad = {}
    for n in BANDS_USED:
        bad[n] = np.zeros(_lines(n, lines_60m), bool)
        for start in draw(st.lists(st.integers(0, bad[n].size - 1), max_size=3)):
            bad[n][start : start + draw(st.integers(1, 5))] = True
    inner = draw(st.lists(st.integers(1, lines_60m - 1), max_size=2, unique=True))
    order = tuple(draw(st.permutations(BANDS_USED)))
    return bad, [0, *sorted(inner), lines_60m], draw(st.integers(0, 9)), order


WHOLE = _raw(10)


def _cut(
    images: Mapping[str, np.ndarray], low: Mapping[str, int], high: Mapping[str, int], order: tuple[str, ...]
) -> dict[str, np.ndarray]:
    return {n: images[n][low[n] : high[n]] for n in order}


@settings(max_examples=12, deadline=None)
@given(cuts())
def test_with_every_step_on_any_cut_and_order_gives_the_same_bytes(
    case: tuple[dict[str, np.ndarray], list[int], int, tuple[str, ...]],
) -> None:
    bad, edges, shift, order = case
    first = {n: _lines(n, shift) for n in WHOLE}
    ancillary = {n: (np.arange(flags.size) % 4).astype(np.uint8) for n, flags in bad.items()}
    whole = process_granule(DETECTOR, first, WHOLE, bad, EVERYTHING, ancillary=ancillary)
    steps = process_granule(DETECTOR, first, WHOLE, bad, EVERYTHING, STEPS[-1])
    margin = margins(EVERYTHING)
    parts: dict[str, list[GranuleBand]] = {n: [] for n in WHOLE}
    for a, b in pairwise(edges):
        window = {n: (_lines(n, a + shift), _lines(n, b + shift)) for n in WHOLE}
        low = {n: max(window[n][0] - margin[n] - first[n], 0) for n in WHOLE}
        high = {n: window[n][1] + margin[n] - first[n] for n in WHOLE}
        part = process_granule(
            DETECTOR,
            {n: first[n] + low[n] for n in order},
            _cut(WHOLE, low, high, order),
            _cut(bad, low, high, order),
            EVERYTHING,
            window={n: window[n] for n in reversed(order)},
            ancillary=_cut(ancillary, low, high, order),
        )
        for n, image in part.items():
            parts[n].append(image)
    for n, image in whole.items():
        np.testing.assert_array_equal(np.concatenate([p.counts for p in parts[n]]), image.counts)
        np.testing.assert_array_equal(np.concatenate([p.quality for p in parts[n]]), image.quality)
        expected = np.empty_like(image.counts)
        code(steps[n], EVERYTHING.shift, expected)
        np.testing.assert_array_equal(image.counts, expected)
        np.testing.assert_array_equal((image.quality & SATURATED_L1B) != 0, steps[n] >= EVERYTHING.end_of_range)
        np.testing.assert_array_equal((image.quality & NODATA) != 0, image.counts == 0)


def test_the_sources_are_the_bands_that_leak() -> None:
    assert sources(EVERYTHING, ["B05"]) == tuple(n for n in BANDS if n in BANDS_USED)
    electronic = replace(EVERYTHING, optical=np.zeros((13, 13)))
    assert sources(electronic, ["B12", "B02"]) == ("B02", *TRIO)
    assert sources(electronic.only(()), TRIO) == TRIO
    # B05 looks 3 lines of 20 m for gaps and the reach of its restoration; B01 and B10 look 3 + 1 (+ 1) lines of 60 m.
    assert margins(electronic)["B02"] == 3
    assert margins(EVERYTHING)["B02"] >= 30
    assert margins(electronic) | {"B05": 0} == {"B02": 3, "B01": 4, "B05": 0, "B10": 5, "B11": 15, "B12": 15}


@pytest.mark.row("IPF-14")
def test_optical_and_electronic_crosstalk_shrink_ten_times_together() -> None:
    parameters = replace(EVERYTHING, bands={n: p.without(STEPS[3:]) for n, p in EVERYTHING.bands.items()})
    clean = {n: model.scene(n, _lines(n, 12), seed=3, high=2500) for n in BANDS_USED}
    leaks = parameters.leaks
    dirty = {
        victim: y
        + sum(
            leaks[band(victim).index, band(source).index] * model.met(victim, source, other)
            for source, other in clean.items()
        )
        for victim, y in clean.items()
    }
    raw = {n: model.raw_counts(y, PIXELS[n]) for n, y in dirty.items()}
    first, bad = dict.fromkeys(raw, 0), {n: np.zeros(r.shape[0], bool) for n, r in raw.items()}
    found = process_granule(DETECTOR, first, raw, bad, parameters, "crosstalk")
    for n, image in found.items():
        before, after = np.abs((dirty[n] - clean[n]).mean()), np.abs((image - clean[n]).mean())
        # 0.02 LSB: the mean of the converter's rounding.
        assert after <= before / 10 + 0.02, n
        assert before > 0.3
    del raw["B01"]
    lacking = process_granule(DETECTOR, first, raw, bad, parameters)
    assert all(((image.quality & PARTIALLY_CORRECTED) != 0).all() for image in lacking.values())


def test_the_staggered_swir_bands_close_on_the_truth() -> None:
    bands = {n: EVERYTHING.bands[n].without(["binning"]) for n in TRIO}
    parameters = RadiometricParameters("S2A", DETECTOR, bands)
    raw, truth = {}, {}
    for n in TRIO:

        def ground(line: np.ndarray) -> np.ndarray:
            return 900 + 300 * np.sin(line / 9.0) + 0.1 * np.arange(1276)

        count = _lines(n, 20)
        line = np.arange(count)[:, None].astype(float)
        seen = model.staggered(ground, line, SHIFT[n], n)
        truth[n] = ground(line)
        raw[n] = model.raw_counts(model.unequalised(seen, PIXELS[n], model.useful(n)), PIXELS[n])
    first, bad = dict.fromkeys(raw, 0), {n: np.zeros(r.shape[0], bool) for n, r in raw.items()}
    bad["B11"][[20, 21]] = True
    granule = process_granule(DETECTOR, first, raw, bad, parameters)
    for n, image in granule.items():
        inner = slice(1, -1)
        error = np.abs(image.counts[inner] - 100.0 - truth[n][inner])
        lost = (image.quality[inner] & MSI_LOST) != 0
        assert error[~lost].max() <= 1.7
        assert abs(np.mean(error[~lost])) <= 0.5
        edge = (image.quality[[0, -1]] & NODATA) != 0
        assert edge.any()
        assert (image.counts[[0, -1]][edge] == 0).all()
        assert not (image.quality[inner] & NODATA).any()
    # The two lost lines of B11 are lost in four lines of the product, in the columns that come from them.
    lost = (granule["B11"].quality & MSI_LOST) != 0
    assert np.flatnonzero(lost.any(axis=1)).tolist() == [19, 20, 21, 22]
    straight = np.delete(np.arange(1276), [40, 41])
    np.testing.assert_array_equal(lost[19, straight], SHIFT["B11"][straight] == -1)
    np.testing.assert_array_equal(lost[22, straight], SHIFT["B11"][straight] == 1)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_runs_alone_or_not_at_all(step: str) -> None:
    raw = {n: image for n, image in WHOLE.items() if n in ("B01", "B05", *TRIO)}
    first, bad = dict.fromkeys(raw, 0), {n: np.zeros(r.shape[0], bool) for n, r in raw.items()}
    for flags in bad.values():
        flags[8] = True
    kept = [s for s in STEPS if s != "binning"]
    nothing = process_granule(DETECTOR, first, raw, bad, EVERYTHING, STEPS[-1], only=())
    for n, image in nothing.items():
        np.testing.assert_array_equal(image[:8], raw[n][:8, model.useful(n)].astype(np.float32))
        assert np.isnan(image[8]).all()
    alone = process_granule(DETECTOR, first, raw, bad, EVERYTHING, STEPS[-1], only={step})
    product = process_granule(DETECTOR, first, raw, bad, EVERYTHING, only={step})
    done = {"dark_signal": raw, "blind_pixels": raw, "crosstalk": raw, "relative_response": raw}
    touched = done.get(step) or {"binning": ("B01", "B10"), "restoration": ("B05",), "swir_rearrangement": TRIO}.get(
        step, tuple(raw)
    )
    for n, image in alone.items():
        same = image.shape == nothing[n].shape and np.array_equal(image, nothing[n], equal_nan=True)
        assert same == (n not in touched), n
        expected = np.empty(image.shape, np.uint16)
        code(image, EVERYTHING.shift, expected)
        np.testing.assert_array_equal(product[n].counts, expected)
    without = process_granule(DETECTOR, first, raw, bad, EVERYTHING, only=[s for s in kept if s != step])
    assert without["B01"].counts.shape == (10, 1276)


def test_lines_without_ancillary_data_are_flagged() -> None:
    parameters = replace(EVERYTHING, optical=np.zeros((13, 13)))
    raw = {"B02": WHOLE["B02"]}
    ancillary = {"B02": np.zeros(60, np.uint8)}
    ancillary["B02"][3], ancillary["B02"][5:9] = ANC_LOST, ANC_DEGRADED
    good = {"B02": np.zeros(60, bool)}
    image = process_granule(DETECTOR, {"B02": 0}, raw, good, parameters, ancillary=ancillary)["B02"]
    assert np.flatnonzero((image.quality & ANC_LOST).all(axis=1)).tolist() == [3]
    assert np.flatnonzero((image.quality & ANC_DEGRADED).all(axis=1)).tolist() == [5, 6, 7, 8]
    assert (image.quality >> DETECTOR_SHIFT & 0xF == DETECTOR).all()


def _swir() -> SwirRearrangement:
    lines = {(n, DETECTOR): np.pad(SHIFT[n], band(n).blind).astype(np.int8) for n in TRIO}
    return SwirRearrangement("S2A", "", Taps(3, 1, 1, np.array([2, 8, -1]) / 9), lines)


def _gipps(folder: Path, scenario: RadiometricScenario | None = None, **texts: str) -> GippSet:
    model.write_gipps(folder, PIXELS)
    if scenario is not None:
        texts["R2PARA"] = write_r2para(scenario)
    for key, text in texts.items():
        kind, _, of = key.partition("_")
        (folder / model.gipp_name(kind, of or "B00")).write_text(text, encoding="utf-8")
    return GippSet.open(folder, "S2A", START, STOP)


def test_a_set_without_the_files_of_choice_has_the_documented_defaults(tmp_path: Path) -> None:
    read = radiometric_parameters(_gipps(tmp_path), DETECTOR, BANDS_USED)
    assert not read.optical.any()
    assert (read.shift, read.saturation, read.end_of_range) == (100, 4095, float("inf"))
    for name, p in read.bands.items():
        values = unit("S2A").bands[name]
        assert (p.missing_lines, p.arrangement.size, p.restoration) == (3, 0, None)
        assert (p.noise_alpha, p.noise_beta) == (values.noise_alpha, values.noise_beta)
        if band(name).binning > 1:
            np.testing.assert_array_equal(p.binning, binning_kernel([1 / 3] * 3, name))


def test_the_files_of_choice_are_read(tmp_path: Path) -> None:
    two = DefectFilters("S2A", "", "B02", (DefectFilter(2, 2, 1, np.array([[0.2, 0.5, 0.3], [0.1, 0.4, 0.5]])),))
    none = {f"R2DEFI_{n}": write_r2defi(replace(two, band=n)) for n in BANDS_USED}
    noise = NoiseModel("S2A", "", {name: BandNoise(0.5 + k, 0.01) for k, name in enumerate(BANDS)})
    gipps = _gipps(
        tmp_path,
        operational_scenario("S2A"),
        R2BINN=write_r2binn(binning("S2A", dict.fromkeys(("B01", "B09", "B10"), KERNEL))),
        R2SWIR=write_r2swir(_swir()),
        R2NOMO=write_r2nomo(noise),
        **none,
    )
    read = radiometric_parameters(gipps, DETECTOR, BANDS_USED)
    assert (read.saturation, read.end_of_range) == (4095, 4095.0)
    for name, p in read.bands.items():
        np.testing.assert_array_equal(p.arrangement, EVERYTHING.bands[name].arrangement)
        np.testing.assert_array_equal(p.binning, EVERYTHING.bands[name].binning)
        assert (p.noise_alpha, p.noise_beta) == (0.5 + band(name).index, 0.01)
        assert p.defects.source[0].tolist() == [38, 39, 42]


def test_the_scenario_switches_every_step(tmp_path: Path) -> None:
    base = operational_scenario("S2A")
    off = replace(
        base,
        bands=dict(base.bands)
        | {"B02": BandEqualisation(False, True, True), "B05": BandEqualisation(True, False, False)},
        crosstalk_electronic=False,
        crosstalk_optical=True,
        defective_management="detection",
        no_data_management="detection",
        binning=False,
        saturated_pixels="NO",
    )
    read = radiometric_parameters(_gipps(tmp_path, off), DETECTOR, BANDS_USED)
    assert not read.crosstalk.any()
    assert (read.saturation, read.end_of_range) == (65536, float("inf"))
    b02, b05 = read.bands["B02"], read.bands["B05"]
    assert not b02.dark.any()
    assert b02.blind.size == 0
    assert (b02.model, b02.response.sum(axis=1).tolist()) == (CUBIC, [0, 0, 2552])
    assert not b05.dark.any()
    assert b05.blind.size == 0
    np.testing.assert_allclose(b05.response, EVERYTHING.bands["B05"].response, rtol=1e-6)
    assert read.bands["B01"].binning.size == 0
    raw = {"B02": WHOLE["B02"].copy()}
    raw["B02"][3] = 4095
    bad = {"B02": np.arange(60) == 7}
    image = process_granule(DETECTOR, {"B02": 0}, raw, bad, read)["B02"]
    good = np.delete(np.arange(60), 7)
    np.testing.assert_array_equal(image.counts[good], raw["B02"][good][:, model.useful("B02")] + 100)
    assert not image.counts[7].any()
    assert (image.quality[7] & NODATA).all()
    assert (image.quality[good, 40] & DEFECTIVE).all()
    assert not (image.quality & SATURATED).any()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"remove_blind_pixels": False}, "REMOVE_BLIND_PIXELS"),
        ({"missing_lines": dict.fromkeys(BANDS, MissingLines(InternalFilter("BCO"), 3))}, "INTERPOLATION_FILTER"),
    ],
)
def test_a_scenario_that_cannot_be_honoured_is_refused(tmp_path: Path, change: dict[str, object], field: str) -> None:
    gipps = _gipps(tmp_path, replace(operational_scenario("S2A"), **change))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=f"GIP_R2PARA.*{field}"):
        radiometric_parameters(gipps, DETECTOR, BANDS_USED)


def test_tables_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    wide = write_r2binn(binning("S2A", dict.fromkeys(("B01", "B09", "B10"), KERNEL), step=2))
    with pytest.raises(InputError, match=r"GIP_R2BINN.*BAND/STEP of B01: 2"):
        radiometric_parameters(_gipps(tmp_path / "a", R2BINN=wide), DETECTOR, BANDS_USED)
    other = write_r2swir(replace(_swir(), lines={(n, 5): v for (n, _), v in _swir().lines.items()}))
    with pytest.raises(InputError, match=r"GIP_R2SWIR.*"):
        radiometric_parameters(_gipps(tmp_path / "b", R2SWIR=other), DETECTOR, BANDS_USED)
