"""Scene classification on one core: against the same chain in plain NumPy, memory copies, s2cloudless and ukis-csmask.

    taskset -c 0 python benchmarks/scene_class.py [figures.jsonl]

Each measurement alternates ours, NumPy and memcpy; medians of CPU time are reported. The two peers, which learned what
clouds are, run under the interpreter that $S2DASK_PEER_PYTHON names, on a real image of the reference data.
"""

import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from reporting import Case, alternate, megapixels_per_second, report

from s2dask.instrument import BANDS
from s2dask.l2a.scene_class import CLASS_BANDS, NOT_TOLD, classify
from s2dask.l2a.thresholds import Thresholds, default_thresholds

EDGE, REPEATS = 2745, 5
"""A quarter of a tile of 20 m pixels."""
CLOUDS = (8, 9, 10)
ROOT = Path(__file__).resolve().parents[1]
Image = NDArray[np.float32]


def _ramp(value: Image, low: float, high: float) -> Image:
    return np.clip((value - low) / (high - low), 0, 1)


def _ratio(a: Image, b: Image) -> Image:
    return a / np.maximum(b, np.float32(1e-4))


def _contrast(a: Image, b: Image) -> Image:
    return (a - b) / np.maximum(a + b, np.float32(1e-4))


def numpy_ground(b: dict[str, Image], ndsi: Image, ndvi: Image, t: Thresholds) -> NDArray[np.uint8]:
    """Return the class of the ground, the first test that holds."""
    blue, rock, green = _ratio(b["B02"], b["B11"]), _ratio(b["B8A"], b["B11"]), _ratio(b["B8A"], b["B03"])
    dark = (b["B04"] < t.dark_red) & (b["B8A"] > t.dark_near_low) & (b["B8A"] < t.dark_near_high)
    clear = (_contrast(b["B03"], b["B8A"]) > t.clear_water_contrast) & (b["B11"] < t.clear_water_swir)
    turbid = (b["B04"] >= t.turbid_water_red) & (ndvi < t.turbid_water_ndvi) & (b["B8A"] < t.turbid_water_near)
    deep = np.clip(t.water_slope * blue + t.water_offset, t.water_limit_low, t.water_limit_high)
    bare = np.clip(t.soil_slope * blue + t.soil_offset, t.soil_limit_low, t.soil_limit_high)
    sea = (blue > t.water_high) & (b["B8A"] < t.water_near)
    tests = [
        (clear & (b["B8A"] < t.clear_water_near), 6),
        (turbid & (b["B11"] < t.turbid_water_swir) & (ndsi > t.turbid_water_ndsi), 6),
        (dark & (ndvi > t.dark_ndvi), 4),
        (dark, 2),
        ((ndvi >= t.vegetation_high) & (b["B02"] < t.vegetation_blue), 4),
        ((ndvi > t.vegetation_low) & (green >= t.senescent_high), 4),
        ((blue <= t.soil_low) & (b["B02"] <= bare), 5),
        (sea & (b["B12"] < deep) & (b["B02"] - b["B04"] > t.water_blue_red), 6),
        (rock <= t.rock_low, 5),
    ]  # fmt: skip
    return np.select([test for test, _ in tests], [np.uint8(kind) for _, kind in tests], np.uint8(7))


