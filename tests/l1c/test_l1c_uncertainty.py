"""The uncertainty of L1C against the tool of the mission, against many noisy images, and at its edges."""

import math
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import BANDS, UNITS, unit
from s2dask.instrument.uncertainty import (
    NOISE_FACTOR,
    QUANTISATION,
    V1_DIFFUSER_AGEING,
    contributors,
    count_errors,
)
from s2dask.l1c.noise_gain import fill_gain, gain_table
from s2dask.l1c.reflectance import reflectance_scale
from s2dask.l1c.resampling import Filter
from s2dask.l1c.uncertainty import MORE, STEP, alike, uncertainty, uncertainty_layers

ORACLE = "S2DASK_RUT_PYTHON"
TOOL = """
import sys
import numpy as np, xarray as xr
from s2_rut_python.interface import S2RUTTool
given = np.load(sys.argv[1])
name, told = str(given["band"]), given["told"]
image = xr.DataArray(given["rho"], dims=("y", "x"))
keys = ("solar_irradiance", "physical_gains", "noise_model_alpha", "noise_model_beta", "radiometric_offset")
image.attrs["product_metadata"] = dict(zip(keys, told[:5]))
product = {"platform": str(given["platform"]), "quantification_level": {"reflectance": 10000.0}}
product["reflectance_conversion_u"] = told[5]
ds = xr.Dataset(
    {name: image, "solar_zenith_angle": (("y", "x"), given["zenith"])}, attrs={"product_metadata": product}
)
out = S2RUTTool().run(ds, [name], group_unc=False)
parts = {v: out[v].values for v in out if v.startswith("u_")}
sys_ = parts.pop(f"u_sys_{name}")
assert len(parts) == 8, sorted(parts)
np.savez(sys.argv[2], systematic=sys_, random=np.sqrt(sum(p**2 for p in parts.values())))
"""


def _oracle() -> str:
    python = os.environ.get(ORACLE)
    if not python:
        pytest.skip(f"{ORACLE} names no interpreter with s2_rut_python 0.0.5")
    return python


def _scale(name: str, band: str, conversion: float = 1.0) -> float:
    of_unit = unit(name).bands[band]
    return reflectance_scale(of_unit.gain, of_unit.solar_irradiance, conversion)


def _level(dn: int, shape: tuple[int, int] = (4, 5)) -> tuple[np.ndarray, np.ndarray]:
    return np.full(shape, dn, np.uint16), np.full(shape, 1.25, np.float32)


@pytest.mark.parametrize(("name", "band"), [("S2A", "B02"), ("S2B", "B09"), ("S2C", "B12"), ("S2A", "B8A")])
def test_the_tool_of_the_mission_says_the_same(name: str, band: str, tmp_path: Path) -> None:
    python, of_unit, conversion = _oracle(), unit(name).bands[band], 1.0237
    rng = np.random.default_rng(11)
    dn = (1000 + rng.gamma(2.0, 900.0, (60, 70))).astype(np.uint16)
    dn[5:30, 8:40] = 1400 + rng.integers(0, 40, (25, 32))
    dn[40:45] = 950
    # the sun of a real tile: a degree from one side to the other
    step = BANDS[band].resolution / 109_800
    zenith = 40 + step * np.arange(70) + 0.5 * step * np.arange(60)[:, None]
    rho = (dn.astype(float) - 1000) / 10000
    told = [of_unit.solar_irradiance, of_unit.gain, of_unit.noise_alpha, of_unit.noise_beta, -1000, conversion]
    there, back = tmp_path / "there.npz", tmp_path / "back.npz"
    np.savez(there, rho=rho, zenith=zenith, told=told, band=band, platform=f"Sentinel-2{name[-1]}")
    command = [python, "-W", "ignore", "-c", TOOL, str(there), str(back)]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-500:]
    scale, inverse = _scale(name, band, conversion), 1 / np.cos(np.radians(zenith))
    mean = float(np.mean(np.maximum(rho, 0) / (scale * inverse)))
    errors = count_errors(name, band, mean, crosstalk=True, ageing=V1_DIFFUSER_AGEING, tool_v1=True)
    tilt = tuple(float(np.gradient(np.log(inverse), axis=axis).mean()) for axis in (0, 1))
    _, total = uncertainty(dn, inverse.astype(np.float32), errors, scale, tilt=(tilt[0], tilt[1]))
    systematic = errors.bias * scale * inverse + errors.bias_share * np.maximum(rho, 0)
    with np.load(back) as told_back:
        known = np.isfinite(told_back["random"]) & np.isfinite(told_back["systematic"])
        assert known[:40].mean() > 0.99
        expected = (told_back["systematic"] + told_back["random"])[known]
        np.testing.assert_allclose(total[known], expected, rtol=3e-5)
        np.testing.assert_allclose((total - systematic)[known], told_back["random"][known], rtol=3e-5)


