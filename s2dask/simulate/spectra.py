"""Surface classes of the simulated landscape and their reflectance in the thirteen bands."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import BANDS

CLASSES: Final = ("sea", "forest", "grass", "soil", "rock", "built_up", "snow")
"""Class names by code."""
TEXTURE: Final = (0.06, 0.16, 0.16, 0.14, 0.14, 0.20, 0.03)
"""Relative amplitude of the texture of each class."""

# Plausible bottom-of-atmosphere spectra, B01 … B08, B8A, B09 … B12; dark vegetation keeps B04 = 0.5 B12, B02 = 0.5 B04.
_SPECTRA: Final = {
    "sea": (0.022, 0.020, 0.013, 0.006, 0.004, 0.003, 0.003, 0.002, 0.002, 0.002, 0.001, 0.001, 0.001),
    "forest": (0.012, 0.014, 0.034, 0.028, 0.070, 0.200, 0.260, 0.280, 0.300, 0.300, 0.120, 0.130, 0.056),
    "grass": (0.030, 0.035, 0.075, 0.060, 0.120, 0.260, 0.320, 0.340, 0.360, 0.360, 0.180, 0.240, 0.130),
    "soil": (0.075, 0.085, 0.125, 0.170, 0.190, 0.210, 0.230, 0.250, 0.270, 0.280, 0.280, 0.340, 0.300),
    "rock": (0.110, 0.120, 0.145, 0.170, 0.180, 0.190, 0.200, 0.210, 0.220, 0.220, 0.220, 0.260, 0.240),
    "built_up": (0.150, 0.160, 0.180, 0.200, 0.210, 0.220, 0.230, 0.240, 0.250, 0.250, 0.250, 0.280, 0.260),
    "snow": (0.880, 0.880, 0.880, 0.870, 0.860, 0.840, 0.820, 0.800, 0.780, 0.700, 0.100, 0.100, 0.080),
}
_CLOUD: Final = (0.66, 0.66, 0.66, 0.66, 0.66, 0.66, 0.66, 0.66, 0.66, 0.64, 0.50, 0.45, 0.35)


def spectrum(band: str) -> NDArray[np.float32]:
    """Return the reflectance of each class in a band."""
    return np.array([_SPECTRA[name][BANDS[band].index] for name in CLASSES], np.float32)


def cloud_reflectance(band: str) -> float:
    """Return the reflectance of an opaque cloud in a band."""
    return _CLOUD[BANDS[band].index]