def numpy_cloud(b: dict[str, Image], ndsi: Image, ndvi: Image, t: Thresholds) -> tuple[Image, Image]:
    """Return the confidence of cloud over ground that is not known, and of thin cloud over any."""
    blue, rock, haze = _ratio(b["B02"], b["B11"]), _ratio(b["B8A"], b["B11"]), b["B02"] - np.float32(0.5) * b["B04"]
    bare = np.clip(t.soil_slope * blue + t.soil_offset, t.soil_limit_low, t.soil_limit_high)
    white = np.maximum(
        _ramp(haze, t.cloud_blue_low, t.cloud_blue_high), _ramp(b["B04"], t.cloud_blue_red_low, t.cloud_blue_red_high)
    )
    cloud = _ramp(b["B04"], t.brightness_low, t.brightness_high) * _ramp(ndsi, t.cloud_ndsi_low, t.cloud_ndsi_high)
    cloud *= white * (1 - _ramp(ndvi, t.vegetation_low, t.vegetation_high)) * _ramp(rock, t.rock_low, t.rock_high)
    cloud *= 1 - _ramp(_ratio(b["B8A"], b["B03"]), t.senescent_low, t.senescent_high)
    cloud *= np.where(b["B02"] <= bare, _ramp(blue, t.soil_low, t.soil_high), 1)
    cloud *= np.where(b["B12"] < t.water_limit_high, 1 - _ramp(blue, t.water_low, t.water_high), 1)
    thin = _ramp(haze, t.thin_cloud_low, t.thin_cloud_high)
    thin *= _ramp(b["B8A"], t.thin_cloud_near_low, t.thin_cloud_near_high)
    thin *= _ramp(rock, t.thin_cloud_rock_low, t.thin_cloud_rock_high)
    return cloud, thin * (1 - _ramp(ndsi, t.snow_ndsi_low, t.snow_ndsi_high))


def numpy_classes(bands: list[Image], quality: NDArray[np.uint8], t: Thresholds) -> NDArray[np.uint8]:
    """Find the same classes, one NumPy expression per test."""
    b = dict(zip(CLASS_BANDS, bands, strict=True))
    ndsi, ndvi = _contrast(b["B03"], b["B11"]), _contrast(b["B8A"], b["B04"])
    snow = _ramp(ndsi, t.snow_ndsi_low, t.snow_ndsi_high) * _ramp(b["B8A"], t.snow_near_low, t.snow_near_high)
    snow *= _ramp(b["B02"], t.snow_blue_low, t.snow_blue_high)
    snow *= _ramp(_ratio(b["B02"], b["B04"]), t.snow_ratio_low, t.snow_ratio_high)
    snow = np.where(b["B12"] > t.snow_swir_high, 0, snow)
    kind = numpy_ground(b, ndsi, ndvi, t)
    cloud, thin = numpy_cloud(b, ndsi, ndvi, t)
    cloud = np.maximum(np.where(kind == 7, cloud, 0), thin)
    dry = (cloud < t.cloud_low) & (b["B02"] < t.soil_high * b["B11"]) | (b["B02"] < t.soil_low * b["B11"])
    kind = np.where((kind == 7) & dry, 5, kind)
    wet = (
        (ndsi > t.wet_ndsi)
        & (_contrast(b["B03"], b["B12"]) > t.wet_far)
        & (ndvi < t.wet_ndvi)
        & (b["B02"] < t.wet_blue)
    )
    wet &= (b["B8A"] < t.wet_near) & (b["B11"] < t.wet_swir)
    kind = np.where(wet & np.isin(kind, (2, 5, 7)), 6, kind)
    ground = kind
    kind = np.where((cloud >= t.cloud_medium) | (b["B10"] >= t.cirrus_thick), 8, kind)
    high = (b["B10"] > t.cirrus_thin) & (b["B10"] < t.cirrus_thick) & (b["B02"] < t.cirrus_blue)
    kind = np.where(cloud >= t.cloud_high, 9, np.where(high, 10, kind))
    frozen = (snow > 0) & (b["B12"] < t.snow_swir_low)
    frozen |= (snow > t.snow_swir_sure) & (cloud < t.cloud_low) & np.isin(kind, (5, 6, 7)) & (kind == ground)
    kind = np.where(quality & 0xB4 != 0, 1, np.where(frozen, 11, kind))
    return np.where(np.isnan(sum(bands)), 0, kind).astype(np.uint8)


def _classify(bands: list[Image], quality: NDArray[np.uint8]) -> NDArray[np.uint8]:
    out = [np.empty(quality.shape, np.uint8) for _ in range(3)]
    told = np.full(quality.shape, NOT_TOLD, np.uint8)
    classify(*bands, quality, np.zeros_like(quality), told, np.float32(0), default_thresholds(), *out)
    return out[0]


