"""Classes of known targets; those of real pixels are in tests/realpixels."""

import numpy as np
import pytest

from s2dask.instrument.quality import DEFECTIVE, PARTIALLY_CORRECTED, SATURATED
from s2dask.l2a import scene_class
from s2dask.l2a.scene_class import CLASS_BANDS, classify
from s2dask.l2a.thresholds import default_thresholds

# Top-of-atmosphere spectra of the bands of CLASS_BANDS, as in textbooks and products.
TARGETS = {
    "grass": ((0.085, 0.085, 0.055, 0.40, 0.001, 0.18, 0.08), 4),
    "conifers": ((0.075, 0.060, 0.038, 0.20, 0.001, 0.09, 0.04), 4),
    "soil": ((0.13, 0.14, 0.17, 0.27, 0.001, 0.33, 0.28), 5),
    "desert": ((0.20, 0.27, 0.36, 0.48, 0.004, 0.60, 0.55), 5),
    "town": ((0.20, 0.19, 0.20, 0.25, 0.001, 0.27, 0.25), 5),
    "clear sea": ((0.095, 0.060, 0.035, 0.015, 0.001, 0.006, 0.004), 6),
    "lake": ((0.100, 0.090, 0.070, 0.040, 0.001, 0.010, 0.006), 6),
    "shadow on grass": ((0.075, 0.055, 0.035, 0.070, 0.001, 0.040, 0.020), 2),
    "snow": ((0.90, 0.88, 0.88, 0.80, 0.002, 0.08, 0.06), 11),
    "thick cloud": ((0.65, 0.62, 0.64, 0.66, 0.010, 0.45, 0.35), 9),
    "high cloud": ((0.70, 0.68, 0.70, 0.72, 0.200, 0.44, 0.33), 9),
    "cirrus on sea": ((0.115, 0.080, 0.055, 0.035, 0.020, 0.025, 0.02), 10),
    "thick cirrus on soil": ((0.17, 0.18, 0.21, 0.30, 0.060, 0.33, 0.28), 8),
}


def _classify(spectra: np.ndarray, quality: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    bands = [np.ascontiguousarray(spectra[..., i], np.float32) for i in range(len(CLASS_BANDS))]
    shape = bands[0].shape
    out = [np.empty(shape, np.uint8) for _ in range(3)]
    quality = np.zeros(shape, np.uint8) if quality is None else quality
    told = np.full(shape, scene_class.NOT_TOLD, np.uint8)
    classify(*bands, quality, np.zeros(shape, np.uint8), told, np.float32(0), default_thresholds(), *out)
    return out[0], out[1], out[2]


@pytest.mark.parametrize("name", TARGETS)
def test_targets(name: str) -> None:
    spectrum, expected = TARGETS[name]
    scl, cld, snw = _classify(np.array([[spectrum]]))
    assert scl[0, 0] == expected
    assert (snw[0, 0] > 50) == (name == "snow")
    assert (cld[0, 0] >= 35) == (expected in (8, 9))


def test_what_is_no_data_or_defective() -> None:
    spectra = np.tile(np.array(TARGETS["grass"][0]), (1, 5, 1))
    spectra[0, 1, 3], spectra[0, 2, 0] = np.nan, np.inf
    quality = np.array([[PARTIALLY_CORRECTED, SATURATED, 0, SATURATED, DEFECTIVE]], np.uint8)
    assert _classify(spectra, quality)[0].tolist() == [[4, 0, 1, 1, 1]]


def test_any_spectrum_has_a_class_and_bounded_confidence() -> None:
    spectra = np.random.default_rng(0).uniform(-0.1, 1.4, (300, 300, 7))
    scl, cld, snw = _classify(spectra)
    assert scl.max() < scene_class.CLASSES
    assert scl.min() > 1
    assert max(cld.max(), snw.max()) <= 100
