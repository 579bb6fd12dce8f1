"""The restoration inside the chain: switched on by the GIPPs, as designed in the product, the same for any cut."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import radiometry_model as model

from s2dask.auxdata.gipp_filters import ImageFilter, SquareFilter
from s2dask.auxdata.gipp_record import Taps
from s2dask.auxdata.gipp_restoration import (
    BandNoise,
    DeconvolutionTransfer,
    DenoisingThresholds,
    L2Norms,
    NoiseModel,
    WaveletFilters,
    write_r2dect,
    write_r2dent,
    write_r2l2nc,
    write_r2nomo,
    write_r2wafi,
)
from s2dask.auxdata.gipp_scenario import Denoising, Restoration, operational_scenario, write_r2para
from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import ConfigurationError, InputMissing
from s2dask.instrument import BANDS, band
from s2dask.instrument.quality import NODATA
from s2dask.l1b.parameters import RadiometricParameters
from s2dask.l1b.restoration.deconvolution import design, gaussian_transfer
from s2dask.l1b.restoration.plan import BOTH, CONVOLUTION, DENOISING, NONE, margin, noise_gain, nyquist_gain
from s2dask.l1b.restoration.wavelet_packets import least_asymmetric, packet_filters, packet_norms
from s2dask.l1b.stage import margins, process_granule, radiometric_parameters

DETECTOR, NAME = 6, "B05"
START, STOP = datetime(2020, 8, 16, 12, 2, tzinfo=UTC), datetime(2020, 8, 16, 12, 3, tzinfo=UTC)
PIXELS = model.pixels(NAME, defective=(band(NAME).blind + 40,))
ALPHA, BETA = 0.551, 0.0056  # B05 of S2A (noise_model.csv)
RISE = 0.5 / 0.3, 0.5 / 0.41  # along, across: to 0.5 from what B05 of S2A has (mtf_from_public_psf.csv)


def _filter(kind: str, values: np.ndarray) -> ImageFilter:
    middle = (1, 1) if kind == "FREQUENTIAL" else tuple(size // 2 + 1 for size in values.shape)
    return ImageFilter(kind, *middle, 1, 1, SquareFilter(values))


def _taps(values: np.ndarray) -> Taps:
    return Taps.across(values)


def _gipps(
    folder: Path, scenario: str, *, flag: bool = True, lines: int = 50, spatial: bool = False, norms: bool = False
) -> GippSet:
    """Write the GIPPs of the instrument, its restoration included, and select them."""
    model.write_gipps(folder, {NAME: PIXELS})
    f = np.linspace(0, 0.5, 65)
    gains = np.outer(*(gaussian_transfer(r, f) for r in RISE))
    kernel = design((0.3, 0.41), (0.5, 0.5)).kernel
    pair = least_asymmetric(4)
    noise = packet_norms(packet_filters(pair, 2).analysis, kernel if scenario == BOTH else None)
    thresholds = {1: np.ones((2, 2)), 2: 1.5 * noise * (np.arange(16).reshape(4, 4) > 0) * 2.0}
    operational = operational_scenario("S2A")
    one = Restoration(scenario, denoising=Denoising(l2_norm_amplification=1.5))
    para = replace(
        operational,
        restoration_flag=flag,
        restorations={n: one if n == NAME else Restoration() for n in BANDS},
        spatial_margins=dict.fromkeys(BANDS, lines),
    )
    transfer = _filter("SPATIAL", kernel) if spatial else _filter("FREQUENTIAL", gains)
    head = ("S2A", "")
    table = {1: thresholds[1]} if norms else thresholds
    texts: dict[tuple[str, str], str] = {
        ("R2PARA", "B00"): write_r2para(para),
        ("R2NOMO", "B00"): write_r2nomo(NoiseModel(*head, {n: BandNoise(ALPHA, BETA) for n in BANDS})),
        ("R2DECT", NAME): write_r2dect(DeconvolutionTransfer(*head, NAME, transfer)),
        ("R2DENT", NAME): write_r2dent(DenoisingThresholds(*head, NAME, 2.0, 2, table)),
        ("R2WAFI", NAME): write_r2wafi(WaveletFilters(*head, NAME, *(_taps(one) for one in pair))),
    }
    if norms:
        texts["R2L2NC", NAME] = write_r2l2nc(L2Norms(*head, NAME, 2, {1: np.ones((2, 2)), 2: noise}))
    for (kind, of), text in texts.items():
        (folder / model.gipp_name(kind, of)).write_text(text, encoding="utf-8")
    return GippSet.open(folder, "S2A", START, STOP)


def _product(
    z: np.ndarray, p: RadiometricParameters, missing: tuple[int, ...] = (), cuts: tuple[int, ...] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return counts without offset, and quality, of raw lines of an equalised scene, made whole or in windows."""
    raw = model.raw_counts(model.unequalised(z, PIXELS, model.useful(NAME)), PIXELS)
    bad = np.isin(np.arange(len(raw)), missing)
    parts, around = [], margins(p)[NAME]
    for start, stop in zip((0, *cuts), (*cuts, len(raw)), strict=True):
        low, high = max(start - around, 0), min(stop + around, len(raw))
        parts.append(
            process_granule(
                DETECTOR, {NAME: low}, {NAME: raw[low:high]}, {NAME: bad[low:high]}, p, window={NAME: (start, stop)}
            )[NAME]
        )
    counts = np.concatenate([part.counts for part in parts])
    return counts.astype(float) - p.shift, np.concatenate([part.quality for part in parts])