def against_numpy() -> Case:
    """Measure a quarter of a tile, of spectra of all kinds."""
    random = np.random.default_rng(1)
    spectra = np.array([
        (0.085, 0.085, 0.055, 0.40, 0.001, 0.18, 0.08), (0.13, 0.14, 0.17, 0.27, 0.001, 0.33, 0.28),
        (0.095, 0.06, 0.035, 0.015, 0.001, 0.006, 0.004), (0.65, 0.62, 0.64, 0.66, 0.010, 0.45, 0.35),
        (0.9, 0.88, 0.88, 0.8, 0.002, 0.08, 0.06), (0.17, 0.18, 0.21, 0.3, 0.02, 0.33, 0.28),
    ])  # fmt: skip
    kinds = np.repeat(np.repeat(random.integers(0, len(spectra), (61, 61)), 45, 0), 45, 1)
    noise = random.normal(1, 0.05, (EDGE, EDGE))
    bands = [np.ascontiguousarray(spectra[kinds, k] * noise, np.float32) for k in range(7)]
    bands[0][:50] = np.nan
    quality = np.where(random.random((EDGE, EDGE)) < 1e-3, 128, 0).astype(np.uint8)
    differing = (_classify(bands, quality) != numpy_classes(bands, quality, default_thresholds())).mean()
    if differing > 1e-4:
        raise SystemExit(f"the two classifications differ in {100 * differing:.4f} % of the pixels")
    copies = [b.copy() for b in bands]

    def copy() -> None:
        for source, target in zip(bands, copies, strict=True):
            np.copyto(target, source)

    cases = {
        "ours": lambda: _classify(bands, quality),
        "numpy": lambda: numpy_classes(bands, quality, default_thresholds()),
        "memcpy": copy,
    }
    return Case("scene classification, 20 m", megapixels_per_second(EDGE * EDGE, alternate(cases, REPEATS)))


def _real_image() -> Path | None:
    default = ROOT.parent / "shared" / "data"
    path = Path(os.environ.get("S2DASK_REFERENCE_DATA", default)) / "l2a/pixels/s2cloudless_L1C_13band.npz"
    return path if path.is_file() else None


def against_learned_masks() -> Case | None:
    """Measure a real image beside masks that were learned; None, with the reason, where there is none of them."""
    path, python = _real_image(), os.environ.get("S2DASK_PEER_PYTHON")
    if path is None or not python:
        print(f"peers not run: {'no reference data' if path is None else 'set S2DASK_PEER_PYTHON'}")
        return None
    reflectance = np.load(path)["l1c_dn"].astype(np.float32) / np.float32(1e4)
    names, pixels = list(BANDS), reflectance[..., 0].size
    with TemporaryDirectory() as folder:
        image, answer = f"{folder}/image.npz", f"{folder}/answer.npz"
        np.savez(image, reflectance=reflectance, bands=names)
        script = Path(__file__).parent / "peers" / "cloud_masks.py"
        run = subprocess.run([python, script, image, answer], capture_output=True, text=True, check=False)
        if run.returncode:
            print(f"peers not run: {run.stderr.strip().splitlines()[-1]}")
            return None
        facts, masks = json.loads(run.stdout), dict(np.load(answer))
    bands = [np.ascontiguousarray(reflectance[..., names.index(name)]) for name in CLASS_BANDS]
    quality = np.zeros(bands[0].shape, np.uint8)
    seconds = alternate({"ours": lambda: _classify(bands, quality)}, REPEATS)
    found, extra = np.isin(_classify(bands, quality), CLOUDS), {}
    for name, fact in facts.items():
        if "missing" in fact:
            print(f"{name} not run: {fact['missing']}")
            continue
        seconds[name] = fact["seconds"]
        extra[f"same_as_{name}_percent"] = 100.0 * float((found == (masks[name] > 0.4)).mean())
    return Case("clouds of a real image", megapixels_per_second(pixels, seconds), extra=extra)


def main() -> None:
    """Measure both."""
    cases = [against_numpy(), against_learned_masks()]
    report("scene_class", [case for case in cases if case is not None])


if __name__ == "__main__":
    main()
