"""The WGS84 ellipsoid."""

from typing import Final

EARTH_A: Final = 6378137.0
"""Semi-major axis [m]."""
EARTH_F: Final = 1.0 / 298.257223563
"""Flattening [1]."""
