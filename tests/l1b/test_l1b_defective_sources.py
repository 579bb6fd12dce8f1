"""Defective pixels of a band that leaks into others: nothing of what they hold comes out anywhere."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
import radiometry_model as model
from hypothesis import given, settings
from hypothesis import strategies as st

from s2dask.instrument import band, unit
from s2dask.instrument.quality import DEFECTIVE, PARTIALLY_CORRECTED, SATURATED
from s2dask.l1b.coding import code
from s2dask.l1b.parameters import STEPS, BandParameters, RadiometricParameters, band_parameters
from s2dask.l1b.relative_response import BILINEAR, CUBIC
from s2dask.l1b.stage import GranuleBand, margins, process_granule
from s2dask.l1b.swir_rearrangement import arrangement_taps

DETECTOR, LINES_60M = 6, 8
TRIO = ("B10", "B11", "B12")
MANY = ("B02", "B01", "B05", *TRIO)
DEFECTIVE_COLUMNS = {name: tuple(100 * (k + 1) + i for i in (0, 1, 9)) for k, name in enumerate(MANY)}
"""Useful columns, of every band others: at an even and an odd column, next to each other and alone."""
Images = Mapping[str, np.ndarray]


def _band(name: str) -> BandParameters:
    b, values = band(name), unit("S2A").bands[name]
    p = model.pixels(name, defective=tuple(b.blind + c for c in DEFECTIVE_COLUMNS[name]))
    shift = np.random.default_rng([8, b.index]).integers(-1, 2, b.useful_columns)
    return band_parameters(
        name,
        dark=p.dark,
        blind=b.blind_columns,
        model=CUBIC if p.cubic else BILINEAR,
        response=p.response,
        defective=p.defective,
        gain=values.gain,
        solar_irradiance=values.solar_irradiance,
        arrangement=arrangement_taps(shift, name) if name == "B12" else None,
    )


def _parameters(bands: tuple[str, ...], end_of_range: float = np.inf) -> RadiometricParameters:
    electronic, optical = np.zeros((13, 13)), np.random.default_rng(11).normal(0, 2e-3, (13, 13))
    there = np.isin(np.arange(13), [band(n).index for n in bands])
    optical *= np.outer(there, there) & ~np.eye(13, dtype=bool)
    for (victim, source), coefficient in model.CROSSTALK.items() if set(TRIO) <= set(bands) else ():
        electronic[band(victim).index, band(source).index] = coefficient
    made = {name: _band(name) for name in bands}
    return RadiometricParameters("S2A", DETECTOR, made, electronic, optical, end_of_range=end_of_range)


def _raw(bands: tuple[str, ...], highest: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    shape = {n: (LINES_60M * 6 // band(n).line_factor, band(n).raw_columns) for n in bands}
    return {n: random.integers(430, highest, shape[n]).astype(np.uint16) for n in bands}


def _forged(raw: Images, held: int | None) -> dict[str, np.ndarray]:
    """Return the lines with a count, or noise, in every defective column."""
    out = {n: image.copy() for n, image in raw.items()}
    for k, (n, image) in enumerate(out.items()):
        columns = [band(n).blind + c for c in DEFECTIVE_COLUMNS[n]]
        noise = np.random.default_rng(k).integers(0, 4096, (image.shape[0], len(columns)))
        image[:, columns] = noise if held is None else held
    return out


def _bad(raw: Images, lost: int) -> dict[str, np.ndarray]:
    return {n: np.arange(image.shape[0]) == lost for n, image in raw.items()}


def _same(one: Mapping[str, GranuleBand], other: Mapping[str, GranuleBand]) -> None:
    for n, image in one.items():
        np.testing.assert_array_equal(image.counts, other[n].counts, n)
        np.testing.assert_array_equal(image.quality, other[n].quality, n)


CASES = pytest.mark.parametrize("bands", [TRIO, ("B02", "B05"), MANY], ids=["fused", "two bands", "one by one"])


@pytest.mark.row("IPF-14", "IPF-15")
@CASES
@pytest.mark.parametrize("highest", [4095, 4096])
def test_what_a_defective_pixel_holds_changes_no_byte(bands: tuple[str, ...], highest: int) -> None:
    raw, p = _raw(bands, highest), _parameters(bands)
    first, bad = dict.fromkeys(bands, 0), _bad(raw, 5)
    product = process_granule(DETECTOR, first, _forged(raw, 1000), bad, p)
    for held in (0, 4095, None):
        _same(process_granule(DETECTOR, first, _forged(raw, held), bad, p), product)


@CASES
@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(1, LINES_60M - 1), max_size=2, unique=True), st.integers(0, 40), st.sampled_from([0, 4095]))
def test_any_cut_and_the_steps_one_after_the_other_give_the_same_bytes(
    bands: tuple[str, ...], inner: list[int], lost: int, held: int
) -> None:
    p = _parameters(bands, end_of_range=2400.0)
    raw = _forged(_raw(bands, 4096), held)
    bad, margin = _bad(raw, lost), margins(p)
    whole = process_granule(DETECTOR, dict.fromkeys(bands, 0), raw, bad, p)
    steps = process_granule(DETECTOR, dict.fromkeys(bands, 0), raw, bad, p, STEPS[-1])
    parts = []
    for a, b in pairwise([0, *sorted(inner), LINES_60M]):
        window = {n: tuple(at * 6 // band(n).line_factor for at in (a, b)) for n in bands}
        low = {n: max(window[n][0] - margin[n], 0) for n in bands}
        cut = {n: slice(low[n], window[n][1] + margin[n]) for n in bands}
        lines, flags = ({n: images[n][cut[n]] for n in bands} for images in (raw, bad))
        parts.append(process_granule(DETECTOR, low, lines, flags, p, window=window))
    for n, image in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[n].counts for part in parts]), image.counts)
        np.testing.assert_array_equal(np.concatenate([part[n].quality for part in parts]), image.quality)
        expected = np.empty_like(image.counts)
        code(steps[n], p.shift, expected)
        np.testing.assert_array_equal(image.counts, expected)


@CASES
def test_only_a_listed_pixel_is_replaced_in_a_source(bands: tuple[str, ...]) -> None:
    raw, p = _forged(_raw(bands, 4095), 4095), _parameters(bands)
    first, bad = dict.fromkeys(bands, 0), _bad(raw, 99)
    product = process_granule(DETECTOR, first, raw, bad, p)
    kept = process_granule(DETECTOR, first, raw, bad, p, only=[s for s in STEPS if s != "defective_pixels"])
    images, others = (
        process_granule(DETECTOR, first, _forged(raw, held), bad, p, "crosstalk") for held in (4095, 1000)
    )
    for n in bands:
        binning = band(n).binning
        own = np.array(DEFECTIVE_COLUMNS[n])
        # Its own image shows a band as it is, until its step.
        difference = images[n] - others[n]
        np.testing.assert_allclose(difference[:, own], 3095, atol=0.01)
        assert not np.delete(difference, own, axis=1).any()
        assert not (product[n].quality & (PARTIALLY_CORRECTED | SATURATED)).any()
        assert ((product[n].quality[:, np.unique(own // binning)] & DEFECTIVE) != 0).all()
        # The re-arranged lines at the ends have no data.
        assert ((kept[n].quality[1:-1, np.unique(own // binning)] & SATURATED) != 0).all()
        assert (kept[n].quality & PARTIALLY_CORRECTED).any()


@pytest.mark.row("IPF-14")
def test_a_stuck_source_leaves_its_victims_alone() -> None:
    p = _parameters(TRIO)
    crosstalk = p.leaks
    clean = {n: np.full((LINES_60M * 6 // band(n).line_factor, 1276), 600.0 + 90 * k) for k, n in enumerate(TRIO)}
    raw = {}
    for n, image in clean.items():
        leaks = [crosstalk[band(n).index, band(s).index] * model.leak(n, s, clean[s], image.shape[0]) for s in TRIO]
        raw[n] = model.raw_counts(image + sum(leaks), model.pixels(n))
    forged = _forged(raw, 4095)
    images = process_granule(DETECTOR, dict.fromkeys(TRIO, 0), forged, _bad(raw, 99), p, "crosstalk")
    for n in TRIO:
        error = np.abs(np.delete(images[n] - clean[n], DEFECTIVE_COLUMNS[n], axis=1))
        # The converter's rounding, that of the blind pixels, and the second order of the crosstalk.
        assert error.max() <= 0.5 + 0.15, n