def _wave(lines: int, axis: int) -> np.ndarray:
    y, x = np.mgrid[:lines, : band(NAME).useful_columns]
    return 1000 + 200 * (-1.0) ** (y if axis == 0 else x)


@pytest.mark.row("IPF-16")
@pytest.mark.parametrize("spatial", [False, True])
def test_the_product_is_as_sharp_as_the_gipps_say(tmp_path: Path, spatial: bool) -> None:
    on = radiometric_parameters(_gipps(tmp_path, CONVOLUTION, spatial=spatial), DETECTOR, (NAME,))
    plan = on.bands[NAME].restoration
    assert plan is not None
    assert plan.scenario == CONVOLUTION
    assert nyquist_gain(plan) == pytest.approx(RISE, rel=0.02)
    for axis in (0, 1):
        wave = _wave(140, axis)
        counts, _ = _product(wave, on)
        inner = (slice(50, -50), slice(60, -60))
        amplitude = np.abs((counts - 1000)[inner]).mean()
        assert amplitude / 200 == pytest.approx(RISE[axis], rel=0.02)
        assert counts[inner].mean() == pytest.approx(1000, abs=0.2)


@pytest.mark.row("IPF-16")
@pytest.mark.parametrize("norms", [False, True])
@pytest.mark.parametrize("scenario", [CONVOLUTION, DENOISING, BOTH])
def test_the_noise_of_the_product_changes_as_reported(tmp_path: Path, scenario: str, norms: bool) -> None:
    on = radiometric_parameters(_gipps(tmp_path / "on", scenario, norms=norms), DETECTOR, (NAME,))
    off = radiometric_parameters(_gipps(tmp_path / "off", scenario, flag=False), DETECTOR, (NAME,))
    assert off.bands[NAME].restoration is None
    assert margins(off)[NAME] < margins(on)[NAME] == margins(off)[NAME] + margin(on.bands[NAME].restoration)
    sigma = 40.0  # so that the rounding of the product does not count; the thresholds know of a tenth of it
    z = 2000 + np.random.default_rng(1).normal(0, sigma, (200, band(NAME).useful_columns))
    inner = (slice(60, -60), slice(60, -60))
    before, after = (np.std(_product(z, p)[0][inner]) for p in (off, on))
    plan = on.bands[NAME].restoration
    assert plan is not None
    if scenario == CONVOLUTION:
        assert after / before == pytest.approx(noise_gain(plan), rel=0.03)
        return
    noisy = plan._replace(shrinkage=plan.shrinkage._replace(variance=sigma**2, slope=0.0))
    louder = replace(on, bands={NAME: replace(on.bands[NAME], restoration=noisy)})
    assert np.std(_product(z, louder)[0][inner]) / before == pytest.approx(noise_gain(plan), rel=0.03)
    assert after > 0.9 * before  # most of it is signal to the model of the instrument


@pytest.mark.row("IPF-16")
def test_any_cut_gives_the_same_product(tmp_path: Path) -> None:
    p = radiometric_parameters(_gipps(tmp_path, BOTH), DETECTOR, (NAME,))
    z = model.scene(NAME, 300) + np.random.default_rng(3).normal(0, 30, (300, band(NAME).useful_columns))
    missing = (70, 71, *range(120, 140), 299)
    whole = _product(z, p, missing)
    for cuts in ((1, 71, 125, 200), (37, 298)):
        for a, b in zip(whole, _product(z, p, missing, cuts), strict=True):
            np.testing.assert_array_equal(a, b)
    # the gap of twenty lines has no data, and nothing of it comes into its neighbours
    quality = whole[1]
    assert (quality[120:140] & NODATA).all()
    assert not (quality[:120] & NODATA).any()
    assert np.abs(whole[0][110:120] - z[110:120]).mean() < 60


def test_what_the_gipps_lack_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SPATIAL_MARGIN"):
        radiometric_parameters(_gipps(tmp_path / "a", BOTH, lines=20), DETECTOR, (NAME,))
    gipps = _gipps(tmp_path / "b", DENOISING)
    _without(tmp_path / "b", "R2WAFI")
    gipps = GippSet.open(tmp_path / "b", "S2A", START, STOP)
    with pytest.raises(InputMissing, match="R2WAFI"):
        radiometric_parameters(gipps, DETECTOR, (NAME,))
    off: Mapping[str, str] = operational_scenario("S2A").restoration
    assert set(off.values()) == {NONE}


def _without(folder: Path, kind: str) -> None:
    for path in folder.glob(f"*_{kind}_*"):
        path.unlink()
