"""Timing of the acquisition: line period, packets, scenes, time scales."""

from typing import Final

LINE_PERIOD: Final = 1.565873622e-3
"""Theoretical period of a 10 m line [s] (GIP_DATATI THEORETICAL_LINE_PERIOD)."""
LINES_PER_PACKET: Final = 16
"""Image lines in one instrument source packet, at every resolution."""
SCENE_LINES_10M: Final = 2304
"""10 m lines of one scene (= one granule of one detector)."""
SCENE_SECONDS: Final = SCENE_LINES_10M * LINE_PERIOD
"""Duration of one scene [s]."""
GPS_MINUS_TAI: Final = -19
"""GPS time minus TAI [s] (GIP_DATATI GPS_TIME_TAI)."""
DETECTORS: Final = tuple(range(1, 13))
"""The twelve detectors of a focal plane, D01 to D12."""
