"""Resampling against closed forms: polynomials, sines, edges, no data, any window."""

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.instrument.quality import (
    ANC_DEGRADED,
    ANC_LOST,
    DEFECTIVE,
    FLAGS,
    MSI_LOST,
    NODATA,
    PARTIALLY_CORRECTED,
    SATURATED,
)
from s2dask.l1c.interpolation import interpolate
from s2dask.l1c.prefilter import HALF
from s2dask.l1c.resampling import DARK_LEVEL, FILTERS, STRIP, Filter, lines_needed, margin_lines, prepare_image
from s2dask.l1c.scratch import Scratch

LINES, COLUMNS = 120, 90


def _resample(
    counts: NDArray[np.uint16],
    line: NDArray[np.float64],
    column: NDArray[np.float64],
    name: str = "SPLINE3",
    quality: NDArray[np.uint16] | None = None,
    window: tuple[int, int] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    layer = np.zeros_like(counts) if quality is None else quality
    a, b = window or (0, counts.shape[0])
    image = prepare_image(counts[a:b], layer[a:b], a, counts.shape[0], name)  # type: ignore[arg-type]
    out, flags = np.zeros(line.shape, np.float32), np.zeros(line.shape, np.uint8)
    assert interpolate(image, line, column, 0, 5, np.full(line.shape, 5, np.uint8), out, flags) == 0
    return out, flags


def _points(margin: float, seed: int = 0, n: int = 40) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    shape = (n, n)
    return random.uniform(margin, LINES - 1 - margin, shape), random.uniform(margin, COLUMNS - 1 - margin, shape)


def _cubic(line: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = (column - 45) / 45, (line - 60) / 60
    return 20000 + 9000 * x * x * x - 6000 * y * y * y + 4000 * x * y * y + 3000 * x * x + 2000 * y


def test_the_spline_passes_through_the_samples() -> None:
    counts = np.random.default_rng(1).integers(200, 4000, (LINES, COLUMNS)).astype(np.uint16)
    line, column = np.meshgrid(np.arange(LINES, dtype=float), np.arange(COLUMNS, dtype=float), indexing="ij")
    for name in FILTERS:
        out, flags = _resample(counts, line, column, name)
        assert np.abs(out - counts).max() < (0.02 if FILTERS[name] < 5 else 0.05)
        assert not flags.any()


def test_the_spline_reproduces_cubic_polynomials() -> None:
    full = _cubic(*np.meshgrid(np.arange(LINES), np.arange(COLUMNS), indexing="ij"))
    counts = np.round(full).astype(np.uint16)
    line, column = _points(HALF + 3.0)
    error = _resample(counts, line, column)[0] - _cubic(line, column)
    # counts are rounded: up to 0.5, amplified less than three times by the prefilter
    assert np.abs(error).max() < 1.0
    assert abs(error.mean()) < 0.03
    assert np.sqrt(np.mean(error**2)) < 0.35


def test_the_spline_beats_keys_and_keys_beats_bilinear_on_a_sine() -> None:
    line, column = _points(HALF + 3.0)

    def wave(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        return 3000 + 1500 * np.sin(2 * np.pi * y / 5.3) * np.cos(2 * np.pi * x / 6.1)

    counts = np.round(wave(*np.meshgrid(np.arange(LINES), np.arange(COLUMNS), indexing="ij"))).astype(np.uint16)
    rms = {
        name: float(np.sqrt(np.mean((_resample(counts, line, column, name)[0] - wave(line, column)) ** 2)))
        for name in FILTERS
    }
    assert rms["SPLINE3"] < 0.5 * rms["BCO"] < 0.25 * rms["BLN"] < 0.25 * rms["PPV"]


def test_edge_columns_and_lines_repeat() -> None:
    counts = np.full((LINES, COLUMNS), 1000, np.uint16)
    column = np.array([[-0.5, 0.0, COLUMNS - 1.0, COLUMNS - 0.5]])
    out, flags = _resample(counts, np.array([[-0.5, 0.0, LINES - 1.0, LINES - 0.5]]), column)
    np.testing.assert_allclose(out, 1000, rtol=1e-6)
    assert not flags.any()


@pytest.mark.parametrize("name", list(FILTERS))
def test_any_window_gives_the_same_bytes(name: Filter) -> None:
    random = np.random.default_rng(3)
    counts = random.integers(200, 4000, (LINES, COLUMNS)).astype(np.uint16)
    quality = np.zeros_like(counts)
    counts[40:57, 10:70], quality[40:57, 10:70] = 0, NODATA
    line, column = random.uniform(50.0, 62.0, (20, 37)), random.uniform(-0.5, COLUMNS - 0.5, (20, 37))
    whole = _resample(counts, line, column, name, quality)
    first, last = int(line.min()), int(line.max())
    for window in (
        lines_needed(first, last, LINES, name),
        lines_needed(first - 3, last, LINES, name),
        (0, 110),
        (5, LINES),
    ):
        for a, b in zip(whole, _resample(counts, line, column, name, quality, window), strict=True):
            np.testing.assert_array_equal(a, b)
    assert margin_lines("SPLINE3") == 2 * HALF + 2


def test_no_data_stays_out_of_valid_pixels() -> None:
    truth = np.round(_cubic(*np.meshgrid(np.arange(LINES), np.arange(COLUMNS), indexing="ij"))).astype(np.uint16)
    counts, quality = truth.copy(), np.zeros_like(truth)
    counts[60:76], quality[60:76] = 0, NODATA | MSI_LOST
    line, column = np.meshgrid(np.arange(50.0, 86.0, 0.25), np.arange(20.0, 60.0, 0.7), indexing="ij")
    out, flags = _resample(counts, line, column, quality=quality)
    near = (line >= 59.0) & (line < 76.0)
    assert ((flags & NODATA != 0) == near).all()
    assert (out[near] == DARK_LEVEL).all()
    assert (flags[near] & MSI_LOST != 0).all()
    ring = ~near & (line >= 58.0) & (line < 77.0)
    np.testing.assert_array_equal(flags[~near] & PARTIALLY_CORRECTED != 0, ring[~near])
    # the repair repeats lines: in the ring it bends the curve a little, beyond it hardly
    assert np.abs(out - _cubic(line, column))[~near].max() < 60
    assert np.abs(out - _cubic(line, column))[(line < 55) | (line > 80)].max() < 2.0


def _flags_of(bit: int, points: list[tuple[float, float]], name: Filter = "SPLINE3") -> list[int]:
    """Return the flags of places around a pixel (30, 40) that has one bit."""
    counts, quality = np.full((LINES, COLUMNS), 900, np.uint16), np.full((LINES, COLUMNS), 5 << 8, np.uint16)
    quality[30, 40] |= bit
    line, column = np.array([points], np.float64).transpose(2, 0, 1)
    out, flags = _resample(counts, line, column, name, quality)
    assert ((out == DARK_LEVEL) == (flags & NODATA != 0)).all()
    return [int(value) for value in flags[0]]


NEAREST = [(30.4, 39.6), (29.5, 40.4), (30.0, 40.0)]
BESIDE = [(30.6, 40.0), (29.2, 40.1), (30.3, 40.9), (30.9, 39.3)]
RING = [(31.1, 40.0), (28.9, 40.9), (30.2, 41.4), (31.9, 41.9)]
FAR = [(32.1, 40.0), (27.9, 40.0), (30.0, 42.3), (30.0, 37.9)]


@pytest.mark.parametrize("name", list(FILTERS))
@pytest.mark.parametrize("bit", [bit for _, bit in FLAGS])
def test_each_bit_reaches_pixels_by_its_own_rule(bit: int, name: Filter) -> None:
    alone = bit in (ANC_LOST, ANC_DEGRADED) or name == "PPV"
    assert _flags_of(bit, NEAREST, name) == [bit] * len(NEAREST)
    assert _flags_of(bit, BESIDE, name) == [0 if alone else bit] * len(BESIDE)
    leaning = PARTIALLY_CORRECTED if bit == NODATA and name not in ("PPV", "BLN") else 0
    assert _flags_of(bit, RING, name) == [leaning] * len(RING)
    assert _flags_of(bit, FAR, name) == [leaning if name in ("SPLINE5", "SPLINE7") else 0] * len(FAR)


def test_bits_of_several_samples_add_up() -> None:
    counts, quality = np.full((LINES, COLUMNS), 900, np.uint16), np.zeros((LINES, COLUMNS), np.uint16)
    quality[30, 40], quality[31, 41] = DEFECTIVE | (5 << 8), SATURATED | (5 << 8)
    points = np.array([[30.5, 29.5, 31.5, 28.5, 31.2]]), np.array([[40.5, 39.5, 41.5, 40.5, 42.0]])
    _, flags = _resample(counts, *points, quality=quality)
    assert flags.tolist() == [[DEFECTIVE | SATURATED, DEFECTIVE, SATURATED, 0, 0]]


@pytest.mark.parametrize("name", list(FILTERS))
def test_lines_that_nobody_wants_are_not_needed(name: Filter) -> None:
    random = np.random.default_rng(8)
    counts = random.integers(200, 4000, (LINES, 3 * STRIP - 90)).astype(np.uint16)
    wanted = np.array([[40, 47], [99, 12], [61, 62]])
    scratch = Scratch()
    scratch.take("samples", (LINES + 8, 3 * STRIP), np.float32)[:] = np.nan
    image = prepare_image(counts, np.zeros_like(counts), 0, LINES, name, wanted, scratch)
    whole = prepare_image(counts, np.zeros_like(counts), 0, LINES, name)
    for low, high, left, right in ((40.0, 47.0, -0.5, STRIP - 5.0), (61.0, 62.0, 2.0 * STRIP + 4, 3 * STRIP - 90.6)):
        line, column = random.uniform(low, high, (5, 40)), random.uniform(left, right, (5, 40))
        one, out, expected = (
            np.ones(line.shape, np.uint8),
            np.zeros(line.shape, np.float32),
            np.zeros(line.shape, np.float32),
        )
        interpolate(image, line, column, 0, 1, one, out, np.zeros_like(one))
        interpolate(whole, line, column, 0, 1, one, expected, np.zeros_like(one))
        np.testing.assert_array_equal(out, expected)


def test_only_the_pixels_of_the_detector_are_touched() -> None:
    counts = np.full((LINES, COLUMNS), 900, np.uint16)
    image = prepare_image(counts, np.zeros_like(counts), 0, LINES)
    out, flags = np.full((2, 2), -1, np.float32), np.array([[0, 9], [9, 0]], np.uint8)
    where = np.array([[5, 6], [6, 5]], np.uint8)
    interpolate(image, np.full((2, 2), 50.2), np.full((2, 2), 50.2), 0, 5, where, out, flags)
    np.testing.assert_allclose(out, [[900, -1], [-1, 900]], rtol=1e-6)
    assert flags.tolist() == [[0, 9], [9, 0]]


def test_pixels_outside_the_window_are_counted() -> None:
    counts = np.full((LINES, COLUMNS), 900, np.uint16)
    image = prepare_image(counts[:60], np.zeros_like(counts[:60]), 0, LINES)
    line = np.array([[20.0, 59.0, 70.0]])
    one = np.ones(line.shape, np.uint8)
    assert interpolate(image, line, line, 0, 1, one, np.zeros(line.shape, np.float32), one.copy()) == 2


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="SPLINE3"):
        prepare_image(np.ones((80, 9), np.uint16), np.zeros((80, 9), np.uint16), 0, 80, "LANCZOS")  # type: ignore[arg-type]