def test_the_data_pack_says_the_same(reference_data: Path) -> None:
    text = (reference_data / "radiometry/csv/rut_contributors.csv").read_text("utf-8").splitlines()
    header = text[1].split(",")
    for line in text[2:]:
        row = dict(zip(header, line.split(","), strict=True))
        for name in ("S2A", "S2B", "S2C", "S2D"):
            c = contributors(name, row["band"])
            stand_in = "S2C" if name == "S2D" else name
            assert c.assumed == (name == "S2D")
            told = [row[f"diff_abs_{stand_in}_pct"]]
            told += [row[k] for k in ("diff_cos_pct", "diff_straylight_pct", "nonlinearity_gamma_pct")]
            told += [row["stray_rand_pct_of_Lref"], row["stray_sys_pct"]]
            ours = (c.diffuser, c.cosine, c.diffuser_straylight, c.nonlinearity, c.straylight_random, c.straylight)
            np.testing.assert_allclose(np.multiply(100, ours), [float(t) for t in told])
            assert (c.dark, c.crosstalk) == (float(row["ds_LSB"]), float(row["xtalk_W_per_m2_sr_um"]))


def test_every_band_of_every_unit_has_contributors() -> None:
    for name in UNITS:
        for band in BANDS:
            assert 0 < contributors(name, band).diffuser < 0.03
    with pytest.raises(ConfigurationError, match="no such band"):
        contributors("S2A", "B13")
    with pytest.raises(InputError, match="alpha nan"):
        count_errors("S2A", "B02", 100.0, noise=(math.nan, 0.01))


def test_a_level_image_has_the_variance_of_its_terms() -> None:
    dn, inverse = _level(3000)
    scale = _scale("S2B", "B04")
    e = count_errors("S2B", "B04", 350.0)
    own, total = uncertainty(dn, inverse, e, scale, gain=np.full(dn.shape, 0.5, np.float32), k=2.0)
    c = scale * 1.25
    variance = 0.5 * (e.alpha2 * c**2 + e.beta * c * 0.2) + e.flat * c**2 + QUANTISATION**2
    np.testing.assert_allclose(own, math.sqrt(variance), rtol=1e-5)
    both = variance + e.alike_flat * c**2 + e.alike_square * 0.04
    np.testing.assert_allclose(total, 0.003 * 350 * c + 2 * math.sqrt(both), rtol=1e-5)
    level = (0.7**2 + 0.4**2 + 0.3**2 + 0.4**2 + 0.12**2) ** 0.5 / 100
    expected = math.hypot(math.hypot(0.2 * level, 0.1 * c), 0.003 * 350 * c)
    np.testing.assert_allclose(alike(e, 0.2, c), expected, rtol=1e-6)


def test_noisy_images_scatter_as_stated() -> None:
    """Counts of one level get the noise, the rounding and the coding of the chain; nothing is resampled."""
    e, scale = count_errors("S2A", "B03", 300.0), _scale("S2A", "B03")
    rng, c, level = np.random.default_rng(2), scale * 1.25, 380.3
    z = np.round(
        level + rng.normal(size=(500, 400)) * math.sqrt(e.alpha2 + e.beta * level) + rng.uniform(size=(500, 1))
    )
    found = np.round(1e4 * (z - 0.5) * c) / 1e4
    dn, inverse = _level(round(1000 + 1e4 * level * c))
    own, _ = uncertainty(dn, inverse, e, scale, gain=np.ones(dn.shape, np.float32))
    inside = np.abs(found - level * c) <= own[0, 0]
    assert abs(found.std() / math.hypot(own[0, 0], c * 12**-0.5) - 1) < 0.05
    assert abs(inside.mean() - 0.68) < 0.08


@pytest.mark.parametrize("cut", [7, 16, 33])
def test_the_cut_leaves_no_trace(cut: int) -> None:
    rng = np.random.default_rng(cut)
    dn = rng.integers(1000, 9000, (40, 50)).astype(np.uint16)
    dn[10:14, 20:30], dn[30, 30], dn[31, 30] = 0, 65535, 0
    inverse = rng.uniform(1.1, 1.4, dn.shape).astype(np.float32)
    gain = rng.uniform(0.3, 1, dn.shape).astype(np.float32)
    e, scale = count_errors("S2A", "B11", 250.0), _scale("S2A", "B11")
    own, total = uncertainty_layers(dn, inverse, e, scale, gain=gain)
    for y in range(0, 40, cut):
        for x in range(0, 50, cut):
            top, left = max(y - 1, 0), max(x - 1, 0)
            around = slice(top, y + cut + 1), slice(left, x + cut + 1)
            part = dn[around]
            at = slice(y, y + cut), slice(x, x + cut)
            there = (y - top, x - left)
            a, b = uncertainty_layers(part, inverse[at], e, scale, gain=gain[around], origin=there)
            assert (a == own[at]).all()
            assert (b == total[at]).all()


def test_codes_of_no_data_and_saturation() -> None:
    dn, inverse = _level(2500, (6, 6))
    dn[0], dn[3, 3] = 0, 65535
    e, scale = count_errors("S2A", "B08", 300.0), _scale("S2A", "B08")
    own, total = uncertainty_layers(dn, inverse, e, scale)
    floats = uncertainty(dn, inverse, e, scale)
    for codes, values in zip((own, total), floats, strict=True):
        assert (codes[0] == 0).all()
        assert codes[3, 3] == MORE
        assert np.isnan(values[0]).all()
        assert np.isnan(values[3, 3])
        known = np.isfinite(values)
        assert known.sum() == 29
        np.testing.assert_allclose(codes[known] * STEP, values[known], atol=0.5 * STEP)
        # what has no data or is saturated is no neighbour to differ from: the image is level
        assert np.unique(codes[known]).size == 1
    dn[4:, 4:] = 30000
    assert uncertainty_layers(dn, inverse, e, scale)[0][4, 4] == MORE


@given(st.integers(1, 65000), st.integers(1, 65000), st.floats(1.0, 5.0), st.sampled_from(["B01", "B05", "B12"]))
def test_more_light_is_known_less_well(a: int, b: int, inverse: float, band: str) -> None:
    e, scale = count_errors("S2C", band, 200.0), _scale("S2C", band)
    lit = np.full((1, 1), inverse, np.float32)
    low, high = (uncertainty(np.full((1, 1), v, np.uint16), lit, e, scale) for v in sorted((a, b)))
    assert (low[0] <= high[0]).all()
    assert (low[1] <= high[1]).all()
    assert (low[0] < low[1]).all()


def test_refining_halves_the_error_of_location() -> None:
    dn = np.tile(np.arange(1500, 4500, 300, dtype=np.uint16), (5, 1))
    inverse, scale = np.ones(dn.shape, np.float32), _scale("S2A", "B02")
    coarse, fine = (
        uncertainty(dn, inverse, count_errors("S2A", "B02", 0.0, refined=r), scale)[0] for r in (False, True)
    )
    level, _ = uncertainty(np.full_like(dn, 3000), inverse, count_errors("S2A", "B02", 0.0), scale)
    assert coarse[2, 5] == pytest.approx(math.hypot(level[2, 5], 0.3 * 0.03), rel=0.01)
    assert fine[2, 5] == pytest.approx(math.hypot(level[2, 5], 0.15 * 0.03), rel=0.01)


def test_the_weights_of_the_interpolation_against_the_factor_of_the_tool() -> None:
    """The layer holds the sum of the squared weights, of which the tool's factor is the root."""
    rng = np.random.default_rng(0)
    line, column = (rng.uniform(8, 20, 3600) for _ in range(2))
    found: dict[str, float] = {}
    names: tuple[Filter, ...] = ("SPLINE3", "BCO", "BLN")
    for name in names:
        gain = np.empty(3600, np.float32)
        fill_gain(line, column, gain_table(name), gain)
        found[name] = float(np.sqrt(gain).mean())
    assert found["BLN"] == pytest.approx(2 / 3, abs=0.02)
    assert found["BLN"] == pytest.approx(NOISE_FACTOR, abs=0.03)
    assert found["BLN"] < found["BCO"] < found["SPLINE3"] < 1


@pytest.mark.parametrize("origin", [(1, 0), (0, 2), (-1, 0)])
def test_an_image_too_small_is_refused(origin: tuple[int, int]) -> None:
    dn, inverse = _level(2000)
    with pytest.raises(InputError, match="give the image around"):
        uncertainty(dn, inverse, count_errors("S2A", "B02", 1.0), 1e-4, origin=origin)


def test_numbers_that_cannot_be_are_refused() -> None:
    dn, inverse = _level(2000)
    e = count_errors("S2A", "B02", 1.0)
    with pytest.raises(InputError, match="reflectance of one count nan"):
        uncertainty(dn, inverse, e, math.nan)
    with pytest.raises(InputError, match="coverage factor 0"):
        uncertainty(dn, inverse, e, 1e-4, k=0.0)
    with pytest.raises(InputError, match="noise gain"):
        uncertainty(dn, inverse, e, 1e-4, gain=np.ones((2, 2), np.float32))
